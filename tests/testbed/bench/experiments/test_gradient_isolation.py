"""The isolation study itself, with critics that see well, see badly, or answer nothing. All of them are fakes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest

from testbed.bench.experiments.gradient_isolation import isolate, names_repetition, shares
from transfer.memory.seed_pool import SEEDS
from transfer.nppo.aggregation import Juxtapose
from transfer.nppo.evolver import Unusable, record
from transfer.nppo.gradient import Gradient


@dataclass
class Seer:
    """Names the error where the record shows it."""

    async def __call__(self, skill, spans, baseline, seed):
        seen = "opened box" in record(spans)
        said = "Do not open the same box twice." if seen else "Luck decided."
        return Gradient(spans[0].trajectory.id, 0.0, said, True, procedure=said)


class Mute:
    async def __call__(self, skill, spans, baseline, seed):
        raise Unusable("nothing")


def table(critic, noise=(0, 3, 6)):
    return asyncio.run(
        isolate(critic, Juxtapose(), SEEDS[4], noise=noise, replicates=4, seeds=np.random.SeedSequence(0))
    )


def test_a_seeing_critic_is_told_from_noise():
    found = shares(table(Seer()))
    assert found.loc[0, "planted"] > 0.9
    assert found.loc[3, "clean"] == found.loc[6, "clean"] == 0.0
    assert found.loc[0, "aggregate"] == 1.0
    assert found.loc[6, "aggregate"] == 0.0


def test_the_planted_error_costs_what_it_should():
    rows = table(Seer(), noise=(3,))
    by_level = rows.groupby("level")["total"].mean()
    assert by_level["clean"] > by_level["planted"] + 0.2


def test_a_mute_critic_leaves_gaps_not_zeros():
    rows = table(Mute(), noise=(3,))
    assert rows["named"].isna().all()
    assert set(rows["level"]) == {"planted", "clean"}


@pytest.mark.parametrize(
    "text",
    [
        "The player opened box 3 twice.",
        "Do not repeat a choice.",
        "Avoid boxes that were opened before.",
        "It chose the same box again.",
        "Always choose a different box.",
        "Box 4 had already been opened.",
    ],
)
def test_naming_is_recognised(text):
    assert names_repetition(text)


@pytest.mark.parametrize(
    "text", ["Box 3 held a coin.", "Open box 7 first.", "The player was unlucky.", "Choose numbers from 1 to 8.", ""]
)
def test_other_talk_is_not(text):
    assert not names_repetition(text)
