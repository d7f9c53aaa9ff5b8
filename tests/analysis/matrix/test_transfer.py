"""Transfer metrics, arms, gate, learning and power against hand counts and known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from analysis.matrix.arms.scores import improvements, profiles, ranks
from analysis.matrix.contrasts import DECLARED, Contrast, overall
from analysis.matrix.learning.curves import learning_curves, lineage
from analysis.matrix.learning.gate import gate_calibration
from analysis.matrix.robustness.second_opinions import mixed_model
from analysis.matrix.transfer import asymmetry, transfer_table
from analysis.results import Results
from analysis.simulation.power import PlanError, Variance, pilot_variance
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import CELL, EVENTS, Tables
from analysis.tables.units import seed_means
from tests.support.simulated_study import frame, simulate


def mean_return(tables: Tables, arm: str, agent: str, task: str, source: str = "", home: str = "") -> float:
    rows = tables.episodes
    for column, value in zip(CELL, (arm, source, home, agent, task), strict=True):
        rows = rows[rows[column] == value]
    return float(rows["return"].mean())


def test_gain_regret_and_ratio_by_hand(study: Tables, found: Results):
    own, base = mean_return(study, "self", "bob", "Quiz", "bob", "Quiz"), mean_return(study, "none", "bob", "Quiz")
    there = mean_return(study, "transfer", "bob", "Quiz", "ada", "Maze")
    cell = {"source_agent": "ada", "source_task": "Maze", "agent": "bob", "task": "Quiz"}
    kinds = {each.kind: each for each in found.findings if each.cell == {"arm": "transfer", **cell}}
    assert kinds["gain"].estimate == pytest.approx(there - base)
    assert kinds["regret"].estimate == pytest.approx(own - there)
    assert kinds["regret"].verdict in ("worse", "undecided")
    row = found.transfer
    for column, value in cell.items():
        row = row[row[column] == value]
    assert row["ratio"].item() == pytest.approx((there - base) / (own - base))
    home = mean_return(study, "self", "ada", "Maze", "ada", "Maze") - mean_return(study, "none", "ada", "Maze")
    assert row["retention"].item() == pytest.approx((there - base) / home)
    assert row["ratio_low"].item() < row["ratio"].item() < row["ratio_high"].item()


def test_a_ratio_without_a_gain_below_is_suppressed(by: Resampler):
    tables = simulate(np.random.default_rng(3), effects={"self": 0.0})
    table = transfer_table(seed_means(tables.episodes), by)
    hidden = table["ratio"].isna()
    assert hidden.any()
    assert table.loc[hidden, "ratio_method"].str.contains("covers 0").all()


def test_asymmetry_finds_who_teaches_better(found: Results):
    pairs = [each for each in found.findings if each.kind == "asymmetry"]
    assert {each.cell["task"] for each in pairs} == {"Maze", "Quiz"}
    assert all(each.cell["source_agent"] < each.cell["agent"] for each in pairs)
    assert all(each.verdict == "undecided" for each in pairs)


def test_an_asymmetry_withstands_good_pools_that_were_not_met(by: Resampler):
    """Bob's pool gives ada .1 less than hers gives him: eight pools leave room for a third unmet."""
    tables = simulate(np.random.default_rng(1), runs=8, tasks=("Maze",))
    from_bob = (tables.episodes["arm"] == "transfer") & (tables.episodes["source_agent"] == "bob")
    tables.episodes["return"] -= np.where(from_bob, 0.15, 0.0)
    seeds = seed_means(tables.episodes)
    (found,) = asymmetry(seeds, by, {"Maze": (0.0, 1.0)})
    assert found.id == "asymmetry:gain:pair:ada/bob/Maze"
    assert found.p_adjusted < 0.05
    assert found.estimate == pytest.approx(0.15, abs=0.08)
    assert found.verdict == "undecided"
    assert "8 learned pools were met, so up to 31% of the reference's" in found.withheld
    gains = {
        arm: seeds[seeds["arm"] == arm].groupby("agent", observed=True)["return"].mean() for arm in ("transfer", "none")
    }
    least = (1 - 0.05 ** (1 / 8)) * (1 - gains["transfer"]["bob"] + gains["none"]["bob"] - gains["none"]["ada"])
    told = float(found.withheld.rpartition(" ")[2].replace("−", "-"))
    assert told == pytest.approx(0.05 ** (1 / 8) * found.low - least, abs=0.006)


