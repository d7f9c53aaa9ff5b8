"""Does the gate's ΔJ predict what a skill then earns, with a real model on a real game?

    python examples/gate_on_mastermind.py [MODEL]

The six seed skills and one that asks for the same guess for ever: each is a parent in turn, all others its candidates.
Gains are measured by playing on common environment seeds. About ten minutes on two CPU cores.
"""

from __future__ import annotations

import asyncio
import sys

import numpy as np

from agents.models.local import LocalModel
from agents.models.model import Sampling
from agents.models.weights.folders import path
from agents.skill import Skill
from testbed.bench.experiments.gates.calibration import calibrate_by_play, rank_correlation
from transfer.gate.acceptance import Improvement
from transfer.gate.advantage import StepBaseline
from transfer.gate.gate import PPOGate
from transfer.gate.replay import ActingPolicy
from transfer.memory.seed_pool import SEEDS

STUBBORN = Skill(
    name="Stay with the first guess",
    activation="Always.",
    procedure="1. Guess [1 2 3 4]. 2. Guess [1 2 3 4] again, whatever the reply.",
    termination="The game ends.",
)


async def main(name: str) -> None:
    model = LocalModel.load(path(name), name=name, rows=12, context=2048)
    sampling = Sampling(temperature=0.6)
    gate = PPOGate((model,), acceptance=Improvement(), voice=ActingPolicy(sampling.temperature))
    table = await calibrate_by_play(
        model,
        "Mastermind-v0",
        (*SEEDS, STUBBORN),
        gate,
        StepBaseline(0.0),
        buffered=8,
        batch=4,
        evaluated=12,
        seeds=np.random.SeedSequence(3),
        sampling=sampling,
    )
    await model.close()
    columns = ["parent", "skill", "delta_J", "noise_nats", "clipped", "outcome", "true_gain", "gain_stderr"]
    print(table[columns].round(4).to_string(index=False))
    for column in ("J", "delta_J"):
        estimate, low, high = rank_correlation(table, column, np.random.default_rng(0))
        print(f"ρ({column}, gain) = {estimate:.2f} (95 % {low:.2f} to {high:.2f}, over parents)")
    passed = table["outcome"] == "accepted"
    print(f"{passed.mean():.0%} pass; mean gain of those {table.loc[passed, 'true_gain'].mean():+.3f}, ", end="")
    print(f"of the others {table.loc[~passed, 'true_gain'].mean():+.3f}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "smollm2-135m-instruct"))
