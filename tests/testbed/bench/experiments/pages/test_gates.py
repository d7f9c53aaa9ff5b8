"""Pages of gates say what their tables say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from testbed.bench.experiments.gates.comparison import PAPER
from testbed.bench.experiments.gates.rates import against, rates
from testbed.bench.experiments.pages.gates import (
    LIKELY,
    RACE,
    channels_top,
    comparison_top,
    write_channels,
    write_comparison,
)

GATES = {"none": (1.0, 1.0), PAPER: (0.0, 0.0), LIKELY: (0.3, 0.1), RACE: (0.9, 0.0)}
"""Chances with which a worthy and a worthless candidate is admitted by a gate."""


def judged(parents: int = 24) -> pd.DataFrame:
    """Made up: each parent has two candidates that gain and one that does not."""
    rng = np.random.default_rng(0)
    rows = [
        {"parent": parent, "gate": gate, "true_gain": gain, "admitted": bool(rng.random() < odds[gain <= 0])}
        for parent in range(parents)
        for gate, odds in GATES.items()
        for gain in (0.1 + parent / 1000, 0.2, -0.1)
    ]
    return pd.DataFrame(rows).assign(tokens=1000.0)


def learned() -> pd.DataFrame:
    runs = [(run, gate, 0.4, 0.5 + 0.01 * run, 0.45, 2.0) for run in range(3) for gate in (PAPER, RACE)]
    return pd.DataFrame(runs, columns=["run", "gate", "first", "best", "mean", "admitted"])


def test_a_gate_is_held_against_the_papers_on_the_same_worthy_candidates():
    table = judged()
    found = against(table, PAPER).set_index("gate")
    worthy = table[table["true_gain"] > 0]
    shares = worthy.groupby("gate")["admitted"].mean()
    assert PAPER not in found.index
    assert found["gain"].to_dict() == {name: shares[name] - shares[PAPER] for name in ("none", LIKELY, RACE)}
    assert found.loc[RACE, "low"] > 0.5
    assert set(found["parents"]) == {24}
    assert against(table[table["true_gain"] < 0], PAPER).empty


def test_the_top_names_the_gate_that_tells_candidates_apart():
    table = judged()
    top = comparison_top(table, learned(), "1 s.")
    assert [each.name for each in top.claims] == [f"{LIKELY} − paper's", f"{RACE} − paper's"]
    assert top.decided.startswith(f"“{RACE}” told them apart best here: it admitted 0.")
    assert "24 parents with the same 72 candidates" in top.basis
    assert "3 learning runs a gate" in top.basis
    assert top.measure == "difference in share admitted"
    poor = comparison_top(table[table["true_gain"] < 0], pd.DataFrame(), "1 s.")
    assert poor.claims == ()
    assert "no candidate gained 0.05 or more" in poor.decided


def test_the_page_of_a_comparison_is_written_and_escaped(tmp_path: Path):
    write_comparison("<levers>", judged(), learned(), "Seed 1.", "1 s.", tmp_path / "there")
    html = (tmp_path / "there" / "report.html").read_text(encoding="utf-8")
    assert "Gates compared: &lt;levers&gt;" in html
    assert "difference in share admitted" in html
    assert "What a pool is worth that was learned with it" in html
    assert "How it was measured" in html
    assert "could not be drawn" not in html
    assert (tmp_path / "there" / "headline.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "there" / "figures" / "admitted.svg").exists()


def test_the_page_of_harder_rewards_has_a_chart_for_each(tmp_path: Path):
    calm, noisy = judged(), judged()
    noisy.loc[noisy["gate"] == RACE, "admitted"] = False
    both = pd.concat([calm.assign(channel="as paid"), noisy.assign(channel="noise of SD 1")], ignore_index=True)
    top = channels_top(both, "1 s.")
    assert [each.verdict for each in top.claims] == ["better", "worse"]
    said = "of what is worth having, a race of 96 pairs admits more under as paid; less under noise of SD 1."
    assert top.decided == said
    write_channels("levers", both, "Seed 1.", "1 s.", tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Share admitted: noise of SD 1" in html
    assert (tmp_path / "figures" / "admitted-noise-of-sd-1.svg").exists()
    assert rates(calm)["gate"].tolist() == list(GATES)
