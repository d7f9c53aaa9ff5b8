"""The report on disk: complete, self-contained, honest about bad input, and deaf to hostile text."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.report.latex import booktabs, escape
from analysis.report.text_matrix import text_matrix
from analysis.report.write import report, script_json
from analysis.results import Results
from analysis.tables.run import Tables, Transcript
from tests.support.simulated_study import simulate

HOSTILE = '</script><script>document.title="owned"</script><img src=x onerror=alert(1)>&{{7*7}}\\input{/etc/passwd}%_$#'


class Page(HTMLParser):
    """Elements, attributes that could fetch or run something, and ids of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetches: list[str] = []
        self.handlers: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]
        self.fetches += [
            value for name, value in attrs if name in ("src", "href") and not value.startswith(("#", "data:"))
        ]


def test_what_is_written(written):
    folder, _ = written
    assert (folder / "report.html").stat().st_size < 6_000_000
    for name in ("cells", "reuse", "findings", "arms", "transfer", "invocations", "lineage"):
        assert len(pd.read_csv(folder / "tables" / f"{name}.csv")) == len(
            pd.read_parquet(folder / "tables" / f"{name}.parquet")
        )
    charts = {path.stem for path in (folder / "figures").glob("*.svg")}
    assert {
        "returns",
        "contrasts",
        "gain",
        "regret",
        "coverage",
        "invocations",
        "profiles",
        "curves",
        "lineage",
        "gate",
    } <= charts
    assert {path.stem for path in (folder / "figures").glob("*.pdf")} == charts


def test_findings_file_is_complete(written):
    folder, found = written
    content = json.loads((folder / "findings.json").read_text(encoding="utf-8"))
    assert (content["seed"], content["resamples"], content["margin"]) == (3, 500, 0.05)
    assert len(content["findings"]) == len(found.findings)
    needed = {
        "estimate",
        "low",
        "high",
        "method",
        "p",
        "p_adjusted",
        "family",
        "effect_size",
        "n_episodes",
        "n_clusters",
        "verdict",
    }
    for row in content["findings"]:
        assert needed <= set(row)
        assert row["verdict"] in ("better", "worse", "equivalent", "undecided")
        assert row["sentence"]
    assert len({row["id"] for row in content["findings"]}) == len(content["findings"])


def test_the_page_is_whole_and_fetches_nothing(written):
    text = (written[0] / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert page.fetches == []
    assert page.handlers == []
    assert len(page.ids) == len(set(page.ids))
    assert text.count("window.vegaEmbed=") == 1
    for chart in re.findall(r'data-chart="([a-z]+)"', text):
        assert f"spec-{chart}" in page.ids


def test_summary_says_what_is_and_is_not_shown(found: Results):
    assert re.match(r"\d of 6 declared contrasts are decided, \d undecided\.", found.summary[0])
    assert found.summary[2].startswith("Does a pool help where it was not learned? Better:")


def test_same_seed_same_file(tmp_path: Path):
    tables = simulate(np.random.default_rng(0), runs=3, episodes=4)
    for name in ("a", "b"):
        report(tables, tmp_path / name, resamples=200, seed=1)
    assert (tmp_path / "a" / "findings.json").read_bytes() == (tmp_path / "b" / "findings.json").read_bytes()


def test_hostile_text_stays_text(tmp_path: Path):
    transcript = Transcript(HOSTILE, (("observation", HOSTILE), (HOSTILE, "fine")))
    tables = simulate(
        np.random.default_rng(0), agents=(HOSTILE, "bob"), tasks=(HOSTILE,), runs=3, episodes=3,
        transcripts=[transcript], versions={HOSTILE: HOSTILE},
    )  # fmt: skip
    named = tables.pools.assign(name=HOSTILE)
    rows = tables.episodes.assign(study=HOSTILE, run=HOSTILE)
    again = Tables.of(
        rows.astype({"arm": "str", "agent": "str", "task": "str"}), invocations=tables.invocations, pools=named,
        learning=tables.learning, events=tables.events, transcripts=tables.transcripts, versions=tables.versions,
    )  # fmt: skip
    report(again, tmp_path, resamples=200)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page(text)
    assert HOSTILE not in text
    assert "img" not in page.tags
    assert page.handlers == []
    assert page.fetches == []
    assert page.tags.count("script") == text.count('type="application/json"') + 2
    assert "&lt;/script&gt;&lt;script&gt;" in text
    for path in (tmp_path / "figures").glob("*.svg"):
        assert "<script" not in path.read_text(encoding="utf-8")
        assert "<img" not in path.read_text(encoding="utf-8")


def test_json_cannot_leave_its_script():
    text = str(script_json({"a": HOSTILE + "\u2028"}))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text)["a"] == HOSTILE + "\u2028"


