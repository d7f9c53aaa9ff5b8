"""Admission: may a skill that somebody else gave be used? On trust, or after quarantine and gate."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from agents.models.model import Model, ModelUnavailable, Utterance
from agents.models.scoring.noise import noise_floor
from agents.skill import Skill
from transfer.exchange.population import Population
from transfer.gate.advantage import Advantage, StepBaseline
from transfer.gate.gate import PPOGate, Verdict
from transfer.gate.objective import Floats, log_ratios, objective
from transfer.gate.replay import replay, style_of
from transfer.memory.experience import Recall, Trajectory, recalled, stretches
from transfer.memory.state import LearnerState


@dataclass(frozen=True)
class AdmissionCase:
    """An incoming skill before its receiver, with the receiver's own latest trajectories (by id, oldest first).

    `incumbents` are the receiver's own skills of late, by id: those under which it played these trajectories.
    """

    receiver: str
    skill: Skill
    state: LearnerState
    trajectories: tuple[str, ...]
    incumbents: Mapping[str, Skill]


class Admission(Protocol):
    """All cases of an exchange come in one call, so that a model scores them in one batch."""

    async def judge(self, cases: Sequence[AdmissionCase]) -> list[Verdict]:
        """One verdict per case, in order. An undecided skill waits in quarantine. Raises as `Gate.judge` does."""
        ...


class OnTrust:
    """Whatever is given may be used at once."""

    async def judge(self, cases: Sequence[AdmissionCase]) -> list[Verdict]:
        return [Verdict(skill=case.skill.id, outcome="accepted", why="on trust") for case in cases]


def admission_case(receiver: str, skill: Skill, base: Population, population: Population) -> AdmissionCase:
    """The case of a skill before a member; `base` is how the population stood before the round's learning."""
    member = population.members[receiver]
    own = (*base.members[receiver].state.pool.each(), *member.state.pool.each())
    return AdmissionCase(receiver, skill, member.state, member.recent, {each.id: each for each in own})


class ScoredCase(NamedTuple):
    """A case made ready: everything that was done, to be scored as it was guided then and under the new skill."""

    case: AdmissionCase
    owners: tuple[str, ...]
    """Trajectory of each step."""
    advantages: Floats
    before: tuple[Utterance, ...]
    after: tuple[Utterance, ...]
    rebuilt: float


@dataclass(frozen=True)
class Quarantine:
    """Admission by the PPO gate of each receiver (`gates` by member).

    The ratio of a step compares the incoming skill with whatever the receiver really followed there, or nothing. All
    cases before one model go into one `score` call: a skill given to everybody is one batch.
    """

    gates: Mapping[str, PPOGate]
    recall: Recall
    advantage: Advantage = field(default_factory=StepBaseline)

    async def judge(self, cases: Sequence[AdmissionCase]) -> list[Verdict]:
        """Raises NoLikelihoods where a gate's model has none, ModelUnavailable (its notes name a receiver) where one
        does not answer: nothing is decided by an outage."""
        stored: dict[str, list[Trajectory]] = {}
        for case in cases:
            if case.receiver not in stored:
                stored[case.receiver] = recalled(case.trajectories, self.recall)
        verdicts: dict[int, Verdict] = {}
        benches: dict[int, list[int]] = {}
        briefs = [self._brief(case, stored[case.receiver]) for case in cases]
        for index, brief in enumerate(briefs):
            if not np.any(brief.advantages):
                why = "no experience to judge by" if not brief.owners else "every return equals the baseline"
                verdicts[index] = Verdict(skill=brief.case.skill.id, outcome="undecided", why=why)
            else:
                benches.setdefault(id(self._model(brief.case)), []).append(index)
        found = await asyncio.gather(*(self._bench([briefs[index] for index in bench]) for bench in benches.values()))
        for bench, judged in zip(benches.values(), found, strict=True):
            verdicts |= zip(bench, judged, strict=True)
        return [verdicts[index] for index in range(len(cases))]

    async def _bench(self, briefs: Sequence[ScoredCase]) -> list[Verdict]:
        """The verdicts on all cases before one model, from one batch of likelihoods."""
        model, gate = self._model(briefs[0].case), self.gates[briefs[0].case.receiver]
        asked = list(dict.fromkeys(utterance for brief in briefs for utterance in (*brief.before, *brief.after)))
        try:
            known = await model.score(asked)
            value = {utterance: gate.likelihood(each) for utterance, each in zip(asked, known, strict=True)}
            noise = await noise_floor(model, value, gate.repeats, gate.likelihood)
        except ModelUnavailable as error:
            error.add_note(briefs[0].case.receiver)
            raise
        return [self._verdict(brief, value, noise) for brief in briefs]

    def _verdict(self, brief: ScoredCase, value: Mapping[Utterance, float], noise: float) -> Verdict:
        gate = self.gates[brief.case.receiver]
        old, new = (np.array([value[utterance] for utterance in side]) for side in (brief.before, brief.after))
        found = objective(
            log_ratios(old, new),
            brief.advantages,
            brief.owners,
            reduction=gate.reduction,
            clip=gate.clip,
            noise_nats=noise,
        )
        verdict = gate.verdict(brief.case.skill, found, noise, brief.rebuilt)
        return verdict.model_copy(update={"text_only": sum(utterance.tokens is None for utterance in brief.before)})

    def _brief(self, case: AdmissionCase, trajectories: Sequence[Trajectory]) -> ScoredCase:
        gate = self.gates[case.receiver]
        usable = [each for each in trajectories if each.task in case.state.baselines]
        spans = [span for each in usable for span in stretches(each) if not span.skill or span.skill in case.incumbents]
        advantages = self.advantage(spans, [case.state.baselines[span.trajectory.task].mean for span in spans])
        before: list[Utterance] = []
        after: list[Utterance] = []
        rebuilt: list[bool] = []
        for span in spans:
            incumbent = case.incumbents.get(span.skill)
            style = style_of(span, incumbent)
            rebuilt.append(style.certain)
            before += replay(span, incumbent, gate.voice, style.name, kept=style.kept)
            after += replay(span, case.skill, gate.voice, style.name, kept=style.kept)
        return ScoredCase(
            case,
            tuple(span.trajectory.id for span in spans for _ in range(span.start, span.stop)),
            np.concatenate([np.empty(0), *advantages]),
            tuple(before),
            tuple(after),
            float(np.mean(rebuilt)) if rebuilt else 0.0,
        )

    def _model(self, case: AdmissionCase) -> Model:
        return self.gates[case.receiver].scorers[0]
