"""Admission: quarantine, and the gate of the receiver."""

from __future__ import annotations

import asyncio

import pytest

from agents.models.model import ModelUnavailable
from agents.models.scripted import ScriptedModel, obedient
from agents.skill import Skill
from tests.support.members import DOOR, KEEP, SIGN, STORED, exchange, holders, played, skill, society, state
from transfer.exchange.admission import AdmissionCase, Quarantine
from transfer.exchange.exchange import Terms
from transfer.exchange.policies import ADMISSIONS, EXCHANGES
from transfer.exchange.population import Member, MemberUpdate, Population
from transfer.gate.acceptance import Improvement
from transfer.gate.gate import PPOGate
from transfer.memory.state import Baseline, LearnerState


class Counting(ScriptedModel):
    """The scripted model "obedient", counting its batches of likelihoods."""

    def __init__(self) -> None:
        super().__init__("counting", obedient)
        self.batches: list[int] = []

    async def score(self, utterances):
        self.batches.append(len(utterances))
        return await super().score(utterances)


def quarantine(model: ScriptedModel, *members: str) -> Quarantine:
    gate = PPOGate((model,), acceptance=Improvement())
    return Quarantine(dict.fromkeys(members, gate), STORED.__getitem__)


def receiving(*skills: Skill) -> LearnerState:
    return state(*skills).model_copy(update={"baselines": {"Doors-v0": Baseline(mean=0.5, n=6)}})


def neighbours(giver: LearnerState, count: int) -> Population:
    found = society(giver=giver, **{f"m{index}": receiving(skill("own")) for index in range(count)})
    members = {name: member.model_copy(update={"recent": tuple(STORED)}) for name, member in found.members.items()}
    return found.replace(members)


RIGHT = skill("right", f"{SIGN}: {DOOR}.")
WRONG = skill("wrong", f"{SIGN}: [red].")
IDLE = skill("idle", "think of something else")


@pytest.mark.parametrize(("given_", "outcome"), [(RIGHT, "accepted"), (WRONG, "rejected"), (IDLE, "rejected")])
def test_the_gate_lets_in_what_made_the_receivers_good_moves_likelier(given_, outcome):
    before = neighbours(receiving(given_), 1)
    after, said = exchange("broadcast", before, admission=quarantine(Counting(), "giver", "m0"))
    assert (given_.id in after.members["giver"].state.pool) is True
    routed, said = exchange("ring", before, admission=quarantine(Counting(), "giver", "m0"))
    assert (given_.id in routed.members["m0"].state.pool) is (outcome == "accepted")
    verdict = next(each.event for each in said if each.event.kind == "verdict" and each.member == "m0")
    assert verdict.payload["outcome"] == outcome
    assert verdict.payload["from"] == "giver"
    assert (verdict.payload["delta_J"] > 0) is (outcome == "accepted")
    assert verdict.payload["rebuilt"] == 0.0  # these trajectories were made by hand


def test_a_broadcast_is_one_batch():
    """Likelihoods for one skill before 12 receivers: one batch, and one small one for the noise."""
    counts = {}
    for size in (6, 12):
        model = Counting()
        names = [f"m{index}" for index in range(size)]
        found = neighbours(receiving(RIGHT), size)
        policy = EXCHANGES["broadcast"](Terms(), quarantine(model, "giver", *names), KEEP)
        merits = {"giver": 9.0} | dict.fromkeys(names, 0.0)
        after, _ = asyncio.run(policy.exchange(found, found, played(**merits)))
        assert len(holders(after, RIGHT.id)) == size + 1
        assert len(model.batches) == 2
        counts[size] = model.batches[0]
    assert counts[12] <= 2 * counts[6]


def test_a_receiver_without_experience_stays_undecided():
    found = society(giver=receiving(RIGHT), m0=receiving(skill("own")))
    after, _ = exchange("ring", found, admission=quarantine(Counting(), "giver", "m0"))
    assert [gift.skill for gift in after.members["m0"].quarantine] == [RIGHT]


class Silent(ScriptedModel):
    def __init__(self) -> None:
        super().__init__("silent", obedient)

    async def score(self, utterances):
        raise ModelUnavailable("silent does not answer")


def test_a_gate_whose_model_is_gone_decides_nothing():
    judge = quarantine(Counting(), "giver", "m0")
    judge = Quarantine({**judge.gates, "m0": PPOGate((Silent(),))}, judge.recall)
    case = AdmissionCase("m0", RIGHT, receiving(IDLE), tuple(STORED), {})
    other = AdmissionCase("giver", RIGHT, receiving(IDLE), tuple(STORED), {})
    with pytest.raises(ModelUnavailable) as caught:
        asyncio.run(judge.judge([case, other]))
    assert caught.value.__notes__ == ["m0"]  # whose gate it was; its study waits for it, or goes on without m0


def test_the_gates_of_a_commons_are_a_panel():
    base = neighbours(receiving(skill("own")), 4)
    for new, expected in ((RIGHT, 5), (WRONG, 0)):
        lesson = MemberUpdate(receiving(skill("own"), new), ())
        learned = base.grown({"m0": lesson})
        learned = learned.replace({"m0": learned.members["m0"].model_copy(update={"recent": tuple(STORED)})})
        judge = quarantine(Counting(), *base.members)
        after, said = exchange("commons", learned, base=base, admission=judge)
        assert len(holders(after, new.id)) == expected
        verdict = next(each.event for each in said if each.event.kind == "verdict")
        assert len(verdict.payload["votes"]) == 3


def test_every_admission_can_be_made():
    for make in ADMISSIONS.values():
        assert make({}, STORED.__getitem__, lambda spans, baselines: []) is not None
    assert Member(state=state(skill("a"))).lost == ""
