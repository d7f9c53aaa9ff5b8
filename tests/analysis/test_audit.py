"""Audit recomputes a report; compare joins runs or refuses; the paper's tables say what they can."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.audit import AuditError, audit
from analysis.matrix.comparison import CompareError, compare
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
from tests.support.simulated_study import simulate

EXAMPLE = Path(__file__).parents[2] / "examples" / "audit_paper.py"


@pytest.fixture(scope="module")
def paper():
    spec = importlib.util.spec_from_file_location("audit_paper", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_keys(tables: Tables, **changes) -> Tables:
    frame = tables.episodes.astype({"arm": "str", "agent": "str", "task": "str"}).assign(**changes)
    return Tables.of(frame, invocations=tables.invocations, pools=tables.pools)


def tables(report: Path) -> dict[str, pd.DataFrame]:
    return {path.stem: pd.read_parquet(path) for path in (report / "tables").glob("*.parquet")}


def test_audit_agrees_with_its_own_report(written, study: Tables):
    recorded = json.loads((written[0] / "findings.json").read_text(encoding="utf-8"))
    assert audit(study, recorded, tables(written[0])) == []


def test_audit_finds_what_was_changed(written, study: Tables):
    recorded = json.loads((written[0] / "findings.json").read_text(encoding="utf-8"))
    recorded["findings"][0]["estimate"] += 0.01
    recorded["findings"][1]["id"] = "invented"
    stored = tables(written[0])
    stored["arms"].loc[0, "return"] += 0.01
    told = audit(study, recorded, stored)
    assert len(told) == 4
    assert any(sentence.startswith("tables/arms: row 0, return is") for sentence in told)
    assert any("the episodes give" in sentence for sentence in told)
    assert any(sentence.startswith("invented: in the report") for sentence in told)
    with pytest.raises(AuditError, match="format 9, not 1"):
        audit(study, recorded | {"format": 9}, {})


def test_compare_recovers_the_difference_of_two_runs(by: Resampler):
    first = simulate(np.random.default_rng(5), runs=8)
    second = text_keys(first, **{"return": first.episodes["return"] + 0.1})
    found = compare({"monday": first, "tuesday": second}, by)
    assert {each.subject.split(", ")[1] for each in found.findings} >= {"no memory", "own pool"}
    assert all(each.estimate == pytest.approx(0.1) for each in found.findings)
    assert all(each.verdict == "better" for each in found.findings)


def test_compare_pairs_single_agents_of_other_names(by: Resampler):
    first = simulate(np.random.default_rng(5), runs=7, agents=("small",))
    own = first.episodes["source_agent"] == "small"
    second = text_keys(first, agent="large", source_agent=np.where(own, "large", ""))
    assert all(each.estimate == 0 for each in compare({"a": first, "b": second}, by).findings)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"task": "Elsewhere"}, "they share no task"),
        ({"arm": "rag"}, "they share no arm"),
        ({"env_seed": 10**6}, "environment seeds differ"),
    ],
)
def test_compare_refuses_with_the_reason(by: Resampler, changes, reason):
    first = simulate(np.random.default_rng(5), runs=2, tasks=("Maze",), episodes=3)
    frame = first.episodes.astype({"arm": "str", "agent": "str", "task": "str"})
    if "arm" in changes:
        frame = frame[frame["arm"] == "none"]
    if "env_seed" in changes:
        changes = {"env_seed": frame["env_seed"] + changes["env_seed"]}
    with pytest.raises(CompareError, match=reason):
        compare({"a": first, "b": Tables.of(frame.assign(**changes))}, by)


def test_compare_needs_two(by: Resampler, study: Tables):
    with pytest.raises(CompareError, match="needs two runs, not 1"):
        compare({"a": study}, by)


def test_only_one_design_explains_the_reuse_cells(paper):
    assert paper.reuse_designs() == [(8, 5, "population SD")]


def test_some_spreads_are_errors_and_others_deviations(paper):
    kinds = {name: paper.spread_kind(cells[0]) for name, cells in paper.RETURNS.items()}
    assert kinds["ProcMEM"] == "standard deviation"
    assert {kinds[name] for name in ("CoT", "ReAct", "ExpeL", "A-MEM", "AWM")} == {"standard error"}
    assert {kinds[name] for name in ("State", "RAG", "G-Memory")} == {"neither"}


def test_a_rate_that_fifty_episodes_cannot_give(paper):
    assert not paper.possible(0.909)
    assert paper.smallest_n(0.909) == 11
    assert paper.possible(0.900)


def test_no_gain_over_the_best_other_method_is_significant(paper):
    rows = paper.against([name for name in paper.RETURNS if name != "ProcMEM"])
    assert all(adjusted > 0.05 for *_, adjusted in rows)
    assert [row[2] for row in rows if row[0] == "Extreme"] == [pytest.approx(-0.023)]


def test_the_example_runs(paper, capsys):
    paper.main()
    assert "only 8 stored units × 5 batches, population SD" in capsys.readouterr().out
