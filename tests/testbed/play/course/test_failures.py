"""What a failed episode means: owed, lost, or the end of the study."""

from __future__ import annotations

import pytest

from agents.models.model import ModelMisconfigured, ModelUnavailable, PromptRefused
from testbed.play.course.failures import PATIENCE, TRIES, Failures, ModelGone, StudyStopped
from testbed.records.trial import Trial

OUTAGE = ModelUnavailable("m at http://127.0.0.1:9/v1 does not answer.")
REFUSED = PromptRefused("the content filter refuses")


def trial(episode: int = 0) -> Trial:
    return Trial(phase="learn", arm="learn", agent="a", task="t", learning_run=0, episode=episode, env_seed=episode)


def test_what_was_not_answered_is_owed_and_what_is_refused_is_lost():
    failures = Failures()
    assert failures.failed(trial(0), "a", OUTAGE) is True
    assert failures.failed(trial(1), "a", REFUSED) is False
    assert failures.failed(trial(2), "a", ValueError("a bug")) is False
    assert list(failures.standing.values()) == [
        "ModelUnavailable: m at http://127.0.0.1:9/v1 does not answer.",
        "PromptRefused: the content filter refuses",
        "ValueError: a bug",
    ]
    failures.mended(trial(1).id, "a")
    assert len(failures.standing) == 2


@pytest.mark.parametrize("error", [REFUSED, KeyError("choices"), RecursionError("deep")])
def test_every_kind_of_failure_counts_in_a_row(error):
    failures = Failures()
    for episode in range(PATIENCE - 1):
        failures.failed(trial(episode), "a", error)
    said = f"{PATIENCE} episodes of a failed in a row, the last with {type(error).__name__}: .* plays those first"
    with pytest.raises(StudyStopped, match=said) as caught:
        failures.failed(trial(99), "a", error)
    assert not isinstance(caught.value, ModelGone)


def test_what_is_lost_again_counts_in_no_row():
    """Those come first and one after the other in a resumed study: their row says nothing of the others."""
    failures = Failures()
    for episode in range(2 * PATIENCE):
        failures.remember(trial(episode).id, "PromptRefused: the content filter refuses")
        assert failures.failed(trial(episode), "a", REFUSED) is False
    for episode in range(PATIENCE - 1):
        failures.failed(trial(100 + episode), "a", REFUSED)
    with pytest.raises(StudyStopped, match="in a row"):
        failures.failed(trial(200), "a", REFUSED)
    with pytest.raises(ModelGone):
        failures.failed(trial(0), "a", OUTAGE)


def test_an_outage_that_lasts_names_whose_model_it_is():
    failures = Failures()
    for episode in range(PATIENCE - 1):
        assert failures.failed(trial(episode % 2), "a", OUTAGE)
        assert failures.failed(trial(episode), "b", OUTAGE) or episode
        failures.mended(trial(episode).id, "b")
    with pytest.raises(ModelGone, match=r"agent a: m at http://127.0.0.1:9/v1 does not answer\. Finished"):
        failures.failed(trial(0), "a", OUTAGE)


def test_a_prompt_that_breaks_a_server_that_is_well_is_lost():
    failures = Failures()
    for _ in range(TRIES - 1):
        assert failures.failed(trial(0), "a", OUTAGE) is True
        assert failures.failed(trial(0), "a", OUTAGE) is True  # the same outage still
        failures.mended(trial(1).id, "a")
    assert failures.failed(trial(0), "a", OUTAGE) is False


def test_a_model_that_needs_putting_right_stops_at_once():
    with pytest.raises(StudyStopped, match=r"^a: the key is wrong$"):
        Failures().failed(trial(), "a", ModelMisconfigured("the key is wrong"))


@pytest.mark.parametrize(
    ("fail_at", "planned", "limit"), [(3, 100, 3), (1, 100, 1), (0.25, 100, 25), (0.25, 90, 23), (0.5, 1, 2)]
)
def test_the_study_stops_at_its_number_or_share_of_lost_episodes(fail_at, planned, limit):
    failures = Failures(fail_at, planned)
    for episode in range(limit - 1):
        failures.failed(trial(episode), str(episode), REFUSED)
    failures.failed(trial(200), "b", OUTAGE)  # is owed, and does not count
    failures.failed(trial(0), "c", REFUSED) if limit > 1 else None  # nor does the same one twice
    with pytest.raises(
        StudyStopped, match=rf"^{limit}.* episodes were lost \(fail_at = {fail_at}\), the last with Prom"
    ):
        failures.failed(trial(100), "d", REFUSED)


def test_an_iteration_may_lack_less_than_its_share():
    failures = Failures(0.5, 1000)
    failures.check_iteration("a/t/0", 1, 1)  # one alone is never too much
    failures.check_iteration("a/t/0", 3, 8)
    with pytest.raises(StudyStopped, match=r"a/t/0: 4 of the 8 episodes of one iteration were lost"):
        failures.check_iteration("a/t/0", 4, 8)
    Failures(20, 1000).check_iteration("a/t/0", 8, 8)  # a number is that of the whole study
