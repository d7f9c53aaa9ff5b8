"""A chart that cannot be drawn costs that chart; whatever characters a run holds, its report is written."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.report import drawing, write
from analysis.report.drawing import DrawingError, Renderer, drawable
from analysis.report.page import Figure, Section
from analysis.report.write import defused, report, write_page
from analysis.tables.run import Tables, Transcript
from tests.support.simulated_study import simulate

BARS = {
    "data": {"values": [{"a": "A", "b": 2}, {"a": "C", "b": 7}]},
    "mark": "bar",
    "encoding": {"x": {"field": "a", "type": "nominal"}, "y": {"field": "b", "type": "quantitative"}},
}
C0 = "".join(map(chr, range(0x20)))
EVERYTHING = f"{C0}\x7f\x85\x9b\u202e\u2066\ufeff\ufffe\uffff=1+1"


class Chart:
    """What altair's charts are asked for."""

    def __init__(self, specification: dict | Exception) -> None:
        self.specification = specification

    def to_dict(self) -> dict:
        if isinstance(self.specification, Exception):
            raise self.specification
        return self.specification


def named(text: str) -> dict:
    return {**BARS, "data": {"values": [{"a": text, "b": 1}]}}


@pytest.fixture
def renderer():
    with Renderer() as made:
        yield made


def test_a_renderer_that_aborts_is_one_error_and_the_next_chart_is_drawn(renderer):
    assert "<svg" in renderer.draw(BARS).svg
    with pytest.raises(DrawingError, match="ended with code -6"):  # SIGABRT: a panic of Rust, which no Python handles
        renderer.draw(named("use \beta"))
    with pytest.raises(DrawingError, match="conversion failed"):
        renderer.draw({"mark": "nonsense"})
    again = renderer.draw(BARS)
    assert "<svg" in again.svg
    assert again.pdf.startswith(b"%PDF")


def test_a_renderer_that_does_not_end_is_ended():
    with Renderer(patience=0.0) as impatient, pytest.raises(DrawingError, match="ended with code -9"):
        impatient.draw(BARS)


def test_a_renderer_that_cannot_be_started(monkeypatch, renderer):
    monkeypatch.setattr(drawing.sys, "executable", "/nowhere/python")
    with pytest.raises(DrawingError, match="no process could be started"):
        renderer.draw(BARS)


def test_what_an_svg_cannot_hold_is_replaced_everywhere(renderer):
    specification = drawable({"a": [EVERYTHING, 1, None], EVERYTHING: {"b": "half \ud83d"}})
    text = json.dumps(specification, ensure_ascii=False)
    assert not set(text) & (set(C0) - set("\t\n\r") | set("\ufffe\uffff\ud83d"))
    assert specification["a"][1:] == [1, None]
    ET.fromstring(renderer.draw(drawable(named(EVERYTHING))).svg)


def test_a_chart_that_fails_is_a_sentence_on_the_page(tmp_path):
    broken = ValueError("this chart has\n1e308 of everything")
    sections = [
        Section("one", "One", charts=(
            Figure("good", "Good", "A chart.", lambda: Chart(BARS)),
            Figure("bad", "Bad", "No chart.", lambda: Chart(broken)),
            Figure("worse", "Worse", "No chart.", lambda: 1 / 0),
        )),
        Section("two", "Two", charts=(Figure("last", "Last", "A chart.", lambda: Chart(BARS)),)),
    ]  # fmt: skip
    write_page("Title", "Subtitle", sections, tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "The chart “Bad” could not be drawn (ValueError: this chart has 1e308 of everything); its numbers" in html
    assert "The chart “Worse” could not be drawn (ZeroDivisionError" in html
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"good.svg", "good.pdf", "last.svg", "last.pdf"}
    assert 'data-chart="bad"' not in html
    assert 'id="spec-last"' in html


def test_numbers_and_tables_are_there_before_anything_is_drawn(tmp_path, monkeypatch):
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "compose", stop)
    with pytest.raises(KeyboardInterrupt):
        report(simulate(np.random.default_rng(0), runs=2, episodes=2), tmp_path, resamples=100)
    assert json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))["findings"]
    assert (tmp_path / "tables" / "cells.csv").exists()
    assert not (tmp_path / "report.html").exists()


def test_every_control_character_in_every_string_of_a_run(tmp_path):
    made = simulate(
        np.random.default_rng(0), agents=(f"ada{EVERYTHING}", "bob"), tasks=(f"Maze{EVERYTHING}",), runs=2, episodes=2,
        transcripts=[Transcript(EVERYTHING, ((EVERYTHING, EVERYTHING),))], versions={EVERYTHING: EVERYTHING},
    )  # fmt: skip
    texts = {"arm": "str", "agent": "str", "task": "str", "source_agent": "str", "source_task": "str"}
    tables = Tables.of(
        made.episodes.astype(texts).assign(study=EVERYTHING, run=EVERYTHING, error=None),
        invocations=made.invocations,
        pools=made.pools.assign(name=EVERYTHING, origin=EVERYTHING),
        learning=made.learning,
        events=made.events.assign(text=EVERYTHING),
        transcripts=made.transcripts,
        versions=made.versions,
    )
    report(tables, tmp_path, resamples=100)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "could not be drawn" not in html
    drawn = list((tmp_path / "figures").glob("*.svg"))
    assert len(drawn) > 5
    for path in drawn:
        ET.fromstring(path.read_text(encoding="utf-8"))
    stored = pd.read_parquet(tmp_path / "tables" / "cells.parquet")
    assert set(stored["task"]) == {f"Maze{EVERYTHING}"}, "Parquet keeps what was said"


def test_a_formula_in_a_table_is_text():
    formulas = ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3", "\t=1", "\r=1", "＝1"]
    frame = pd.DataFrame({"name": [*formulas, "-0.3", "a=b", None], "value": [-1.5] * (len(formulas) + 3)})
    safe = defused(frame)
    assert list(safe["name"][: len(formulas)]) == [f"'{text}" for text in formulas]
    assert list(safe["name"][len(formulas) : -1]) == ["-0.3", "a=b"]
    assert safe["name"].isna().iloc[-1]
    assert list(safe["value"]) == list(frame["value"])
    assert defused(frame.astype({"name": "category"}).astype({"name": "str"}))["value"].dtype == "float64"
    assert list(frame["name"][:1]) == ["=1+1"], "the frame itself is left alone"


def test_a_section_is_left_as_it_is_where_nothing_fails(tmp_path):
    section = Section("one", "One", warnings=("careful",), charts=(Figure("a", "A", "b", lambda: Chart(BARS)),))
    write_page("Title", "Subtitle", [section, replace(section, id="two", charts=())], tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("careful") == 2