def test_probability_of_improvement_counts_ties_half(study: Tables, by: Resampler):
    table = improvements(seed_means(study.episodes), DECLARED, by).set_index("contrast")
    row = table.loc["own pool − no memory"]
    rows = study.episodes
    own = rows[rows["arm"] == "self"].set_index(["agent", "task", "learning_run", "env_seed"])["return"]
    base = rows[rows["arm"] == "none"].set_index(["agent", "task", "learning_run", "env_seed"])["return"]
    difference = (own - base.reindex(own.index)).to_numpy()
    assert row["probability"] == pytest.approx(np.mean((difference > 0) + 0.5 * (difference == 0)))


def test_profile_is_the_share_above(study: Tables, by: Resampler):
    seeds = seed_means(study.episodes)
    table = profiles(seeds, by)
    part = table[table["arm"] == "none"].iloc[20]
    assert part["share"] == pytest.approx((seeds[seeds["arm"] == "none"]["return"] > part["tau"]).mean())
    assert part["share_low"] <= part["share"] <= part["share_high"]


def test_interquartile_mean_lies_within_the_scores(found: Results):
    arms = found.arms.set_index("arm")
    assert arms.loc["self", "iqm"] > arms.loc["transfer", "iqm"] > arms.loc["none", "iqm"]


def test_ranks_need_three_targets(by: Resampler):
    cells = pd.DataFrame({"agent": ["a"] * 3, "task": ["t"] * 3, "arm": ["x", "y", "z"], "return": [1.0, 2, 3]})
    told, pairs = ranks(cells, by)
    assert "no test" in told
    assert pairs.empty


def test_declared_contrasts_recover_the_truth_and_control_their_family(found: Results):
    truth = {"self-none": 0.3, "transfer-none": 0.15, "transfer-self": -0.15, "self-seed": 0.25, "self-random": 0.25}
    for each in found.findings:
        key = each.id.rsplit(":", 1)[-1]
        if each.kind == "contrast" and each.outcome == "return" and key in truth:
            assert each.low - 0.02 < truth[key] < each.high + 0.02
            assert each.p_adjusted >= each.p
            assert each.verdict == ("better" if truth[key] > 0 else "worse")


def test_equivalence_needs_its_margin(by: Resampler):
    tables = simulate(np.random.default_rng(0), effects={"transfer": 0.3}, episodes=20)
    contrast = (Contrast("transfer", "self", "as good?"),)
    seeds = seed_means(tables.episodes)
    (without,) = overall(seeds, contrast, by)
    (unbounded,) = overall(seeds, contrast, by, margin=0.1)
    (within,) = overall(seeds, contrast, by, margin=0.1, ranges={"Maze": (0.0, 1.0), "Quiz": (0.0, 1.0)})
    assert without.verdict == unbounded.verdict == "undecided"
    assert within.verdict == "equivalent"
    assert "declared ±0.1" in within.sentence


def test_few_runs_are_undecided_and_say_why(by: Resampler):
    tables = simulate(np.random.default_rng(0), runs=3, tasks=("Maze",))
    first = overall(seed_means(tables.episodes), DECLARED, by)[0]
    assert first.p < 0.01
    assert first.verdict == "undecided"
    assert first.sentence.endswith("a verdict needs 4 learning runs (3 degrees of freedom).")


