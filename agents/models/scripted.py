"""Scripted models: policies in closed form behind the same `Model`, for tests, dry runs and scale.

They ship with the product and are named in a study as "scripted:NAME".
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from agents.models.model import Completion, Likelihood, Message, Model, ModelCard, ModelError, Request, Utterance
from environments.grammar import Choices, Grammar
from environments.sampling import sample

ScriptedPolicy = Callable[[tuple[Message, ...], Grammar | None], "dict[str, float] | None"]
"""What a policy makes of a prompt: a probability per option, or None where it has no opinion (then: any text)."""

WORD = re.compile(r"\w+|[^\w\s]")
CUE = re.compile(r":\s+([\w-]+)")
WALKTHROUGH = re.compile(r"^Walkthrough: (.+)$", re.MULTILINE)


class ScriptedModel(Model):
    """A model whose behaviour is a `ScriptedPolicy`. Everything is a function of the prompt and the request's seed.

    A token is a word or a punctuation mark. Where the grammar has no list of options, texts are drawn at random and
    each character counts as equally likely among 95, so that likelihoods exist and do not depend on the prompt.
    """

    def __init__(self, name: str, policy: ScriptedPolicy) -> None:
        self._policy = policy
        self._card = ModelCard(
            name, "scripted", "scripted", hashlib.sha256(name.encode()).hexdigest(), "exact", context=1_000_000
        )

    @property
    def card(self) -> ModelCard:
        return self._card

    async def generate(self, request: Request) -> Completion:
        rng = np.random.default_rng(request.sampling.seed)
        odds = self._policy(request.messages, request.grammar)
        if odds is None:
            text = "" if request.grammar is None else sample(request.grammar, rng)
            logprob = -math.log(95) * len(text)
        else:
            options = list(odds)
            if request.sampling.temperature == 0:
                text = max(options, key=lambda option: odds[option])
            else:
                text = options[int(rng.choice(len(options), p=list(odds.values())))]
            logprob = math.log(odds[text])
        prompt_tokens = sum(self.count(message.content) for message in request.messages)
        return Completion(text, prompt_tokens, self.count(text), logprob=logprob, policy_logprob=logprob)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        return [self._likelihood(utterance) for utterance in utterances]

    def _likelihood(self, utterance: Utterance) -> Likelihood:
        odds = self._policy(utterance.messages, utterance.grammar)
        if odds is None:
            return Likelihood((-math.log(95),) * len(utterance.text))
        chance = odds.get(utterance.text, 0.0)
        return Likelihood((math.log(chance) if chance > 0 else -math.inf,))

    def count(self, text: str) -> int:
        return _words(text)

    async def close(self) -> None:
        pass


@lru_cache(maxsize=4096)  # a conversation's texts are counted anew at each of its steps
def _words(text: str) -> int:
    return len(WORD.findall(text))


def uniform(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float] | None:
    """Every legal option alike."""
    if not isinstance(grammar, Choices):
        return None
    return dict.fromkeys(grammar.options, 1 / len(grammar.options))


def suggestible(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float] | None:
    """Follows advice: an option is e³ times likelier for standing in the system message (the rules or the skill)."""
    if not isinstance(grammar, Choices):
        return None
    advice = messages[0].content if messages[0].role == "system" else ""
    weights = [math.exp(3.0 * (option.strip("[] ") in advice)) for option in grammar.options]
    total = sum(weights)
    return {option: weight / total for option, weight in zip(grammar.options, weights, strict=True)}


def stubborn(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float] | None:
    """Always the first option, nearly: it hears no advice, so no skill can help it."""
    if not isinstance(grammar, Choices):
        return None
    rest = 0.05 / max(1, len(grammar.options) - 1)
    odds = dict.fromkeys(grammar.options, rest)
    odds[grammar.options[0]] = 1.0 - rest * (len(grammar.options) - 1)
    return odds


def cue(observation: str) -> str:
    """The word after the last colon of an observation, which is where our worlds put what changes; "" for none."""
    found = CUE.findall(observation)
    return found[-1].lower() if found else ""


def obedient(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float] | None:
    """Looks the cue up in its advice: an option that is noted there ("owl: [green]") is e⁴ times likelier."""
    if not isinstance(grammar, Choices):
        return None
    shown = cue(messages[-1].content)
    advice = messages[0].content if shown and messages[0].role == "system" else ""
    weights = [math.exp(4.0 * (f"{shown}: {option}" in advice)) for option in grammar.options]
    total = sum(weights)
    return {option: weight / total for option, weight in zip(grammar.options, weights, strict=True)}


def walkthrough(messages: tuple[Message, ...], grammar: Grammar | None) -> dict[str, float] | None:
    """The oracle: follows "Walkthrough: one; two; …" in its rules, move by move. Any option alike where there is none.

    Nobody is told a walkthrough who has not asked for it: `ALFWorld-v0:told=walkthrough`.
    """
    if not isinstance(grammar, Choices):
        return None
    told = WALKTHROUGH.search(messages[0].content)
    moves = told[1].split("; ") if told else []
    made = sum(message.role == "assistant" for message in messages)
    if made >= len(moves) or moves[made] not in grammar.options:
        return uniform(messages, grammar)
    return {option: float(option == moves[made]) for option in grammar.options}


POLICIES: dict[str, ScriptedPolicy] = {
    "random": uniform,
    "suggestible": suggestible,
    "stubborn": stubborn,
    "obedient": obedient,
    "walkthrough": walkthrough,
}


def scripted(name: str) -> ScriptedModel:
    """The scripted model of that name, with or without "scripted:". Raises ModelError for an unknown one."""
    short = name.removeprefix("scripted:")
    if short not in POLICIES:
        raise ModelError(f"no scripted model is called {short!r}; there are: {', '.join(POLICIES)}")
    return ScriptedModel(f"scripted:{short}", POLICIES[short])
