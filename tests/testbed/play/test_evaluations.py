"""A task may be evaluated on another game than it is learned on; records call both by the task's name."""

from __future__ import annotations

import pytest

from testbed.config.study import ConfigError
from testbed.play.models import build_evaluations, build_tasks
from testbed.records.check.find import check_run
from testbed.reports.audit import audit_run
from testbed.reports.write import write_report
from testbed.studies.cost.forecast import forecast


def held_out(game: str) -> dict[str, str]:
    return {"environment": "Doors-v0", "evaluation_environment": game}


def test_what_is_evaluated_is_the_other_game(study, one_agent, run):
    changes = {**one_agent, "tasks": [held_out("Doors-v0-reworded")], "arms": ["none", "self"], "resamples": 100}
    found = run(study(**changes))
    rules = {"learn": set(), "evaluate": set()}
    for episode in found.episodes():
        assert episode.trial.task == episode.trajectory.task == "Doors-v0"
        rules[episode.trial.phase].add(episode.trajectory.rules)
    assert all(len(each) == 1 for each in rules.values())
    assert not rules["learn"] & rules["evaluate"]
    assert check_run(found.path) == []
    write_report(found.path)
    assert audit_run(found.path) == []


def test_a_study_that_names_none_is_called_as_before(study):
    plain = study(tasks=[{"environment": "Doors-v0"}])
    assert study(tasks=[{"environment": "Doors-v0", "evaluation_environment": None}]).digest == plain.digest
    assert study(tasks=[held_out("Doors-v0-inverted")]).digest != plain.digest


@pytest.mark.parametrize(
    ("game", "said"),
    [
        ("Doors-v9", "tasks.0.evaluation_environment: unknown 'Doors-v9'; did you mean"),
        ("TicTacToe-v0", "tasks.0.evaluation_environment: TicTacToe-v0 has other seats or pays in another range than"),
        ("ALFWorld-v0:split=test", "tasks.0.evaluation_environment: ALFWorld-v0:split=test: split=test is none of"),
        ("Doors-v0:split=test", "tasks.0.evaluation_environment: Doors-v0:split=test: Doors-v0 offers no choices"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(study, game, said):
    config = study(tasks=[held_out(game)])
    for find_out in (lambda: build_evaluations(config, build_tasks(config)), lambda: forecast(config)):
        with pytest.raises(ConfigError) as error:
            find_out()
        assert said in str(error.value)
        assert "\n" not in str(error.value)
