"""Algorithm 1 in whole iterations, with an evolver in closed form."""

from __future__ import annotations

import asyncio
import json
import math

import numpy as np
import pytest

from agents.embedding import LexicalEmbedder
from agents.models.model import NoLikelihoods
from tests.support.fake_evolver import FakeModel, evolver, preferring, skill, trajectory
from transfer.gate.gate import Verdict
from transfer.maintenance.rules import Always
from transfer.memory.lineage import Lineage
from transfer.memory.pool import SkillPool
from transfer.memory.seed_pool import seed_pool
from transfer.memory.state import LearnerState
from transfer.nppo.aggregation import AggregateGradient
from transfer.nppo.algorithm import NPPO
from transfer.nppo.config import AS_RELEASED, PAPER, ChoiceError, make_config
from transfer.nppo.evolution import Evolution
from transfer.nppo.evolver import Unusable
from transfer.nppo.gradient import Gradient
from transfer.nppo.proposal import Proposals
from transfer.registry import LEARNERS, LearnerModels, check_parts, nppo

OLD = skill()
CHANCES = {"good": 0.8, "bad": 0.2}


def minds(procedures=("bad one", "good one", "same one"), chance=None, **other):
    return LearnerModels(
        FakeModel(chance=chance or preferring(CHANCES)), evolver(procedures, **other), LexicalEmbedder()
    )


def episodes(count=6, start=0, active=OLD):
    """[a] pays 1, [b] nothing."""
    return [
        trajectory(f"e{i}", [("[a]" if i % 2 else "[b]", float(i % 2))], active) for i in range(start, start + count)
    ]


def recall_of(*batches):
    return {each.id: each for batch in batches for each in batch}.__getitem__


def iterate(learner, state, fresh, recall=None):
    return asyncio.run(learner.iterate(state, fresh, recall or recall_of(fresh)))


def learner_of(parts, evidence=99, **changes):
    """With OLD alone in the pool its score is 0 by definition: it must not be pruned for that."""
    return nppo(parts, np.random.SeedSequence(1), make_config("paper", {"evidence": evidence, **changes}))


def test_the_better_of_several_candidates_gets_in():
    parts = minds()
    learner = learner_of(parts)
    fresh = episodes()
    state, events = iterate(learner, learner.begin(SkillPool.of([OLD])), fresh)
    newcomer = next(each for each in state.pool.each() if each.id != OLD.id)
    assert newcomer.procedure == "1. good one"
    assert newcomer.parents == (OLD.id,)
    evolved = [*["gradient"] * 6, "aggregate", *["candidate"] * 3, *["verdict"] * 3, "admitted"]
    assert [event.kind for event in events] == ["seeded", "baseline", "scored", *evolved]
    assert state.iteration == 1
    assert state.buffer == {}
    assert state.cooldowns == {OLD.id: 4}
    assert state.born[newcomer.id] == 1
    assert state.outcomes == {"accepted": 1, "rejected": 2}
    assert len(parts.actor.scorings) == 2  # one for parent and candidates together, one for the noise floor


def test_nothing_good_enough_leaves_the_pool_and_half_the_buffer():
    learner = learner_of(minds(["bad one"]))
    state, events = iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    assert state.pool.ids == (OLD.id,)
    assert state.buffer == {OLD.id: ("e3", "e4", "e5")}
    assert not [event for event in events if event.kind == "admitted"]


def test_unrelated_gradients_lead_to_a_discovery_without_parents():
    learner = learner_of(minds(["good one"], related=False))
    state, events = iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    newcomer = next(each for each in state.pool.each() if each.id != OLD.id)
    assert newcomer.parents == ()
    assert next(event for event in events if event.kind == "admitted").payload["mode"] == "DISCOVER"


def test_state_survives_json_and_resumed_learning_equals_uninterrupted():
    first, second = episodes(), episodes(6, 6)
    recall = recall_of(first, second)
    whole = learner_of(minds())
    state, _ = iterate(whole, whole.begin(SkillPool.of([OLD])), first, recall)
    after, events = iterate(whole, state, second, recall)

    # The fake writes by the order of requests; a real evolver by seed. So the resumed learner gets an evolver that has
    # answered as many requests already.
    resumed = learner_of(minds())
    loaded = LearnerState.model_validate_json(state.model_dump_json())
    again, same_events = iterate(resumed, loaded, second, recall)
    assert again.pool == after.pool
    assert again.model_dump_json() == after.model_dump_json()
    assert [event.model_dump_json() for event in same_events] == [event.model_dump_json() for event in events]


