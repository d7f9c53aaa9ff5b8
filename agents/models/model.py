"""`Model`: an LLM that writes text under a grammar and says how likely a text is.

Every back end is an AutoGen `ChatCompletionClient`, so that it also works in AutoGen's own agents and teams;
inside the testbed the two methods `generate` and `score` are used directly.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from autogen_core import CancellationToken
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    LLMMessage,
    ModelCapabilities,  # pyright: ignore[reportDeprecated]  AutoGen still asks for it
    ModelInfo,
    RequestUsage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel

from environments.grammar import Grammar, JsonSchema

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


class Model(ChatCompletionClient):
    """An LLM of any kind. Subclasses write `card`, `generate`, `score`, `count` and `close`."""

    _prompt_tokens = 0
    _completion_tokens = 0

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

    # -- AutoGen's ChatCompletionClient, in terms of the above ---------------------------------------------------

    component_type = "model"
    component_config_schema = BaseModel

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        """AutoGen's call; `extra_create_args` takes the fields of `Sampling` plus `grammar` and `session`."""
        if tools:
            raise ModelError(f"{self.card.name} takes no tools: agents here act by writing text")
        args = dict(extra_create_args)
        grammar: Grammar | None = args.pop("grammar", None)
        if isinstance(json_output, type):
            grammar = JsonSchema.of(json_output.model_json_schema())
        elif json_output:
            grammar = JsonSchema.of({"type": "object"})
        session: str = args.pop("session", "")
        completion = await self.generate(Request(plain(messages), grammar, Sampling(**args), session))
        self._prompt_tokens += completion.prompt_tokens
        self._completion_tokens += completion.completion_tokens
        return CreateResult(
            finish_reason=completion.finish,
            content=completion.text,
            usage=RequestUsage(completion.prompt_tokens, completion.completion_tokens),
            cached=False,
        )

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] = {},
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        result = await self.create(messages, tools=tools, json_output=json_output, extra_create_args=extra_create_args)
        yield str(result.content)
        yield result

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(self._prompt_tokens, self._completion_tokens)

    def total_usage(self) -> RequestUsage:
        return self.actual_usage()

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return sum(self.count(message.content) for message in plain(messages))

    def remaining_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return self.card.context - self.count_tokens(messages)

    @property
    def capabilities(self) -> ModelCapabilities:  # pyright: ignore[reportDeprecated]
        return ModelCapabilities(vision=False, function_calling=False, json_output=True)  # pyright: ignore[reportDeprecated]

    @property
    def model_info(self) -> ModelInfo:
        return ModelInfo(
            vision=False,
            function_calling=False,
            json_output=True,
            structured_output=True,
            family=self.card.family,
            multiple_system_messages=False,
        )


def plain(messages: Sequence[LLMMessage]) -> tuple[Message, ...]:
    """AutoGen's messages as ours. Raises ModelError for a message that is not text."""
    roles: dict[str, Role] = {"SystemMessage": "system", "UserMessage": "user", "AssistantMessage": "assistant"}
    out: list[Message] = []
    for message in messages:
        role = roles.get(type(message).__name__)
        if role is None or not isinstance(message.content, str):
            raise ModelError(f"only text messages can be sent, not a {type(message).__name__}")
        out.append(Message(role, message.content))
    return tuple(out)
