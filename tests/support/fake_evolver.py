"""Fakes for unit tests: trajectories by hand, evolvers that answer what a test wants. No language model is in here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence

from agents.models.model import Completion, Likelihood, Message, Model, ModelCard, Request, Utterance
from agents.prompts import conversation, fingerprint, skill_text
from agents.skill import Skill
from environments.grammar import Choices, dump
from transfer.memory.experience import Step, Trajectory

MOVES = Choices(("[a]", "[b]"))


def skill(name: str = "old", procedure: str = "1. Do it.", activation: str = "always", **other: object) -> Skill:
    return Skill(name=name, activation=activation, procedure=procedure, termination="never", **other)


def trajectory(
    id: str,
    moves: Iterable[tuple[str, float]],
    active: Skill | None,
    *,
    task: str = "T",
    rules: str = "Say [a] or [b].",
) -> Trajectory:
    """An episode of (action, reward) pairs under one skill, with the prompts' real digests."""
    steps: list[Step] = []
    turns: list[tuple[str, str]] = []
    memory = skill_text(active) if active else ""
    for index, (action, reward) in enumerate(moves):
        observation = f"Round {index}."
        steps.append(
            Step(
                observation=observation,
                action=action,
                completion=action,
                reward=reward,
                skill=active.id if active else None,
                started=index == 0 and active is not None,
                grammar=dump(MOVES),
                prompt_digest=fingerprint(conversation(rules, memory, turns, observation)),
            )
        )
        turns.append((observation, action))
    total = math.fsum(step.reward for step in steps)
    return Trajectory(
        id=id, agent="x", task=task, env_seed=0, rules=rules, steps=tuple(steps), total=total, reason="over"
    )


class FakeModel(Model):
    """Answers by a function of the request, scores by a function of the utterance; counts its calls."""

    def __init__(
        self,
        answer: Callable[[Request], str] = lambda request: "",
        chance: Callable[[Utterance], float] = lambda utterance: -1.0,
        name: str = "fake",
    ) -> None:
        self._answer, self._chance, self._name = answer, chance, name
        self.requests: list[Request] = []
        self.scorings: list[list[Utterance]] = []

    @property
    def card(self) -> ModelCard:
        return ModelCard(self._name, "fake", "fake", "", "exact", 1_000_000)

    async def generate(self, request: Request) -> Completion:
        self.requests.append(request)
        return Completion(self._answer(request), 1, 1)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        self.scorings.append(list(utterances))
        return [Likelihood((self._chance(utterance),)) for utterance in utterances]

    def count(self, text: str) -> int:
        return len(text.split())

    async def close(self) -> None:
        pass


def system(messages: Sequence[Message]) -> str:
    return messages[0].content


def preferring(chances: dict[str, float]) -> Callable[[Utterance], float]:
    """ln p of "[a]" is ln chances[word] where that word stands in the skill; [b] has the rest."""

    def chance(utterance: Utterance) -> float:
        p = next((value for word, value in chances.items() if word in system(utterance.messages)), 0.5)
        p = p if utterance.text == "[a]" else 1.0 - p
        return math.log(p) if p > 0 else -math.inf

    return chance


def kind_of(request: Request) -> str:
    """Which of the evolver's questions this is, by the schema it must answer in."""
    schema = json.loads(request.grammar.schema)  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    return schema["title"]


def evolver(procedures: Sequence[str], *, related: bool = True) -> FakeModel:
    """Writes valid answers; its candidates' procedures are `procedures`, by the request's order."""
    written: list[str] = []

    def answer(request: Request) -> str:
        match kind_of(request):
            case "Attribution":
                return json.dumps(
                    {"diagnosis": "d", "is_related": related, "activation": "", "procedure": ["p"], "termination": ""}
                )
            case "Summary":
                return json.dumps({"summary": "s"})
            case "Consolidation":
                return json.dumps({"activation": "", "procedure": ["p"], "termination": ""})
            case _:
                written.append(procedures[len(written) % len(procedures)])
                return json.dumps(
                    {"name": "new", "activation": "now", "procedure": [written[-1]], "termination": "then"}
                )

    return FakeModel(answer, name="evolver")
