"""A study of model size: what is compared with what, and one command from file to page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from testbed.bench.experiments.model_size import NONE, OWN, RIGHT, Played, gains, parameters, returns, variants
from testbed.bench.experiments.pages.model_size import size, top_of, write_model_size
from testbed.cli.main import app
from testbed.config.reading.load import load_study
from testbed.config.study import ConfigError

TASKS = ("Doors-v0", "OneDoor-v0")
EXAMPLE = Path(__file__).parents[4] / "examples" / "model_size.toml"


def episodes(arms: dict[str, float], runs: int = 4, seeds: int = 6) -> pd.DataFrame:
    """Made up: returns of an arm are its mean, and a little more or less by seed, alike in all arms."""
    rows = [
        {"arm": arm, "task": task, "learning_run": run, "env_seed": 100 * run + seed, "error": None}
        | {"return": mean + 0.02 * (-1) ** seed + 0.01 * run * (arm == "self") + 0.05 * (seed == 3 and arm == "given")}
        for arm, mean in arms.items()
        for task in TASKS
        for run in range(runs)
        for seed in range(seeds)
    ]
    return pd.DataFrame(rows)


def played(parameters: int, none: float, given: float, own: float) -> Played:
    right = episodes({"none": none, "given": given})
    return Played(parameters, episodes({"none": none, "self": own}), dict.fromkeys(TASKS, right))


@pytest.fixture
def two() -> dict[str, Played]:
    return {"small": played(135_000_000, 0.25, 0.3, 0.25), "large": played(1_500_000_000, 0.25, 0.85, 0.55)}


def test_the_ceiling_is_what_the_right_skill_adds_on_common_seeds(two):
    table = gains(two, TASKS).set_index(["kind", "agent", "task"])
    ceiling = table.loc[("ceiling", "large", "Doors-v0")]
    assert ceiling["value"] == pytest.approx(0.6 + 0.05 / 6)
    assert ceiling["n"] == 24
    assert ceiling["low"] > 0.5
    assert table.loc[("growth", "large", "Doors-v0")]["value"] == pytest.approx(0.55)
    learned = table.loc[("learned", "large", "OneDoor-v0")]
    assert learned["n"] == 4
    assert learned["value"] == pytest.approx(0.3 + 0.015)
    assert learned["reached"] == pytest.approx((0.3 + 0.015) / (0.6 + 0.05 / 6))
    assert learned["reached_low"] < learned["reached"] < learned["reached_high"]
    assert np.isnan(table.loc[("ceiling", "large", "Doors-v0")]["reached"])


def test_a_share_of_a_ceiling_that_is_not_sure_is_not_given(two):
    flat = {"small": played(135_000_000, 0.25, 0.25, 0.3)}
    table = gains(flat, TASKS)
    assert set(table["kind"]) == {"ceiling", "learned"}
    assert table["reached"].isna().all()
    assert np.isfinite(gains(two, TASKS)["reached"]).any()


def test_returns_are_those_of_each_memory(two):
    table = returns(two, TASKS)
    found = table[(table["agent"] == "large") & (table["task"] == "Doors-v0")].set_index("series")["value"]
    assert found[NONE] == pytest.approx(0.25)
    assert found[RIGHT] == pytest.approx(0.85 + 0.05 / 6)
    assert found[OWN] == pytest.approx(0.565)


def test_without_learning_there_is_a_ceiling_alone(two):
    bare = {name: each._replace(own=each.own[each.own["arm"] == "none"]) for name, each in two.items()}
    assert set(gains(bare, TASKS)["kind"]) == {"ceiling", "growth"}
    assert "nothing learned" in top_of(returns(bare, TASKS), gains(bare, TASKS), [None]).basis


def test_the_example_is_a_study_of_size_and_each_of_its_agents_plays_alone():
    config = load_study(EXAMPLE)
    found = variants(config)
    assert list(found) == ["smollm2_135m", "qwen_05b", "qwen_15b"]
    assert [[agent.name for agent in each.agents] for each in found.values()] == [[name] for name in found]
    assert parameters(config.agents[0]) == 134_515_008
    assert (size(134_515_008), size(1_543_714_304)) == ("135M", "1.5B")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"pools": ()}, "Doors-v0 has no right skill"),
        ({"study": "learn", "pools": ()}, "plain study"),
    ],
)
def test_what_has_no_ceiling_is_refused_in_a_sentence(changes, complaint):
    with pytest.raises(ConfigError, match=complaint):
        variants(load_study(EXAMPLE).model_copy(update=changes))


def test_a_size_that_nobody_knows_is_asked_for():
    agent = load_study(EXAMPLE).agents[0]
    with pytest.raises(ConfigError, match="write parameters"):
        parameters(agent.model_copy(update={"model": "somebody/else"}))
    assert parameters(agent.model_copy(update={"model": "somebody/else", "parameters": 7})) == 7


def test_the_page_says_what_the_tables_say(two, tmp_path):
    write_model_size(returns(two, TASKS), gains(two, TASKS), [None], "Ceiling <of> doors", tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Ceiling &lt;of&gt; doors" in html
    assert "large Doors-v0: ceiling +0.61" in html
    assert "of its ceiling" in html
    assert "could not be drawn" not in html
    assert (tmp_path / "figures" / "size.svg").exists()


def test_one_command_measures_the_ceiling_and_the_same_command_resumes(tmp_path):
    """Scripted: one agent looks signs up in its skill, the other hears nothing."""
    file = tmp_path / "study.toml"
    file.write_text(
        """
        study = "matrix"
        seed = 3
        learning_runs = 2
        evaluation_episodes = 4
        arms = ["none", "self"]
        [[agents]]
        name = "deaf"
        model = "scripted:stubborn"
        parameters = 100
        [[agents]]
        name = "able"
        model = "scripted:obedient"
        parameters = 1000
        [[tasks]]
        environment = "Doors-v0"
        [[pools]]
        name = "Doors-v0"
        folder = "examples/skills/doors-by-sign"
        [skills]
        embedder = "lexical"
        termination = "age"
        [learning]
        iterations = 1
        episodes = 2
        """
    )
    command = ["ceiling", str(file), "--out", str(tmp_path / "runs"), "--json"]
    first, second = CliRunner().invoke(app, command), CliRunner().invoke(app, command)
    assert (first.exit_code, second.exit_code) == (0, 0), first.output
    assert first.stdout == second.stdout
    found = {(row["kind"], row["agent"]): row for row in json.loads(first.stdout)["gains"]}
    assert found["ceiling", "able"]["value"] > 0.5
    assert abs(found["ceiling", "deaf"]["value"]) < 0.2
    assert found["growth", "able"]["low"] > 0
    assert len(list((tmp_path / "runs").glob("ceiling-*/report.html"))) == 1
