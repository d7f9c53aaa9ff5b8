"""The top of a report: what it says, that it says no more than the findings, and that it never outgrows a screen."""

from __future__ import annotations

import struct
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analysis.matrix.robustness.detectable import detectable_effect, runs_needed
from analysis.report.figures.headline import (
    HEIGHT,
    WIDTH,
    _told_apart,  # pyright: ignore[reportPrivateUsage]
    slide,
)
from analysis.report.headline import MARKS, MOST_CLAIMS, MOST_ROWS, SENTENCE, Claim, Cost, hours_text, shortened, signed
from analysis.report.sections.headline import headline
from analysis.report.write import report
from analysis.results import Results, analyse
from analysis.statistics.bootstrap import Resampler
from analysis.tables.run import Tables
from tests.support.simulated_study import TASKS, simulate


def study(**changes) -> Tables:
    tables = simulate(np.random.default_rng(2), **{"runs": 6, "episodes": 4} | changes)
    return replace(tables, ranges=dict.fromkeys(TASKS, (0.0, 1.0)))


def results(tables: Tables, **settings) -> Results:
    return analyse(tables, Resampler(np.random.default_rng(0), 100), **settings)


@pytest.fixture(scope="module")
def tables() -> Tables:
    return study()


@pytest.fixture(scope="module")
def found(tables: Tables) -> Results:
    return results(tables, margin=0.05)


def test_every_mark_is_the_verdict_of_its_finding(tables: Tables, found: Results):
    top = headline(tables, found)
    gains = {
        (each.cell["task"], each.cell["source_agent"], each.cell["agent"]): each
        for each in found.findings
        if each.kind == "gain" and each.outcome == "return"
    }
    drawn = 0
    for grid in top.grids:
        for source, cells in grid.rows:
            for agent, cell in zip(grid.columns, cells, strict=True):
                assert cell is not None
                finding = gains[grid.title.removeprefix("Gain in "), source, agent]
                assert (cell.verdict, cell.mark, cell.words) == (
                    finding.verdict, MARKS[finding.verdict], finding.sentence
                )  # fmt: skip
                drawn += 1
    assert drawn == len(gains) == 8


def test_the_first_sentence_counts_what_the_findings_count(tables: Tables, found: Results):
    declared = [each for each in found.findings if each.kind == "contrast" and each.outcome == "return"]
    decided = [each for each in declared if each.verdict != "undecided"]
    top = headline(tables, found)
    assert top.decided.startswith(f"{len(decided)} of {len(declared)} declared comparisons: better: own pool")
    assert [claim.verdict for claim in top.claims] == [each.verdict for each in declared]


def test_what_is_undecided_says_what_it_would_take():
    tables = study(effects=dict.fromkeys(("seed", "self", "transfer", "random"), 0.0))
    found = results(tables)
    top = headline(tables, found)
    assert top.decided.startswith("none of 6 declared comparisons.")
    assert "learning runs" in top.open
    assert "if" in top.open


def test_too_few_runs_name_how_many_a_verdict_needs():
    tables = study(runs=2, tasks=("Maze",))
    assert "a verdict needs 4 learning runs, there are 2" in headline(tables, results(tables)).open


def test_the_runs_it_would_take_find_what_they_promise():
    error, freedom, runs = 0.05, 7.0, 8
    needed = runs_needed(error, freedom, runs, 0.05)
    assert needed is not None

    def found_by(count: int) -> float:
        return detectable_effect(error * np.sqrt(runs / count), freedom * count / runs)

    assert found_by(needed) <= 0.05 < found_by(needed - 1)
    assert runs_needed(error, freedom, runs, 1e-4) is None
    assert runs_needed(float("nan"), freedom, runs, 0.05) is None
    assert runs_needed(error, freedom, 1, 0.05) is None


