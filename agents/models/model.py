"""`Model`: an LLM that writes text under a grammar and says how likely a text is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from environments.grammar import Grammar

Role = Literal["system", "user", "assistant"]


class ModelError(RuntimeError):
    """A model could not do what was asked; one sentence that names the model and the remedy.

    Which kind says what it costs: ModelUnavailable nothing but time, ModelMisconfigured the study until it is put
    right, PromptRefused and all others one episode.
    """


class ModelUnavailable(ModelError):
    """An outage: the model did not answer (gone, overloaded, timed out). What was asked is owed again later."""


class ModelMisconfigured(ModelError):
    """No request will succeed until something is put right: a key, an address, a name, a setting."""


class PromptRefused(ModelError):
    """This one prompt is not answered, now or later (content filter, too long): it costs its episode, nothing else."""


class PromptTooLong(PromptRefused):
    """This one prompt does not fit the context."""


class NoLikelihoods(ModelError):
    """This back end cannot score text; the message names those that can."""


class Message(NamedTuple):
    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is drawn. `temperature` 0 is greedy.

    `top_p` is 1 by default: a truncated nucleus gives actions outside it probability zero,
    and then there is no importance ratio (the official code uses .6 and .9).
    """

    temperature: float = 0.6
    top_p: float = 1.0
    max_tokens: int = 64
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """One completion to write. Requests of one `session` extend each other, so a back end may keep their prefix."""

    messages: tuple[Message, ...]
    grammar: Grammar | None = None
    sampling: Sampling = Sampling()
    session: str = ""


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model wrote, and what it cost.

    `logprob` is the summed log-probability (nats) of the completion's tokens under the raw model,
    `policy_logprob` under the policy that really drew them (grammar mask and temperature, not top_p; 0 when greedy);
    None where the back end does not know. `dropped_turns` counts the oldest messages left out to fit the context.
    `tokens` are the ids that were drawn, in the model's own vocabulary and without the end of the turn; None where
    only the text is known, which may be spelled by other tokens, too.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    logprob: float | None = None
    policy_logprob: float | None = None
    dropped_turns: int = 0
    finish: Literal["stop", "length"] = "stop"
    thought: str = ""
    """What the model thought aloud before `text`, where the server tells it; its tokens are among the completion's."""
    tokens: tuple[int, ...] | None = None
    recalled: bool = field(default=False, compare=False)
    """True where nobody wrote it now: it stood in a cache of calls."""

    def __post_init__(self) -> None:
        # Some servers send halves of characters (lone surrogates), which neither a file nor a tokenizer takes.
        if not self.text.isascii():
            object.__setattr__(self, "text", self.text.encode("utf-8", "replace").decode())


class FormMissed(ModelError):
    """The answer is not in the form asked for, `completion` being the last one: it costs its episode."""

    def __init__(self, message: str, completion: Completion) -> None:
        super().__init__(message)
        self.completion = completion


@dataclass(frozen=True, slots=True)
class Utterance:
    """A text somebody said after `messages`, to be scored: log p(text | messages).

    With a `grammar` or a `temperature` other than 1 the acting policy's likelihood is meant
    (logits masked by the grammar, divided by the temperature), else the raw model's. `tokens` are the ids it was said
    in: a scorer in whose vocabulary they spell `text` scores these, any other the text as it would spell it itself.
    """

    messages: tuple[Message, ...]
    text: str
    grammar: Grammar | None = None
    temperature: float = 1.0
    tokens: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Likelihood:
    """Log-probabilities (nats) of an utterance's tokens, in order; the end-of-turn token is not among them."""

    logprobs: tuple[float, ...]
    recalled: bool = field(default=False, compare=False)
    """True where it stood in a cache of calls."""

    @property
    def total(self) -> float:
        return sum(self.logprobs)

    @property
    def mean(self) -> float:
        return self.total / max(1, len(self.logprobs))


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What goes into `study.json` about a model, so that a run can be told from another."""

    name: str
    family: str
    backend: str
    weights: str
    """SHA-256 of the weights where they are local, else what the server says it serves."""
    precision: str
    context: int
    template: str = ""
    """SHA-256 of the chat template and all that it is told, where it is rendered here."""


class Model(ABC):
    """An LLM of any kind. Subclasses write `card`, `generate`, `score`, `count` and `close`."""

    @property
    @abstractmethod
    def card(self) -> ModelCard: ...

    @abstractmethod
    async def generate(self, request: Request) -> Completion:
        """Write one completion that satisfies the request's grammar.

        Raises ModelUnavailable when the model does not answer, PromptRefused when it will not answer this prompt,
        ModelMisconfigured when it would answer none, another ModelError when this answer was of no use.
        """

    @abstractmethod
    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        """Log-likelihood of each utterance, tokenised with its prompt as one text by the chat template.

        Raises NoLikelihoods when the back end has none.
        """

    @abstractmethod
    def count(self, text: str) -> int:
        """Tokens in a bare text, special tokens not counted."""

    def release(self, session: str) -> None:
        """The conversation is over: whatever was kept of it may go. A back end that keeps nothing does nothing."""
        return

    @abstractmethod
    async def close(self) -> None: ...
