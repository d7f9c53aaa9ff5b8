"""The page of gradient isolation says what its texts say."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from testbed.bench.experiments.pages.gradient_isolation import differences, named_shares, top_of, write_isolation


def texts(planted: bool | None, clean: bool | None, aggregate: bool | None, batches: int = 6) -> pd.DataFrame:
    """Made up: batches of six, of which 2 or 4 are clean; every text of a level names the error, or none does."""
    rows = [
        (noise, batch, level, 0.5, named, f"<{level}>")
        for noise in (2, 4)
        for batch in range(batches)
        for level, named, count in (
            ("planted", planted, 6 - noise),
            ("clean", clean and batch > 0, noise),
            ("aggregate", aggregate, 1),
        )
        for _ in range(count)
    ]
    return pd.DataFrame(rows, columns=["noise", "replicate", "level", "total", "named", "text"])


def test_what_is_named_where_it_is_and_not_where_it_is_not_is_decided():
    table = texts(True, True, True)
    found = differences(table).set_index("name")
    planted = found.loc["named in planted − in clean trajectories"]
    assert planted["gain"] == pytest.approx(2 / 12)
    assert planted["batches"] == 12
    filtered = found.loc["aggregate − single gradients, where most have the error"]
    assert filtered["batches"] == 6  # with two clean ones of six
    assert filtered["gain"] == pytest.approx(1 / 6 * 2 / 6)


def test_the_shares_and_their_counts():
    shares = named_shares(texts(True, None, False)).set_index(["noise", "level"])
    assert shares["value"].to_dict() == {
        (noise, level): float(level == "planted") for noise in (2, 4) for level in ("planted", "aggregate")
    }
    assert shares.loc[(2, "planted"), "n"] == 24
    assert shares.loc[(2, "planted"), "low"] < 1


def test_texts_that_could_not_be_used_are_counted_and_leave_nothing_to_compare():
    top = top_of(texts(None, None, None), "m", "1 s.")
    assert top.claims == ()
    assert "84 of 84 texts were not usable" in top.basis
    assert top.decided.startswith("Nothing")


def test_the_page_is_written_and_escaped(tmp_path: Path):
    write_isolation(texts(True, True, False), "<model>", "1 s.", tmp_path / "there")
    html = (tmp_path / "there" / "report.html").read_text(encoding="utf-8")
    assert "critic &lt;model&gt;" in html
    assert "&lt;aggregate&gt;" in html
    assert "<aggregate>" not in html
    assert "could not be drawn" not in html
    assert (tmp_path / "there" / "figures" / "named.svg").exists()
