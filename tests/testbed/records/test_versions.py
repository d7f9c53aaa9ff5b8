"""What a run may be resumed with: results decide, not versions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from testbed.records.append_only import StoreError
from testbed.records.side_files.versions import Versions, judge_restart
from testbed.records.trial import Episode, Trial
from transfer.memory.experience import Step, Trajectory

RUN = Path("runs/matrix-0")
BEGUN = Versions(
    packages={"numpy": "2.2"},
    models={"a": {"name": "m", "weights": "0", "context": 8192}},
    prompts="p",
    opponents={"KuhnPoker-v0": {"name": "scripted:random"}},
    embedder={"name": "lexical"},
    evolver_prompts="q",
)


def played(prompt: int, dropped: int = 0) -> list[tuple[int, Episode]]:
    """One stored episode of one step."""
    trial = Trial(phase="learn", arm="learn", agent="a", task="t", learning_run=0, episode=0, env_seed=0)
    step = Step(action="x", observation="o", reward=0.0, prompt_tokens=prompt, dropped_turns=dropped)
    seat = Trajectory(id="t/player_0", agent="a", task="t", env_seed=0, rules="r", steps=(step,), total=0.0)
    return [(0, Episode(trial=trial, seats={"player_0": seat}, focal="player_0"))]


def context(tokens: int) -> Versions:
    return BEGUN.model_copy(update={"models": {"a": {**BEGUN.models["a"], "context": tokens}}})


@pytest.mark.parametrize("stored", [[], played(8000)])
def test_another_context_is_a_note_where_no_prompt_was_or_would_be_cut(study, stored):
    config = study(agents=[{"name": "a", "model": "scripted:random", "max_tokens": 176}])
    [note] = judge_restart(RUN, BEGUN, context(8176), config, lambda: stored)
    assert note.endswith("(it was 8192 tokens and is 8176) has changed; no prompt so far was cut by either")


@pytest.mark.parametrize("stored", [played(8001), played(10, dropped=1)])
def test_and_another_run_where_one_was_or_would_be(study, stored):
    config = study(agents=[{"name": "a", "model": "scripted:random", "max_tokens": 176}])
    with pytest.raises(StoreError, match=r"was 8192 tokens and is 8176\), by which prompts were or would be cut"):
        judge_restart(RUN, BEGUN, context(8176), config, lambda: stored)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"opponents": {"KuhnPoker-v0": {"name": "scripted:obedient"}}}, "the opponent's model of KuhnPoker-v0"),
        ({"embedder": {"name": "all-minilm-l6-v2"}}, "the embedder"),
        ({"evolver_prompts": "r"}, "the wording that learners ask in"),
    ],
)
def test_what_results_depend_on_may_not_change(study, change: dict[str, Any], said: str):
    with pytest.raises(StoreError, match=said):
        judge_restart(RUN, BEGUN, BEGUN.model_copy(update=change), study(), lambda: [])


def test_what_older_runs_did_not_record_says_nothing(study):
    old = Versions(packages=BEGUN.packages, models=BEGUN.models, prompts="p")
    assert judge_restart(RUN, old, BEGUN, study(), lambda: []) == []


def test_other_packages_are_named(study):
    now = BEGUN.model_copy(update={"packages": {"numpy": "2.3"}})
    [note] = judge_restart(RUN, BEGUN, now, study(), lambda: [])
    assert "numpy 2.2 (now 2.3)" in note
