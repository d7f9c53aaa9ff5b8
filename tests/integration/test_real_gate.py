"""Gate and evolver with real weights."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path

import numpy as np
import pytest

from agents.agent import REASONING
from agents.models.local import LocalModel
from agents.models.model import Sampling
from testbed.bench.experiments.gates.calibration import collect
from tests.support.fake_evolver import skill
from transfer.gate.acceptance import Improvement
from transfer.gate.advantage import StepBaseline
from transfer.gate.gate import Evidence, PPOGate
from transfer.gate.influence import exposures
from transfer.gate.replay import ActingPolicy, replay, style_of
from transfer.memory.experience import controlled
from transfer.memory.pool import SkillPool
from transfer.memory.seed_pool import SEEDS
from transfer.nppo.evolver import Unusable
from transfer.nppo.gradient import Gradient, Hindsight

SEED = SEEDS[1]


@pytest.fixture(scope="module")
def smol(smollm2: Path):
    model = LocalModel.load(smollm2, name="smollm2", precision="float32", device="cpu", rows=4)
    yield model
    asyncio.run(model.close())


def played(model, reasoning="direct", count=2):
    rng = np.random.default_rng(1)
    sampling = Sampling(temperature=0.7, max_tokens=16)
    return asyncio.run(
        collect(
            model, "Doors-v0", SEED, env_seeds=range(count), rng=rng, sampling=sampling,
            reasoning=REASONING[reasoning],
        )
    )  # fmt: skip


@pytest.mark.parametrize("reasoning", ["direct", "react"])
def test_the_denominator_is_the_likelihood_with_which_the_policy_really_acted(smol, reasoning):
    """The recorded log-probability of a move, from decoding, is the one the gate computes from the replay.

    Unless the model spelled the move in other tokens than its tokenizer does: the gate scores the tokenizer's spelling,
    and two spellings of one text are two events, whose chances add up to at most 1.
    """
    (trajectory,) = played(smol, reasoning, count=1)
    (span,) = controlled(trajectory, SEED.id)
    style = style_of(span, SEED)
    assert style == (reasoning, True, False)
    scored = asyncio.run(smol.score(replay(span, SEED, ActingPolicy(0.7), style.name)))
    equal = 0
    for step, likelihood in zip(trajectory.steps, scored, strict=True):
        if likelihood.total == pytest.approx(step.policy_logprob, abs=1e-3):
            equal += 1
        else:
            assert math.exp(likelihood.total) + math.exp(step.policy_logprob) <= 1 + 1e-3
    assert equal >= 3


@pytest.mark.parametrize("reasoning", ["direct", "react"])
def test_influence_is_the_gates_log_ratio_of_the_same_prompts(smol, reasoning):
    """What the skill in the prompt changed, and what the gate finds a candidate to change against no skill at all."""
    (trajectory,) = played(smol, reasoning, count=1)
    voice = ActingPolicy(0.7)
    found, left_out = exposures(trajectory, SkillPool.of([SEED]), voice)
    assert not left_out
    assert len(found) == len(trajectory.steps)
    shown = [each.total for each in asyncio.run(smol.score([each.shown for each in found]))]
    hidden = [each.total for each in asyncio.run(smol.score([each.hidden for each in found]))]
    (span,) = controlled(trajectory, SEED.id)
    gate = PPOGate((smol,), voice=voice)
    ((ratios,), _) = asyncio.run(gate._ratios(smol, None, [SEED], Evidence((span,), ()), [style_of(span, SEED)]))
    assert np.subtract(shown, hidden) == pytest.approx(ratios, abs=1e-4)
    assert np.abs(ratios).max() > 1e-2
    drawn = [step.policy_logprob for step in trajectory.steps]
    assert sum(one == pytest.approx(other, abs=1e-3) for one, other in zip(shown, drawn, strict=True)) >= 3


def test_verdicts_of_a_real_model_are_repeatable_and_far_above_their_noise(smol):
    spans = [span for each in played(smol) for span in controlled(each, SEED.id)]
    evidence = Evidence(tuple(spans), tuple(StepBaseline(0.0)(spans, [0.25] * len(spans))))
    candidates = [
        skill("Always red", "1. Answer [red].", "A sign is shown."),
        skill("Always green", "1. Answer [green].", "A sign is shown."),
    ]
    gate = PPOGate((smol,), acceptance=Improvement(), voice=ActingPolicy(0.7))
    first = asyncio.run(gate.judge(SEED, candidates, evidence))
    again = asyncio.run(gate.judge(SEED, candidates, evidence))
    for one, other in zip(first, again, strict=True):
        assert one.rebuilt == 1.0
        assert one.usable == 1.0
        assert one.noise_nats < 1e-3
        assert one.change == pytest.approx(other.change, abs=1e-5)
        assert abs(one.change) > one.noise


def test_a_tiny_evolver_gives_usable_gradients_or_says_why_not(smol):
    trajectory = played(smol, count=1)[0]
    spans = controlled(trajectory, SEED.id)

    async def tried() -> Gradient | Unusable:
        try:
            return await Hindsight(smol)(SEED, spans, 0.25, 3)
        except Unusable as error:
            return error

    found = asyncio.run(tried())
    if isinstance(found, Gradient):
        assert len(found.diagnosis) <= 300
    else:
        assert "smollm2" in str(found)