def test_an_unfinished_run_says_so_first(tables: Tables):
    plan = tables.plan.assign()
    rows = tables.episodes[["arm", "source_agent", "source_task", "agent", "task", "learning_run"]].drop_duplicates()
    plan = rows.astype({"arm": "str"}).assign(phase="evaluate", episodes=9)
    planned = Tables.of(tables.episodes, pools=tables.pools, plan=plan, ranges=tables.ranges)
    top = headline(planned, results(planned))
    assert top.alarm.startswith("This run is unfinished")
    assert top.decided.startswith("Provisionally, ")


def test_one_agent_in_several_tasks_is_a_matrix_of_tasks():
    tables = study(agents=("ada",), cross_task=True)
    (grid,) = headline(tables, results(tables)).grids
    assert grid.columns == TASKS
    assert [name for name, _ in grid.rows] == list(TASKS)


def test_one_agent_in_one_task_has_no_matrix_but_its_claims():
    tables = study(agents=("ada",), tasks=("Maze",))
    top = headline(tables, results(tables))
    assert top.grids == ()
    assert len(top.claims) == 4


def test_many_agents_do_not_outgrow_it(tmp_path: Path):
    names = tuple(f"agent with a long name {k}" for k in range(MOST_ROWS + 4))
    tables = study(agents=names, tasks=("Maze",), runs=4, episodes=1)
    top = headline(tables, results(tables))
    (grid,) = top.grids
    assert (len(grid.rows), len(grid.columns), grid.compact) == (MOST_ROWS, MOST_ROWS, True)
    assert f"At most {MOST_ROWS} rows and columns." in top.note
    assert all(len(words) <= SENTENCE + 2 for _, words in top.sentences)
    assert len(top.claims) <= MOST_CLAIMS


def test_what_it_cost():
    assert Cost(1_234, 0.5, 2.0).sentence == "1,234 tokens, 30 min of running, 2.00 by the study's prices."
    assert Cost(5).sentence == "5 tokens, no prices are declared."
    assert [hours_text(hours) for hours in (0.001, 0.1, 3.34)] == ["4 s", "6 min", "3 h 20 min"]


def test_numbers_and_words():
    assert [signed(value) for value in (0.314, -0.2, 0.001, -0.001)] == ["+0.31", "−0.20", "0.00", "0.00"]
    assert shortened("one two three", 9) == "one two …"


def test_a_games_variants_are_told_apart_where_there_is_no_room():
    variants = ["Mastermind-v0", "Mastermind-v0-easy", "Mastermind-v0-hard"]
    assert _told_apart(variants, 12, 60) == ["…rmind-v0", "…-v0-easy", "…-v0-hard"]
    assert _told_apart(["Mastermind-v0", "Doors"], 12, 60) == ["Mastermi…", "Doors"]
    assert Claim("a", "undecided", 0.1, np.nan, np.nan).text == "+0.10"
    assert Claim("a", "undecided", np.nan, np.nan, np.nan).text == "no data"


def test_the_slide_is_sixteen_to_nine_and_holds_every_word_inside(tables: Tables, tmp_path: Path):
    report(tables, tmp_path, resamples=100, cost=Cost(10, 1.0))
    content = (tmp_path / "headline.png").read_bytes()
    assert content.startswith(b"\x89PNG")
    assert struct.unpack(">II", content[16:24]) == (2 * WIDTH, 2 * HEIGHT)
    drawn = ET.parse(tmp_path / "headline.svg").getroot()
    assert (float(drawn.attrib["width"]), float(drawn.attrib["height"])) == (WIDTH, HEIGHT)
    texts = [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"Decided", "Not decided", "Rests on", "Cost"} <= set(texts)
    assert any(text and text.startswith("▲") for text in texts)


def test_a_slide_without_anything_to_compare_is_drawn_all_the_same(tables: Tables, found: Results):
    bare = replace(headline(tables, found), grids=(), claims=())
    assert slide("Nothing", bare).to_dict()["height"] == HEIGHT