def test_latex_in_form(found: Results):
    text = booktabs(text_matrix(found.cells))
    lines = text.splitlines()
    columns = re.search(r"\\begin\{tabular\}\{(l r*|l[r]*)\}", text)
    assert columns is not None
    rows = [line for line in lines if line.endswith(r"\\")]
    assert all(len(re.findall(r"(?<!\\)&", line)) == len(columns.group(1)) - 1 for line in rows)
    assert text.count("{") == text.count("}")
    assert [text.count(rf"\{rule}") for rule in ("toprule", "midrule", "bottomrule")] == [1, 1, 1]


@pytest.mark.skipif(
    shutil.which("pdflatex") is None, reason="LaTeX is not installed: apt-get install texlive-latex-recommended"
)
def test_latex_compiles(written, found: Results, tmp_path: Path):
    hostile = found.cells.assign(agent=HOSTILE)
    tables = [path.read_text(encoding="utf-8") for path in (written[0] / "tables").glob("*.tex")]
    tables.append(booktabs(text_matrix(hostile, "return")))
    text = "\n".join([r"\documentclass{article}\usepackage{booktabs}\begin{document}", *tables, r"\end{document}"])
    (tmp_path / "all.tex").write_text(text, encoding="utf-8")
    command = ["pdflatex", "-halt-on-error", "-interaction=nonstopmode", "all.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "all.pdf").exists()


def test_latex_escapes_everything():
    assert escape("a_b & 50% #1 {x} \\input ~^ é") == (
        r"a\_b \& 50\% \#1 \{x\} \textbackslash{}input \textasciitilde{}\textasciicircum{} ?"
    )


def test_text_matrix_order_and_gaps(found: Results):
    matrix = text_matrix(found.cells)
    assert matrix.header == ("memory", "ada · Maze", "bob · Maze", "ada · Quiz", "bob · Quiz")
    assert [row[0] for row in matrix.rows[:4]] == ["no memory", "seed pool", "own pool", "pool of ada · Maze"]
    assert matrix.rows[3][1] == ""
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}, 0\.\d{3}\]", matrix.rows[0][1])


def one_run(tables: Tables) -> pd.DataFrame:
    return tables.episodes[tables.episodes["learning_run"] == 0]


def failed(tables: Tables) -> pd.DataFrame:
    frame = tables.episodes.copy()
    frame.loc[frame["arm"] == "transfer", ["error", "return"]] = ["server died", np.nan]
    return frame


def missing_cell(tables: Tables) -> pd.DataFrame:
    frame = tables.episodes
    return frame[~((frame["arm"] == "none") & (frame["agent"] == "ada") & (frame["learning_run"] < 2))]


def unbalanced(tables: Tables) -> pd.DataFrame:
    return tables.episodes[(tables.episodes["learning_run"] != 1) | (tables.episodes["episode"] < 2)]


def not_numbers(tables: Tables) -> pd.DataFrame:
    frame = tables.episodes.copy()
    frame.loc[frame.index[:7], "return"] = np.nan
    return frame


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (one_run, r"1 learning run\. With fewer than 4 the spread of runs is hardly known"),
        (failed, "No episode of the arm “transfer” was answered"),
        (missing_cell, "Cells have 1 to 3 learning runs"),
        (unbalanced, "2 to 4 environment seeds"),
        (not_numbers, "7 of 192 episodes failed for technical reasons and are missing data, not zeros"),
        (lambda tables: tables.episodes.assign(**{"return": 0.25}), r"Every episode returned 0\.25"),
        (lambda tables: tables.episodes[tables.episodes["arm"] == "self"], "The arm “none” is absent"),
        (lambda tables: tables.episodes.assign(dropped_turns=1), "In 192 episodes the context was full"),
    ],
    ids=["one run", "failed arm", "missing cell", "unbalanced", "nan", "all equal", "one arm", "full context"],
)
def test_bad_input_gets_a_stated_answer(tmp_path: Path, change, words):
    tables = simulate(np.random.default_rng(0), runs=3, episodes=4, tasks=("Maze",))
    frame = change(tables).astype({"arm": "str", "agent": "str", "task": "str"})
    bad = Tables.of(frame, invocations=tables.invocations, pools=tables.pools)
    found = report(bad, tmp_path, resamples=200)
    assert any(re.search(words, warning) for warning in found.warnings), found.warnings
    assert all(each.verdict == "undecided" for each in found.findings if each.kind != "reuse")
    text = (tmp_path / "findings.json").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Infinity" not in text


def test_one_run_is_undecided_in_words(tmp_path: Path):
    tables = simulate(np.random.default_rng(0), runs=1, episodes=4, tasks=("Maze",))
    found = report(tables, tmp_path, resamples=200)
    contrast = next(each for each in found.findings if each.kind == "contrast")
    assert contrast.sentence.startswith("Undecided: 1 learning run.")
    assert np.isnan(contrast.p)
