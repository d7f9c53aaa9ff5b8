"""The models of a scenario: each reads its prompt and answers by the scenario's laws."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from agents.models.model import Completion, Likelihood, Message, Model, ModelCard, Request, Utterance
from tests.support.scenario import Scenario, skill_of
from transfer.memory.experience import Step, Trajectory


class Compass:
    """The embedder: each activation points where `ANGLES` says."""

    def embed(self, texts: Sequence[str]) -> Any:
        return np.array([Scenario.vector(text) for text in texts])


class Mind(Model):
    """A model of a scenario: reads its prompt and answers by the scenario's laws."""

    def __init__(self, scenario: Scenario, name: str) -> None:
        self.scenario, self.name = scenario, name
        self.written: dict[str, int] = {}
        self.scored: set[tuple[str | None, str]] = set()
        self.seeds: list[int] = []

    @property
    def card(self) -> ModelCard:
        return ModelCard(self.name, "fake", "fake", "", "exact", 1_000_000)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        out: list[Likelihood] = []
        for each in utterances:
            mark, seen = used_in(each.messages[0].content), seen_in(each.messages)
            moves = [message for message in each.messages if message.role == "user"]
            style = "direct"
            if moves[-1].content.startswith("Now make your move"):
                style = "react" if "Thought:" in moves[-2].content else "reason"
            turns = len(each.messages) - (2 if style == "direct" else 4)
            acting = each.grammar is not None
            first, *rest = self.scenario.law(
                self.name, mark, seen, repr((each.text, each.tokens)), acting, each.temperature, style, turns
            )
            if (mark, seen) in self.scored:
                first += self.scenario.jitter(self.name, seen)
            self.scored.add((mark, seen))
            out.append(Likelihood((first, *rest)))
        return out

    async def generate(self, request: Request) -> Completion:
        self.seeds.append(request.sampling.seed)
        return Completion(json.dumps(self._answer(request)), 1, 1)

    def _answer(self, request: Request) -> dict[str, Any]:
        text = request.messages[-1].content
        mark = str(used_in(text))
        kind = json.loads(request.grammar.schema)["title"]  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
        match kind:
            case "Attribution":
                id, count = seen_in(request.messages).split("/")[0], text.count("The player saw:")
                found = re.search(r"ended with (\S+) points; the average is (\S+)\.", text)
                total, mean = found.groups() if found else ("", "")
                related = self.scenario.related(mark, id)
                if related is None:
                    return {}
                lesson = self.scenario.lesson(id)
                said = f"{mark} in {count} had {total} against {mean}"
                return answer(said, [lesson] if lesson else []) | {"is_related": related}
            case "Summary":
                found = re.search(r"ended with (\S+) points", text)
                id, count = seen_in(request.messages).split("/")[0], text.count("The player saw:")
                return {"summary": f"{id} in {count} ended with {found.group(1) if found else ''}"}
            case "Consolidation":
                said = self.scenario.consolidated(mark, text.count("- ("))
                return {"activation": "", "procedure": [said] if said else [], "termination": ""}
            case _:
                nth = self.written[mark] = self.written.get(mark, -1) + 1
                mode = "REFINE" if "improved skill" in text else "DISCOVER"
                found = re.search(r"told these rules:\n(.*)\n", text)
                rules = found.group(1) if found else ""
                word = self.scenario.draft(mark, nth, mode, rules, text.count("- (") or 1)
                skill = skill_of(word)
                return {
                    "name": skill.name,
                    "activation": skill.activation,
                    "procedure": [skill.procedure.removeprefix("1. ")],
                    "termination": skill.termination,
                }

    def count(self, text: str) -> int:
        return len(text.split())

    async def close(self) -> None:
        pass


def answer(diagnosis: str, procedure: list[str]) -> dict[str, Any]:
    return {"diagnosis": diagnosis, "procedure": procedure, "activation": "", "termination": ""}


def used_in(text: str) -> str | None:
    found = re.search(r"Use (\w+)\.", text)
    return found.group(1) if found else None


def seen_in(messages: Sequence[Message]) -> str:
    """The last observation of a prompt, as "trajectory/step"."""
    found = [each for message in messages for each in re.findall(r"Obs (\w+/\d+)\.", message.content)]
    return found[-1] if found else ""


class Referee:
    """A duel's test, by the scenario's law."""

    def __init__(self, name: str, level: float) -> None:
        self._law = partial(Scenario.weight, name, level=level)
        self._values: list[float] = []

    def add(self, value: float) -> Standing:
        self._values.append(value)
        return Standing(*self._law(self._values))


class Standing(NamedTuple):
    e_greater: float
    lower: float
    upper: float


class Arena:
    """Plays the games of duels by the scenario's law; games are numbered as they are met."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario, self._left = scenario, scenario.budget
        self.numbers: dict[int, int] = {}

    async def __call__(self, memory: Any, env_seeds: Sequence[int], *, paired: bool) -> list[Trajectory]:
        games, self._left = env_seeds[: self._left], self._left - len(env_seeds[: self._left])
        return [self._play(memory, seed, self.numbers.setdefault(seed, len(self.numbers))) for seed in games]

    def _play(self, memory: Any, env_seed: int, number: int) -> Trajectory:
        skill = None if memory is None else next(memory.each())
        total, id = self._scenario.game(skill, number)
        read, written = Scenario.TOKENS
        step = Step(observation="", action="", reward=total, prompt_tokens=read, completion_tokens=written)
        return Trajectory(id=id, agent="", task="", env_seed=env_seed, rules="", steps=(step,), total=total)