def test_seeds_depend_on_iteration_and_parent_only():
    fresh = episodes()
    parts, others = minds(), minds()
    for each in (parts, others):
        learner = learner_of(each)
        iterate(learner, learner.begin(SkillPool.of([OLD])), fresh)
    seeds = [request.sampling.seed for request in parts.evolver.requests]
    assert seeds == [request.sampling.seed for request in others.evolver.requests]
    assert len(set(seeds)) == len(seeds)


def test_pool_never_exceeds_its_capacity_in_a_long_run():
    rng = np.random.default_rng(0)
    texts = [f"good {i}" for i in range(50)]
    learner = learner_of(minds(texts), evidence=1, cooldown=0)
    state, history, log = learner.begin(SkillPool.of([OLD], 3)), [], []
    for iteration in range(12):
        fresh = [
            trajectory(f"{iteration}-{i}-{each.id}", [(("[a]", "[b]")[rng.integers(2)], float(rng.random()))], each)
            for each in state.pool.each()
            for i in range(6)
        ]
        history += fresh
        state, events = iterate(learner, state, fresh, recall_of(history))
        log += events
        assert 1 <= len(state.pool) <= 3
        assert len(state.model_dump_json()) < 20_000
    lineage = Lineage.of(log)
    assert sorted(lineage.alive) == sorted(state.pool.ids)
    assert len([life for life in lineage.lives.values() if life.died is not None]) > 3
    newest = max(lineage.alive, key=lambda each: lineage.lives[each].born or 0)
    assert lineage.tree().count("\n") >= 3
    born = [life.skill for life in lineage.lives.values() if life.born is not None]
    assert all(skill in lineage.tree() for skill in born)
    assert all(skill not in lineage.ancestors(skill) for skill in born)
    assert all(ancestor in lineage.lives for ancestor in lineage.ancestors(newest))


@pytest.mark.parametrize("text", ["", "{}", "not json", json.dumps({"name": "x" * 50_000})])
def test_a_useless_evolver_does_not_crash_the_night(text):
    parts = LearnerModels(FakeModel(chance=preferring(CHANCES)), FakeModel(lambda request: text), LexicalEmbedder())
    learner = learner_of(parts)
    state, events = iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    assert state.iteration == 1
    assert state.pool.ids == (OLD.id,)
    skipped = [event for event in events if event.kind == "skipped"]
    assert len(skipped) == 7
    assert "none of its trajectories" in str(skipped[-1].payload["why"])


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_unusable_likelihoods_admit_nobody(value):
    learner = learner_of(minds(chance=lambda utterance: value))
    state, events = iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    assert state.outcomes == {"undecided": 3}
    assert all(json.loads(event.model_dump_json()) for event in events)


def test_no_experience_and_lost_experience():
    learner = learner_of(minds())
    state, _ = iterate(learner, learner.begin(seed_pool()), [])
    assert state.iteration == 1
    fresh = episodes()
    state, events = iterate(learner, learner.begin(SkillPool.of([OLD])), fresh, {}.__getitem__)
    assert any("too few" in str(event.payload.get("why")) for event in events)
    assert state.pool.ids == (OLD.id,)


def test_a_model_without_likelihoods_refuses_and_names_the_way_out():
    def refuse(utterance):
        raise NoLikelihoods("no likelihoods here; run it in process")

    learner = learner_of(minds(chance=refuse))
    with pytest.raises(NoLikelihoods, match="run it in process"):
        iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    without = learner_of(minds(chance=refuse), gate="none")
    state, _ = iterate(without, without.begin(SkillPool.of([OLD])), episodes())
    assert len(state.pool) == 2


def test_scorers():
    actor, other = FakeModel(chance=preferring(CHANCES)), FakeModel(chance=preferring(CHANCES))
    writer = evolver(["good one"])
    parts = LearnerModels(actor, writer, LexicalEmbedder(), panel=(other,))
    for scorer, asked in (("actor", [actor]), ("evolver", [writer]), ("receiver", [other]), ("panel", [actor, other])):
        for model in (actor, other, writer):
            model.scorings.clear()
        learner = learner_of(parts, scorer=scorer)
        iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
        assert [bool(model.scorings) for model in (actor, other, writer)] == [
            model in asked for model in (actor, other, writer)
        ]
    with pytest.raises(ChoiceError, match="needs another agent"):
        learner_of(minds(), scorer="receiver")


