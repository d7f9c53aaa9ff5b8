"""Whole files of a report, compared with those of one written anew."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from analysis.audit import AuditError, compare_reports, compare_settings, read_findings, same_number


@pytest.fixture
def stored(written, tmp_path: Path) -> Path:
    """A copy of the report, to be tampered with."""
    return Path(shutil.copytree(written[0], tmp_path / "report"))


def rewrite(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    assert change(text) != text
    path.write_text(change(text), encoding="utf-8")


def edit_findings(report: Path, change: Callable[[dict], None]) -> None:
    path = report / "findings.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")


def edit_table(report: Path, name: str) -> None:
    path = report / "tables" / f"{name}.parquet"
    frame = pd.read_parquet(path)
    column = next(column for column in frame.columns if frame[column].dtype == float)
    frame.loc[0, column] = 7.25
    frame.to_parquet(path, index=False)


def set_in_first(key: str, value: object) -> Callable[[Path], None]:
    return lambda report: edit_findings(report, lambda content: content["findings"][0].update({key: value}))


def second_of_the_same_id(content: dict) -> None:
    content["findings"].insert(0, {**content["findings"][0], "estimate": 1.0})


CHANGES: dict[str, Callable[[Path], None]] = {
    **{
        f"{key} of a finding": set_in_first(key, value)
        for key, value in {
            "estimate": 0.5, "sentence": "Better.", "family": "1 contrast", "adjustment": "none", "method": "t",
            "subject": "a − b", "question": "?", "sign": -1, "margin": 0.5, "p_equivalence": 0.001, "level": 0.5,
        }.items()
    },
    "summary": lambda report: edit_findings(report, lambda content: content.update(summary=["All is well."])),
    "warnings": lambda report: edit_findings(report, lambda content: content.update(warnings=["None."])),
    "missing key": lambda report: edit_findings(report, lambda content: content.pop("missing")),
    "level": lambda report: edit_findings(report, lambda content: content.update(level=0.9)),
    "second finding of one id": lambda report: edit_findings(report, second_of_the_same_id),
    "page": lambda report: rewrite(report / "report.html", lambda text: text.replace("Better: ", "Proven: ")),
    "a printed number": lambda report: rewrite(report / "report.html", lambda text: text.replace("0.4", "0.5", 1)),
    "page gone": lambda report: (report / "report.html").unlink(),
    "csv": lambda report: rewrite(report / "tables" / "cells.csv", lambda text: text.replace("ada", "bob", 1)),
    "tex": lambda report: rewrite(report / "tables" / "return.tex", lambda text: text.replace("0.", "1.", 1)),
    "table": lambda report: edit_table(report, "arms"),
    "table of findings": lambda report: edit_table(report, "findings"),
    "table gone": lambda report: (report / "tables" / "cells.parquet").unlink(),
    "invented table": lambda report: (report / "tables" / "proof.csv").write_text("a\n1\n", encoding="utf-8"),
    "figure": lambda report: rewrite(report / "figures" / "returns.svg", lambda text: text.replace("ada", "bob", 1)),
    "figure as PDF": lambda report: (report / "figures" / "returns.pdf").write_bytes(b"%PDF-1.4"),
    "broken": lambda report: (report / "findings.json").write_text("{", encoding="utf-8"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_found(written, stored: Path, change: Callable[[Path], None]):
    assert compare_reports(stored, written[0]) == []
    change(stored)
    assert compare_reports(stored, written[0])


def test_a_change_is_named_by_its_place(written, stored: Path):
    edit_findings(stored, lambda content: content["findings"][0].update(estimate=7.5))
    told = compare_reports(stored, written[0])
    assert len(told) == 1
    assert "estimate is 7.5 in the report, the records give" in told[0]


def test_many_changes_of_one_file_are_counted(written, stored: Path):
    edit_findings(stored, lambda content: [each.update(p=0.01) for each in content["findings"]])
    told = compare_reports(stored, written[0])
    assert len(told) == 21
    assert "differences more" in told[-1]


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ("0.123", "0.124", False),
        ("0.12345678901", "0.12345678902", True),
        ("0.1234567", "0.1244567", False),
        ("5e-17", "0.0", False),
        ("1.5000000000000002", "1.5", True),
    ],
)
def test_only_long_numbers_may_differ_and_only_by_rounding(first: str, second: str, equal: bool):
    assert same_number(first, second) == equal


def test_settings_are_the_studys(written):
    recorded = read_findings(written[0], "procmem report RUN")
    assert compare_settings(recorded, {"seed": 3, "resamples": 500, "margin": 0.05}) == []
    told = compare_settings(recorded, {"seed": 0, "resamples": 10_000, "margin": None})
    assert told[0] == "seed is 3 in the report, the study declares 0."
    assert len(told) == 3


def test_no_report_and_a_damaged_one(tmp_path: Path):
    with pytest.raises(AuditError, match="there is no report; write it with `procmem report RUN`"):
        read_findings(tmp_path, "procmem report RUN")
    for text in ("{", "[]", "[" * 100_000):
        (tmp_path / "findings.json").write_text(text, encoding="utf-8")
        with pytest.raises(AuditError, match="damaged"):
            read_findings(tmp_path, "procmem report RUN")
