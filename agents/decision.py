"""What passes between an environment and an agent: an observation in, a decision out."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Observation(BaseModel):
    """What one seat sees when it is its turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    rules: str
    grammar: str | None = None
    """The well-formed actions of this moment, as `environments.grammar.dump` writes them."""


class Decision(BaseModel):
    """One action, and everything about how it came to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: str
    skill: str | None = None
    """Id of the skill that was active, if any."""
    started: bool = False
    """True where the skill was selected at this very step (one skill call)."""
    explored: bool = False
    """True where ε-greedy, not the selector, chose."""
    units: tuple[str, ...] = ()
    """Ids of all stored units that stood in the prompt (the skill, or a memory's retrieved entries)."""
    grammar: str | None = None
    reasoning: str = ""
    completion: str = ""
    """What the model wrote, verbatim."""
    tokens: tuple[int, ...] | None = None
    """The ids it was written in, in the vocabulary of the model that wrote it; None where only the text is known."""
    logprob: float | None = None
    policy_logprob: float | None = None
    prompt_digest: str = ""
    prompt_tokens: int = 0
    memory_tokens: int = 0
    """Δprompt: tokens of the prompt minus tokens of the state-only prompt."""
    completion_tokens: int = 0
    thought_tokens: int = 0
    """Those of `completion_tokens` in which it thought aloud."""
    calls: int = 1
    """LLM calls spent on this decision (termination, selection, reasoning, action)."""
    dropped_turns: int = 0
    left_out: int = 0
    """Units that the memory chose but for which there was no room in the prompt."""
    written: str = ""
    """What stood in the prompt from this recall event on, where the memory wrote it for this game alone; blank where it
    is the words of its units."""
    reading_calls: int = 0
    """LLM calls among `calls` by which the memory was read (selection, termination, a query)."""
    reading_prompt_tokens: int = 0
    reading_completion_tokens: int = 0
    """Of these calls; not among the move's own tokens."""
