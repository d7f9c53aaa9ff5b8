"""Random histories of learning whose every model is known in closed form, for the production code and for `reference`.

A seed gives a pool with a past, episodes in several stretches of several skills, an evolver and scorers. Models read
what they are told from the prompts; the reference asks the same laws by what it means to ask.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any
from zlib import crc32

from agents.prompts import after_reasoning, conversation, fingerprint, reasoning_request, skill_text
from agents.skill import Skill
from environments.grammar import Choices as Moves
from environments.grammar import dump
from tests.support.reference.algorithm import Memory
from tests.support.reference.maintenance import Tally
from transfer.memory.experience import Step, Trajectory

MARKS = ("ash", "birch", "cedar", "elm", "fir", "hazel")
"""Every skill is known by one word; "ash" and "ashen" differ in nothing but the name."""
DRAFTS = (*MARKS, "ashen", "larch", "maple", "oak", "pine", "rowan", "yew")
ANGLES = dict(zip(DRAFTS, (0.0, 0.1, 0.35, 1.2, 1.3, 2.4, 0.0, 0.2, 1.25, 3.0, 1.9, 2.5, 0.6), strict=True))
"""Direction of each activation in radians: a pair less than .317 apart has a cosine above .95."""
TEMPERATURE = 0.7
NOTHING = "evolver gave no usable attribution in 2 attempts (procedure: Field required)"


def skill_of(mark: str, parents: tuple[str, ...] = ()) -> Skill:
    body = "ash" if mark == "ashen" else mark
    return Skill(
        name=mark,
        activation=f"Near the {body}.",
        procedure=f"1. Use {body}.",
        termination=f"No {body} is left.",
        parents=parents,
    )


def mark_of(skill: Skill | None) -> str | None:
    return skill.procedure.removeprefix("1. Use ").removesuffix(".") if skill else None


def drawn(*key: object) -> Random:
    return Random(crc32(repr(key).encode()))


class Scenario:
    """Everything that depends on the seed, none of it on the choices of a learner."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        rng = self.rng = Random(seed)
        self.noise = rng.choice((0.0, 0.0, 0.002, 0.3))
        self.rare = rng.choice((0.0, 0.0, 0.08, 0.6))
        """Share of likelihoods that are NaN or infinite."""
        self.terminal = rng.random() < 0.5
        self.tasks = ("T", "U")[: rng.randint(1, 2)]
        held = rng.sample(MARKS, rng.randint(1, 4))
        self.skills = {skill.id: skill for skill in map(skill_of, held)}
        count = rng.randint(2, 9)
        played = [self._trajectory(f"t{i}") for i in range(count)]
        past = [each for each in played if each.steps and math.isfinite(each.total)][: rng.randint(0, 6)]
        self.fresh = [each for each in played if each not in past]
        if rng.random() < 0.15:
            self.fresh.append(self._spoilt("bad"))
        self.stored = {each.id: each for each in played if rng.random() < 0.97}
        self.memory = self._memory(past)

    # -- what was played --------------------------------------------------------------------------------------------

    def _trajectory(self, id: str) -> Trajectory:
        rng = self.rng
        style = rng.choice(("direct", "direct", "reason", "react"))
        rules, length = f"Rules of {id}.", rng.randint(1, 6)
        active: Skill | None = None
        steps: list[Step] = []
        turns: list[tuple[str, str]] = []
        for t in range(length):
            started = t == 0 or rng.random() < 0.4
            if started:
                active = rng.choice([*self.skills.values(), *self.skills.values(), None])
            dropped = rng.choice((0, 0, 0, 2, 20))
            action = rng.choice(("[a]", "[b]"))
            observation = f"Obs {id}/{t}."
            whole = conversation(rules, skill_text(active) if active else "", turns, observation)
            prompt = (whole[0], *whole[1 + min(dropped, len(whole) - 2) :])
            thoughts = "" if style == "direct" else f"hm {t}"
            if style != "direct":
                prompt = after_reasoning(reasoning_request(prompt, style), thoughts)
            pays = t == length - 1 or not self.terminal
            steps.append(
                Step(
                    observation=observation,
                    action=action,
                    completion=rng.choice((action, f"{action} ", "")),
                    reward=rng.choice((0.0, 0.2613, 0.5171, 1.0371, -0.4933)) if pays else 0.0,
                    skill=active.id if active else None,
                    started=started and active is not None,
                    grammar=dump(Moves(("[a]", "[b]"))) if rng.random() < 0.8 else None,
                    reasoning=thoughts,
                    tokens=rng.choice((None, (7,), (8, 9))),
                    prompt_digest=fingerprint(prompt) if rng.random() < 0.8 else "another",
                    dropped_turns=dropped,
                )
            )
            turns.append((observation, action))
        total = math.fsum(step.reward for step in steps)
        task = rng.choice(self.tasks)
        return Trajectory(id=id, agent="x", task=task, env_seed=0, rules=rules, steps=tuple(steps), total=total)

    def _spoilt(self, id: str) -> Trajectory:
        whole = self._trajectory(id)
        if self.rng.random() < 0.4:
            return whole.model_copy(update={"steps": (), "total": 0.0})
        step = whole.steps[0].model_copy(update={"reward": math.nan})
        return whole.model_copy(update={"steps": (step, *whole.steps[1:]), "total": self.rng.choice((math.nan, 1.0))})

    def _memory(self, past: Sequence[Trajectory]) -> Memory:
        rng = self.rng
        iteration = rng.choice((0, 0, 2, 5, 9)) if not past else rng.choice((1, 4, 9))
        capacity = max(len(self.skills), rng.randint(1, 6))
        if not iteration:
            return Memory(self.skills, capacity, born=dict.fromkeys(self.skills, 0))
        scores = {
            id: Tally(rng.choice((-2.0, -0.5, 0.0, 0.3, 1.0, 5.0)), rng.choice((1, 2, 3, 9, 10, 79, 80)), calls, 40)
            for id in self.skills
            if (calls := rng.choice((0, 14, 15, 60))) or rng.random() < 0.5
        }
        return Memory(
            self.skills,
            capacity,
            iteration,
            scores=scores,
            baselines={
                task: (rng.choice((0.0, 0.38917)), rng.randint(1, 9))
                for task in self.tasks
                if past or rng.random() < 0.5
            },
            buffer={
                id: kept
                for id in self.skills
                if (kept := tuple(each.id for each in past if any(step.skill == id for step in each.steps)))
            },
            cooldowns={id: iteration + rng.randint(0, 3) for id in self.skills if rng.random() < 0.3},
            born={id: rng.randint(0, iteration) for id in self.skills},
            deaths={skill_of(mark).id: -0.1 for mark in ("oak", "pine") if rng.random() < 0.5},
            outcomes={"accepted": 1} if rng.random() < 0.5 else {},
            returns=tuple(rng.random() for _ in range(iteration)),
        )

    # -- likelihoods ------------------------------------------------------------------------------------------------

    def law(
        self,
        model: str,
        mark: str | None,
        seen: str,
        said: str,
        acting: bool,
        temperature: float,
        style: str,
        turns: int,
    ) -> tuple[float, ...]:
        """Log-probabilities of `said` (a text and its tokens), at `seen` after `turns` earlier messages."""
        place = drawn(self.seed, model, seen, said)
        common = [-place.random() * 2 for _ in range(place.randint(1, 3))]
        how = drawn(self.seed, model, seen, said, acting, temperature, style, turns)
        common[0] -= how.random()
        own = drawn(self.seed, model, mark, seen, acting, temperature, style, turns)
        if own.random() < self.rare:
            common[-1] = own.choice((math.nan, -math.inf, -math.inf, math.inf))
        else:
            common[-1] += own.choice((0.0, 0.02, -0.05, 0.1, -0.15, 0.17, 0.3, -0.4, 1.5, -30.0))
        return tuple(common)

    def tokens(
        self, choices: Mapping[str, Any], model: str, skill: Skill | None, trajectory: Trajectory, t: int, style: str
    ) -> tuple[float, ...]:
        """What the law says of a recorded action, when the choices say whose likelihood is meant."""
        step = trajectory.steps[t]
        policy = choices["whose"] == "policy"
        return self.law(
            model,
            mark_of(skill),
            f"{trajectory.id}/{t}",
            repr((step.completion or step.action, step.tokens)),
            policy and step.grammar is not None,
            TEMPERATURE if policy else 1.0,
            style if choices["reasoning"] == "given" else "direct",
            2 * t - min(step.dropped_turns, 2 * t),
        )

    def again(
        self, choices: Mapping[str, Any], model: str, skill: Skill | None, trajectory: Trajectory, t: int, style: str
    ) -> tuple[float, ...]:
        """The same, scored a second time."""
        first, *rest = self.tokens(choices, model, skill, trajectory, t, style)
        return (first + self.jitter(model, f"{trajectory.id}/{t}"), *rest)

    def jitter(self, model: str, seen: str) -> float:
        return self.noise * drawn(self.seed, "jitter", model, seen).choice((-1.0, 0.0, 0.5, 2.0))

    @staticmethod
    def style(trajectory: Trajectory, start: int, parent: Skill | None) -> tuple[str, bool]:
        """How a stretch was asked for, and whether its first prompt is known to the letter."""
        step = trajectory.steps[start]
        if step.prompt_digest == "another":
            return ("reason" if step.reasoning else "direct"), False
        turns = [(each.observation, each.action) for each in trajectory.steps[:start]]
        whole = conversation(trajectory.rules, skill_text(parent) if parent else "", turns, step.observation)
        prompt = (whole[0], *whole[1 + min(step.dropped_turns, len(whole) - 2) :])
        for style in ("reason", "react"):
            if fingerprint(after_reasoning(reasoning_request(prompt, style), step.reasoning)) == step.prompt_digest:
                return style, True
        return "direct", fingerprint(prompt) == step.prompt_digest

    @staticmethod
    def scorers(name: str) -> list[str]:
        return {
            "actor": ["actor"],
            "evolver": ["evolver"],
            "receiver": ["first"],
            "panel": ["actor", "first", "second"],
        }[name]

    # -- duels ------------------------------------------------------------------------------------------------------

    TOKENS = (3, 1)
    """Read and written in a game."""

    @property
    def budget(self) -> int:
        """Games that may be played beside those of the iteration."""
        return drawn(self.seed, "budget").choice((0, 5, 30, 10_000))

    def game(self, skill: Skill | None, number: int) -> tuple[float, str]:
        """What playing with this skill alone pays in a game, and the trajectory's id."""
        mark = mark_of(skill)
        able = drawn(self.seed, "able", mark).choice((0.0, 0.0, 0.5, 1.0))
        return able + drawn(self.seed, mark, number).choice((-0.25, 0.0, 0.25)), f"{mark}@{number}"

    @staticmethod
    def weight(test: str, differences: Sequence[float], level: float) -> tuple[float, float, float]:
        """A law in place of a test: e-value, and both ends of an interval."""
        count, mean = len(differences), sum(differences) / len(differences)
        width = (2.0 if test == "symmetric" else 4.0) * (1 - level) / count
        return math.exp(sum(differences)), mean - width, mean + width

    # -- the evolver ------------------------------------------------------------------------------------------------

    def related(self, mark: str, id: str) -> bool | None:
        """None: the evolver has nothing usable to say."""
        draw = drawn(self.seed, "related", mark, id).random()
        return None if draw < 0.08 else draw < drawn(self.seed, "how often", mark).choice((0.3, 0.6, 1.0))

    def gradient(
        self, critic: str, parent: Skill, trajectory: Trajectory, stretches: int, baseline: float
    ) -> dict[str, Any] | str:
        mark = str(mark_of(parent))
        related = self.related(mark, trajectory.id)
        empty = {"total": trajectory.total, "activation": "", "procedure": "", "termination": ""}
        if critic == "neutral-summary":
            said = f"{trajectory.id} in {stretches} ended with {trajectory.total:.3g}"
            return empty | {"diagnosis": said, "is_related": True}
        if related is None:
            return NOTHING
        said = f"{mark} in {stretches} had {trajectory.total:.3g} against {baseline:.3g}"
        return empty | {"diagnosis": said, "is_related": related, "procedure": self.lesson(trajectory.id)}

    def lesson(self, id: str) -> str:
        return drawn(self.seed, "lesson", id).choice(("", f"learn {id}"))

    def consolidated(self, mark: str, count: int) -> str:
        """The evolver's summary of so many gradients; nothing recurs for some skills."""
        return drawn(self.seed, "consolidated", mark).choice(("", f"{count} lessons for {mark}"))

    def direction(self, aggregation: str, parent: Skill, used: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        if aggregation == "juxtapose":
            lessons = list(dict.fromkeys(each["procedure"] for each in used if each["procedure"]))
            lessons = lessons or list(dict.fromkeys(each["diagnosis"] for each in used))
            return {"activation": "", "procedure": "; ".join(lessons), "termination": ""}
        return {"activation": "", "procedure": self.consolidated(str(mark_of(parent)), len(used)), "termination": ""}

    def draft(self, mark: str, nth: int, mode: str, rules: str, evidence: int) -> str:
        """The word of the nth skill that is written for a parent."""
        return drawn(self.seed, mark, nth, mode, rules, evidence).choice((mark, *DRAFTS))

    def candidate(
        self,
        parent: Skill,
        nth: int,
        mode: str,
        rules: str,
        direction: Mapping[str, Any],
        used: Sequence[Mapping[str, Any]],
    ) -> Skill:
        evidence = 1 if direction["procedure"] else len(used)
        mark = self.draft(str(mark_of(parent)), nth, mode, rules, evidence)
        return skill_of(mark, (parent.id,) if mode == "REFINE" else ())

    @staticmethod
    def vector(activation: str) -> tuple[float, ...]:
        angle = ANGLES[activation.removeprefix("Near the ").removesuffix(".")]
        return math.cos(angle), math.sin(angle)
