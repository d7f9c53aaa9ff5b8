"""What a server can and cannot do, found out by asking it once, before a study relies on it."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass

from agents.models.model import (
    FormMissed,
    Message,
    ModelError,
    ModelMisconfigured,
    ModelUnavailable,
    NoLikelihoods,
    PromptRefused,
    Request,
    Sampling,
    Utterance,
)
from agents.models.served.model import UNKNOWN_CONTEXT, ServedModel
from environments.grammar import Regex

_log = logging.getLogger(__name__)

_FORM = Regex(r"\[[1-6]( [1-6]){3}\]")
"""Nobody answers a greeting in this form unless a grammar leads the pen."""
_GREETING = (Message("system", "You are a polite host."), Message("user", "Good morning! How are you today?"))


@dataclass(frozen=True, slots=True)
class ServerProbe:
    """What was found out. `advice` says what has to be changed before moves can be played; nothing where they can."""

    model: str
    backend: str
    """"vllm", or "openai" for any other."""
    grammar: bool
    likelihoods: bool
    thinks: bool
    """Aloud, before it answers."""
    tokenizer: str
    """What prompts are tokenised with here; nothing where the server's chat interface is used."""
    context: int | None
    """Tokens; None where the server does not tell."""
    advice: str = ""

    @property
    def sentence(self) -> str:
        kind = "vLLM" if self.backend == "vllm" else "an OpenAI-compatible server"
        abilities = (
            "keeps answers to a grammar" if self.grammar else "does NOT keep answers to a grammar",
            "tells likelihoods" if self.likelihoods else "tells no likelihoods of given texts",
            "thinks before it answers" if self.thinks else "does not think before it answers",
            f"is read with the tokenizer {self.tokenizer}" if self.tokenizer else "is read without its tokenizer",
            f"takes {self.context} tokens" if self.context else "does not say how many tokens it takes",
        )
        return f"{self.model} behind {kind} {', '.join(abilities[:-1])}, and {abilities[-1]}"

    def record(self) -> dict[str, str | int | bool | None]:
        """As JSON, with the sentence."""
        return {**asdict(self), "sentence": self.sentence}


async def probe(model: ServedModel, max_tokens: int = 64) -> ServerProbe:
    """Ask for one move under a grammar, and for one likelihood.

    Raises ModelUnavailable, or ModelMisconfigured where the server refuses even this.
    """
    grammar, thought, advice = True, "", ""
    try:
        asked = Request(_GREETING, _FORM, Sampling(temperature=1.0, max_tokens=max(32, max_tokens)))
        thought = (await model.generate(asked)).thought
    except FormMissed as error:
        grammar, thought, advice = False, error.completion.thought, str(error)
    except PromptRefused as error:
        raise ModelMisconfigured(f"{error} (and that was only a greeting)") from error
    return ServerProbe(
        model=model.card.name,
        backend=model.card.backend,
        grammar=grammar,
        likelihoods=await _tells_likelihoods(model),
        thinks=bool(thought),
        tokenizer=model.tokenizer_name,
        context=None if model.card.context >= UNKNOWN_CONTEXT else model.card.context,
        advice=advice,
    )


async def _tells_likelihoods(model: ServedModel) -> bool:
    try:
        await model.score([Utterance(_GREETING, "Good morning.")])
    except (ModelUnavailable, ModelMisconfigured):
        raise
    except NoLikelihoods:
        return False
    except ModelError as error:
        _log.warning("%s", error)
        return False
    return True