@pytest.mark.parametrize("name", sorted(LEARNERS))
@pytest.mark.parametrize("choices", [PAPER, AS_RELEASED], ids=["paper", "as-released"])
def test_every_learner_runs_with_both_presets(name, choices):
    learner = LEARNERS[name](minds(), np.random.SeedSequence(0), choices)
    state = learner.begin(SkillPool.of([OLD, *seed_pool().each()], 7))
    for iteration in range(3):
        state, events = iterate(learner, state, episodes(6, 6 * iteration), recall_of(episodes(18)))
        assert all(event.iteration in (0, iteration + 1) for event in events)
    assert state.iteration == 3
    assert 1 <= len(state.pool) <= 7


def test_ablations_differ_in_one_part():
    parts = minds()
    LEARNERS["nppo-without-gradient"](parts, np.random.SeedSequence(0))
    learner = LEARNERS["nppo-without-gradient"](parts, np.random.SeedSequence(0))
    iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    asked = [message.content for request in parts.evolver.requests for message in request.messages]
    assert any("State facts only" in text for text in asked)
    assert not any("Find out from the replies" in text for text in asked)


@pytest.mark.parametrize(
    ("preset", "changes", "message"),
    [
        ("papier", {}, "no preset is called 'papier'"),
        ("paper", {"advantge": "x"}, "did you mean 'advantage'"),
        ("paper", {"advantage": "best"}, "learning.choices.advantage"),
        ("paper", {"clip": 3}, "learning.choices.clip"),
    ],
)
def test_unknown_choices_give_one_sentence(preset, changes, message):
    with pytest.raises(ChoiceError, match=message) as caught:
        check_parts(make_config(preset, changes))
    assert "\n" not in str(caught.value)


class Parts:
    """Every part of the algorithm, writing down what it is given."""

    def __init__(self, related=(True,) * 6, drafts=(), direction=("", "p", "")):
        self.related, self.drafts = related, drafts
        self.direction = AggregateGradient(activation=direction[0], procedure=direction[1], termination=direction[2])
        self.critics, self.aggregated, self.asked, self.judged = [], [], [], []

    async def critic(self, skill, spans, baseline, seed):
        played = spans[0].trajectory
        self.critics.append((skill, played.id, len(spans), baseline, seed))
        related = self.related[int(played.id[1:])]
        if related is None:
            raise Unusable("no answer")
        return Gradient(played.id, played.total, "d", related)

    async def aggregation(self, skill, gradients, seed):
        self.aggregated.append((skill, [each.trajectory for each in gradients], seed))
        return self.direction

    async def proposer(self, batch, seeds):
        self.asked.append((batch, tuple(seeds)))
        return Proposals(skills=tuple(self.drafts), problems=("one is missing",))

    async def judge(self, parent, candidates, evidence):
        self.judged.append((parent, tuple(candidates), evidence))
        return [Verdict(skill=each.id, outcome="rejected", why="") for each in candidates]

    def learner(self, **changes):
        seeds = changes.pop("seeds", np.random.SeedSequence(1))
        maintenance = Always(evidence=99)
        return NPPO(
            self.critic,
            self.aggregation,
            self.proposer,
            self,
            LexicalEmbedder(),
            seeds,
            maintenance=maintenance,
            **changes,
        )


def test_every_part_is_told_about_the_parent_its_baseline_and_its_segments():
    parts = Parts(drafts=[skill("n", "new")])
    learner = parts.learner()
    state, events = iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    assert [each[:4] for each in parts.critics] == [(OLD, f"e{i}", 1, 0.5) for i in range(6)]
    (aggregated,) = parts.aggregated
    assert aggregated[:2] == (OLD, [f"e{i}" for i in range(6)])
    ((asked, seeds),) = parts.asked
    assert (asked.parent, asked.rules, asked.mode, asked.direction) == (
        OLD,
        "Say [a] or [b].",
        "REFINE",
        parts.direction,
    )
    assert [each.trajectory for each in asked.gradients] == [f"e{i}" for i in range(6)]
    ((parent, candidates, evidence),) = parts.judged
    assert (parent, candidates) == (OLD, (skill("n", "new"),))
    assert [span.trajectory.id for span in evidence.spans] == [f"e{i}" for i in range(6)]
    assert [values.tolist() for values in evidence.advantages] == [[-0.5], [0.5]] * 3
    drawn = [*(each[4] for each in parts.critics), aggregated[2], *seeds]
    assert len(set(drawn)) == len(drawn) == 6 + 1 + 3
    assert all(0 <= seed < 2**31 for seed in drawn)
    assert max(drawn) > 2**28
    assert state.returns == (0.5,)
    said = {event.kind: event for event in events}
    assert said["gradient"].trajectories == ("e5",)
    assert said["candidate"].parents == (OLD.id,)
    assert said["skipped"].payload == {"why": "one is missing"}
    assert said["aggregate"].payload == {"mode": "REFINE", "related": 6, **parts.direction.model_dump()}


