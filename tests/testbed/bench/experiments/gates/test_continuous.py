"""Gates on numbers: verdicts by precision, and the ratios of a model's numbers. The model here is a fake."""

from __future__ import annotations

import asyncio
import math

import pytest

from agents.models.model import Likelihood, Utterance
from agents.models.scripted import ScriptedModel
from environments.diagnostics.setpoint import settings
from testbed.bench.experiments.gates.continuous import (
    PLAYERS,
    RIGHT,
    agreement,
    by_precision,
    obedience,
    ratios,
    spread,
)
from testbed.bench.experiments.pages.continuous import top_of, write_continuous


class Digits(ScriptedModel):
    """Plays 7 where it is told 7.3 and 5 elsewhere; a rephrased skill makes each digit e^.1 times likelier."""

    def __init__(self) -> None:
        super().__init__("digits", self.odds)

    @staticmethod
    def odds(messages, grammar):
        value = 7.3 if RIGHT.procedure in messages[0].content else 5.0
        decimals = next(count for count in range(7) if grammar == settings(count).grammar)
        return {f"[{settings(decimals).parts[0].write(value)}]": 1.0}

    def _likelihood(self, utterance: Utterance) -> Likelihood:
        digits = sum(each.isdigit() for each in utterance.text)
        more = 0.1 if "about in the middle" in utterance.messages[0].content else 0.0
        return Likelihood((math.log(0.1) + more,) * digits)


def test_the_gate_ranks_better_numbers_first_however_they_are_written():
    found = agreement(asyncio.run(by_precision(parents=8, seed=1)), draws=50).set_index("player")
    assert set(found.index) == set(PLAYERS)
    assert (found["rho"] > 0.5).all()
    assert (found["n"] == 24).all()
    assert found.loc["1 decimal", "clipped"] == pytest.approx(found.loc["3 decimals", "clipped"], abs=0.1)
    assert found.loc["3 decimals, digits with likings", "clipped"] > found.loc["3 decimals", "clipped"]


def test_the_ratio_of_a_number_is_the_product_over_its_digits():
    table = asyncio.run(ratios(Digits(), decimals=(0, 2), episodes=3, seed=1))
    found = spread(table).set_index(["decimals", "candidate"])
    assert found["size"].to_dict() == pytest.approx(
        {(0, "rephrased"): 0.1, (0, "right"): 0.0, (2, "rephrased"): 0.3, (2, "right"): 0.0}
    )
    assert found.loc[(2, "rephrased"), "clipped"] == 1.0
    assert found.loc[(0, "rephrased"), "clipped"] == 0.0
    assert found.loc[(2, "rephrased"), "effective"] == pytest.approx(1.0)  # all ratios are the same
    assert (found["steps"] == 12).all()


def test_what_a_right_number_is_worth_is_compared_on_common_seeds():
    found = obedience(asyncio.run(ratios(Digits(), decimals=(0, 1), episodes=3, seed=1))).set_index("decimals")
    assert found.loc[1, "right"] == pytest.approx(1.0)
    assert found.loc[0, "right"] == pytest.approx(0.9)
    assert found.loc[1, "vague"] == pytest.approx(1 - 2.3 / 3)
    assert found.loc[1, "gain"] == pytest.approx(2.3 / 3)
    assert (found["episodes"] == 3).all()


def test_the_page_says_what_the_tables_say(tmp_path):
    judged = asyncio.run(by_precision(parents=4, seed=1))
    written = asyncio.run(ratios(Digits(), decimals=(0, 2), episodes=3, seed=1))
    top = top_of(judged, written, "<m>", "1 s.")
    assert [each.name for each in top.claims] == list(PLAYERS)
    assert "beyond the clip in 0% at 0, 100% at 2 decimals" in top.decided
    write_continuous(judged, written, "<m>", "1 s.", tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Numbers as a model writes them: &lt;m&gt;" in html
    assert "rank correlation with the true gain" in html
    assert "could not be drawn" not in html
    assert (tmp_path / "figures" / "agreement.svg").exists()
