"""Whatever stands in a file that a stranger wrote, it ends in a result or a sentence (`make fuzz` tries 10⁵ inputs)."""

from __future__ import annotations

import pytest

from tests.support.fuzz import Tally, Target, fuzz, targets

INPUTS = 2500
"""Over all readers, by their shares."""


@pytest.fixture(scope="module")
def readers(tmp_path_factory) -> dict[str, Target]:
    return {target.name: target for target in targets(tmp_path_factory.mktemp("fuzz"))}


def problems(tally: Tally) -> str:
    return "\n".join(f"{kind}\n{data[:300]!r}" for kind, data in tally.tracebacks.items())


@pytest.mark.parametrize(
    "name",
    [
        "study files",
        "--set",
        "study.json",
        "lines of episodes",
        "lines of events",
        "pools",
        "memories",
        "skill files",
        "manifests",
        "whole runs",
        "findings",
    ],
)
def test_no_input_ends_in_a_traceback(readers, name):
    tally = fuzz(readers[name], round(INPUTS * readers[name].share))
    assert not tally.tracebacks, problems(tally)
    assert tally.inputs == tally.accepted + tally.sentences > 0


def test_a_traceback_would_be_seen():
    tally = fuzz(Target("broken", 1.0, lambda rng: b"x", lambda data: {}[data]), 3)
    assert list(tally.tracebacks.values()) == [b"x"]
    assert "KeyError" in problems(tally)


@pytest.mark.slow
def test_no_input_of_many_ends_in_a_traceback(readers):
    for target in readers.values():
        tally = fuzz(target, round(50_000 * target.share), seed=1)
        assert not tally.tracebacks, problems(tally)
