"""Advantages against their formulas, over segments that begin anywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.fake_evolver import skill, trajectory
from tests.support.reference.gate import advantages
from transfer.gate.advantage import Advantage, PerStepShare, ReturnToGo, StepBaseline
from transfer.memory.experience import Segment, Trajectory

GAMMAS = (1.0, 0.9, 0.5, 0.0)
KINDS: dict[str, list[tuple[float, Advantage]]] = {
    "return-to-go": [(gamma, ReturnToGo(gamma)) for gamma in GAMMAS],
    "per-step-share": [(1.0, PerStepShare())],
    "step-baseline": [(gamma, StepBaseline(gamma)) for gamma in GAMMAS],
}
OLD = skill()
rewards = st.lists(st.sampled_from([0.0, 0.0, 1.0, -0.5, 0.3]), min_size=1, max_size=6)


@st.composite
def cut(draw: st.DrawFn) -> list[tuple[Trajectory, int, int]]:
    """Segments of a few trajectories, several of the same one among them."""
    out: list[tuple[Trajectory, int, int]] = []
    for index, paid in enumerate(draw(st.lists(rewards, min_size=1, max_size=4))):
        played = trajectory(f"t{index}", [("[a]", value) for value in paid], OLD)
        ends = st.tuples(st.integers(0, len(paid) - 1), st.integers(1, len(paid)))
        for start, stop in draw(st.lists(ends, min_size=1, max_size=2)):
            out.append((played, start, max(start + 1, stop)))
    return out


@pytest.mark.parametrize(
    ("kind", "gamma", "rule"), [(kind, *each) for kind, rules in KINDS.items() for each in rules], ids=str
)
@given(spans=cut(), baseline=st.sampled_from([0.0, 0.7, -1.0]))
def test_formulas(kind, gamma, rule, spans, baseline):
    baselines = [baseline + 0.1 * index for index in range(len(spans))]
    found = rule([Segment(played, OLD.id, start, stop) for played, start, stop in spans], baselines)
    expected = advantages(kind, gamma, spans, baselines)
    assert [values.tolist() for values in found] == [pytest.approx(values) for values in expected]


@pytest.mark.parametrize("rule", [ReturnToGo(), PerStepShare(), StepBaseline()], ids=lambda rule: type(rule).__name__)
def test_every_segment_needs_its_baseline(rule):
    span = Segment(trajectory("t", [("[a]", 1.0)], OLD), OLD.id, 0, 1)
    with pytest.raises(ValueError, match="shorter"):
        rule([span, span], [0.0])
    assert rule([], []) == []
