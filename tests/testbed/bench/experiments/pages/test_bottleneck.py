"""The page of a bottleneck study says what its table says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from analysis.report.headline import Cost
from testbed.bench.experiments.pages.bottleneck import top_of, write_bottleneck

ROWS = [("gate", 0.8, 0.3, 0.2, 0.4), ("actor", 0.6, 0.1, -0.1, 0.3), ("gradient", 0.4, -0.1, -0.2, -0.05)]
TABLE = pd.DataFrame(ROWS, columns=["part", "own", "gain", "low", "high"]).assign(runs=6)
KNOWN = {"self": 0.5, "seed": 0.3, "none": 0.25}


def test_the_top_says_what_the_table_says():
    top = top_of(TABLE, KNOWN, [Cost(100, 1.0), None, Cost(50, 0.5)])
    assert [claim.verdict for claim in top.claims] == ["better", "undecided", "worse"]
    assert top.decided.startswith("A better gate would pay most: +0.300")
    assert top.open.startswith("actor (+0.10)")
    assert "0.50 with its own pool" in top.basis
    assert top.cost == "150 tokens, 1 h 30 min of running, no prices are declared."


def test_runs_that_all_agree_give_no_verdict():
    flat = TABLE.assign(low=np.nan, high=np.nan)
    assert {claim.verdict for claim in top_of(flat, KNOWN, [None]).claims} == {"undecided"}


def test_page_and_slide_are_written(tmp_path: Path):
    write_bottleneck(TABLE, KNOWN, [None], "Bottleneck <of> Doors-v0", tmp_path / "there")
    html = (tmp_path / "there" / "report.html").read_text(encoding="utf-8")
    assert "Bottleneck &lt;of&gt; Doors-v0" in html
    assert "A better gate would pay most" in html
    assert (tmp_path / "there" / "headline.png").read_bytes().startswith(b"\x89PNG")