@pytest.mark.parametrize(
    ("related", "share", "mode", "used"),
    [
        ((True, True, True, False, False, False), 0.5, "REFINE", [0, 1, 2]),
        ((True, True, False, False, False, False), 0.5, "DISCOVER", [0, 1, 2, 3, 4, 5]),
        ((True, True, False, None, None, None), 0.5, "REFINE", [0, 1]),
        ((True, False, False, False, False, False), 0.0, "REFINE", [0]),
        ((False,) * 6, 0.0, "REFINE", [0, 1, 2, 3, 4, 5]),
        ((True,) * 5 + (False,), 1.0, "DISCOVER", [0, 1, 2, 3, 4, 5]),
    ],
)
def test_refined_by_what_is_related_or_discovered_from_everything(related, share, mode, used):
    parts = Parts(related)
    learner = parts.learner(related=share)
    _, events = iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    (aggregated,) = parts.aggregated
    assert aggregated[1] == [f"e{i}" for i in used]
    assert parts.asked[0][0].mode == mode
    skipped = [event.payload["why"] for event in events if event.kind == "skipped"]
    assert skipped == [*["no answer"] * related.count(None), "one is missing"]


def test_nothing_usable_or_nothing_recalled_ends_the_attempt_with_a_reason():
    nobody = Parts((None,) * 6)
    learner = nobody.learner()
    _, events = iterate(learner, learner.begin(SkillPool.of([OLD])), episodes())
    assert events[-1].payload == {"why": "none of its trajectories gave a usable gradient"}
    assert not nobody.aggregated
    _, events = iterate(learner, learner.begin(SkillPool.of([OLD])), episodes(), {}.__getitem__)
    assert events[-1].payload == {"why": "too few of its trajectories can be recalled"}


def test_what_is_known_already_is_named_and_the_rest_is_judged():
    other, dead, new = skill("other", "2. Other."), skill("dead", "3. Dead."), skill("new", "4. New.")
    parts = Parts(drafts=[other, dead, new])
    learner = parts.learner()
    state = learner.begin(SkillPool.of([OLD, other])).model_copy(update={"deaths": {dead.id: -1.0}})
    _, events = iterate(learner, state, episodes())
    assert parts.judged[0][1] == (new,)
    assert [event.payload["why"] for event in events if event.kind == "skipped"][1:] == [
        f"candidate {each.id} is in the pool or was pruned from it before" for each in (other, dead)
    ]


def drawn_by(seeds, iteration=0, start=0):
    parts = Parts((True,) * 20)
    learner = parts.learner(seeds=seeds)
    state = learner.begin(SkillPool.of([OLD])).model_copy(update={"iteration": iteration})
    iterate(learner, state, episodes(start=start))
    return parts.asked[0][1]


def test_draws_depend_on_the_run_the_iteration_and_the_trajectories_and_on_nothing_else():
    one, other = np.random.SeedSequence(1).spawn(2)
    base = drawn_by(one)
    assert drawn_by(np.random.SeedSequence(1).spawn(1)[0]) == base
    changed = [drawn_by(other), drawn_by(one, iteration=1), drawn_by(one, start=6), drawn_by(np.random.SeedSequence(2))]
    assert len({base, *changed}) == 5


def test_draws_of_the_evolver_are_those_of_earlier_versions():
    """A run that is resumed by a later version must ask with the seeds the interrupted one would have used."""
    assert drawn_by(np.random.SeedSequence(1)) == (1607794232, 1469704916, 2121208081)


def test_iterations_without_an_episode_leave_the_returns_as_they_were():
    learner = Parts().learner()
    state, _ = iterate(learner, learner.begin(SkillPool.of([OLD])), [])
    assert state.returns == ()
    lost = episodes(1)[0].model_copy(update={"total": math.nan})
    state, _ = iterate(learner, state, [lost])
    assert state.returns == ()
    state, _ = iterate(learner, state, [lost, *episodes(2)])
    assert state.returns == (0.5,)


def test_a_learner_may_begin_with_nothing():
    learner = Parts().learner()
    state, events = iterate(learner, learner.begin(SkillPool()), episodes())
    assert (len(state.pool), state.iteration) == (0, 1)
    assert [event.kind for event in events] == ["baseline"]


def test_every_candidate_needs_its_verdict():
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        Evolution("p", 1, (), candidates=[OLD]).judged([])
