"""`procmem plan`: from stated variances, and from a pilot."""

from __future__ import annotations

import json


def test_a_plan_has_options_with_their_cost(procmem, small_file):
    said = procmem("plan", small_file, "--detect", 0.1)
    assert said.code == 0, said.err
    assert "degrees of freedom" in said.out
    assert "hours" in said.out
    told = json.loads(procmem("plan", small_file, "--detect", 0.1, "--speed", 10, "--json").out)
    costs = {(option["runs"], option["episodes"]): option["tokens"] for option in told["options"]}
    assert len(costs) > 1
    assert all(option["power"] >= 0.8 and option["hours"] > 0 for option in told["options"])
    assert "learning run" in told["warning"]


def test_a_pilot_gives_the_variance(procmem, sentence, run, study, one_agent, small_file):
    pilot = run(study(**one_agent | {"learning_runs": 3})).path
    told = json.loads(procmem("plan", small_file, "--detect", 0.2, "--pilot", pilot, "--json").out)
    assert told["between"] >= 0
    assert told["within"] > 0
    assert "name two arms" in sentence("plan", small_file, "--detect", 0.2, "--pilot", pilot, "--contrast", "self")
    assert sentence("plan", small_file, "--detect", 0.2, "--pilot", pilot, "--contrast", "self-rag")


def test_a_population_is_planned_with_the_contrasts_that_its_report_declares(procmem, tmp_path):
    """A poisoned policy is compared with its twin, not with learning alone."""
    file = tmp_path / "village.toml"
    file.write_text(
        """
        study = "population"
        learning_runs = 6
        agents = [{ name = "a", model = "scripted:obedient" }]
        tasks = [{ environment = "Doors-v0" }]
        [population]
        copies = 3
        policies = [
            { exchange = "isolated" },
            { exchange = "broadcast" },
            { exchange = "broadcast", poison = "wrong-procedure" },
        ]
        """,
        encoding="utf-8",
    )
    told = json.loads(procmem("plan", file, "--detect", 0.2, "--json").out)
    assert [each["contrast"] for each in told["contrasts"]] == [
        "broadcast-isolated",
        "broadcast + wrong-procedure-broadcast",
    ]