def test_mixed_model_agrees_with_the_mean():
    rng = np.random.default_rng(0)
    rows = [("self", "a", "m", agent, "m", run, 0.3 + 0.1 * luck + rng.normal(0, 0.05), 1)
            for run, luck in enumerate(rng.normal(size=12)) for agent in "abc"]  # fmt: skip
    runs = pd.DataFrame(rows, columns=[*CELL, "learning_run", "difference", "n"])
    fit = mixed_model(runs)
    assert fit["mixed_estimate"] == pytest.approx(runs["difference"].mean())
    per_run = runs.groupby("learning_run")["difference"].mean()
    assert fit["mixed_se"] == pytest.approx(per_run.std() / np.sqrt(12), rel=0.05)
    assert "too few" in str(mixed_model(runs[runs["learning_run"] == 0])["mixed_note"])


def test_gate_calibration_finds_the_planted_relation(study: Tables, by: Resampler):
    found = gate_calibration(study, by)
    verdicts = study.events[study.events["kind"] == "verdict"]
    assert len(found.points) == len(verdicts)
    assert found.rank_correlation.low > 0
    assert found.pass_rate.low < (verdicts["verdict"] == "accepted").mean() < found.pass_rate.high


def test_no_gate_no_claims(study: Tables, by: Resampler):
    silent = gate_calibration(Tables.of(study.episodes), by)
    assert silent.sentences == ()
    assert np.isnan(silent.pass_rate.estimate)


def test_a_gate_that_passes_everything_is_said(study: Tables, by: Resampler):
    events = study.events.assign(verdict=study.events["verdict"].where(study.events["verdict"].isna(), "accepted"))
    told = gate_calibration(Tables.of(study.episodes, events=events), by).sentences
    assert any("passes everything decides nothing" in sentence for sentence in told)


def test_learning_curve_is_the_mean_of_runs(study: Tables, by: Resampler):
    curve = learning_curves(study, by)
    row = curve[(curve["agent"] == "ada") & (curve["task"] == "Maze") & (curve["iteration"] == 2)]
    part = study.learning[(study.learning["agent"] == "ada") & (study.learning["task"] == "Maze")]
    assert row["return"].item() == pytest.approx(part[part["iteration"] == 2]["return"].mean())
    assert row["runs"].item() == 8


def test_lineage_from_events_alone(study: Tables):
    events = [
        ("admitted", 0, "a", "t", 0, 0, "u1", None, None, None, None, None, 0.2, None),
        ("admitted", 1, "a", "t", 0, 2, "u2", "u1", None, None, None, None, 0.3, None),
        ("pruned", 2, "a", "t", 0, 3, "u1", None, None, None, None, None, -0.1, None),
        ("gift", 3, "a", "t", 0, 4, "u3", None, None, None, None, None, None, None),
    ]
    lives = lineage(Tables.of(study.episodes, events=frame(events, EVENTS))).set_index("unit")
    assert list(lives["origin"]) == ["discovered", "refined", "given"]
    assert list(lives["born"]) == [0, 2, 4]
    assert lives.loc["u1", "died"] == 3
    assert lives.loc["u2", "end"] == 5
    assert lives.loc["u1", "score"] == pytest.approx(-0.1)


def test_design_effect_and_variance():
    variance = Variance.stated(0.3, 0.2)
    assert variance.icc == pytest.approx(0.2)
    assert variance.design_effect(11) == pytest.approx(3.0)
    assert variance.of_run(1) == pytest.approx(0.3)
    with pytest.raises(PlanError, match="SD above 0"):
        Variance.stated(0, 0.2)


def test_pilot_variance_recovers_the_truth():
    tables = simulate(np.random.default_rng(0), runs=40, episodes=20, agents=("ada",), tasks=("Maze",))
    found = pilot_variance(seed_means(tables.episodes), "self", "none")
    assert found.between == pytest.approx(0.05, abs=0.02)
    assert found.within == pytest.approx(np.sqrt(2) * 0.1, abs=0.02)
    with pytest.raises(PlanError, match="no cell with two learning runs"):
        pilot_variance(seed_means(tables.episodes[tables.episodes["learning_run"] == 0]), "self", "none")
