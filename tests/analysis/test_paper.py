"""The paper's printed tables say what they can: `examples/audit_paper.py`."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "audit_paper.py"


@pytest.fixture(scope="module")
def paper():
    spec = importlib.util.spec_from_file_location("audit_paper", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
