"""Does a semantic gradient name an error that is known to be there? And does aggregation filter the noise?

    python examples/gradient_isolation.py [MODEL] [REPLICATES]

MODEL is a catalog name, a Hugging Face id or a local folder; the evolver of the other examples by default. The page
lies in runs/gradient-isolation.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import numpy as np

from testbed.bench.experiments.gradient_isolation import isolate, shares
from testbed.bench.experiments.pages.gradient_isolation import write_isolation
from testbed.config.agent import AgentConfig
from testbed.play.models import build_model
from testbed.reports.place import replacing
from transfer.memory.seed_pool import SEEDS
from transfer.nppo.aggregation import Consolidate
from transfer.nppo.gradient import Hindsight


async def main(name: str, replicates: int) -> None:
    model = await build_model(AgentConfig(name="critic", model=name), concurrency=8)
    best_known = next(seed for seed in SEEDS if seed.name == "Use the best known option")
    table = await isolate(
        Hindsight(model),
        Consolidate(model),
        best_known,
        noise=(0, 2, 4, 6),
        replicates=replicates,
        seeds=np.random.SeedSequence(1),
    )
    await model.close()
    print("Share of texts that name the planted error, by number of clean trajectories among six:")
    print(shares(table).round(2).to_string())
    print("\nTwo of the texts:")
    for text in table[table["level"] == "aggregate"]["text"].head(2):
        print(f"- {text}")
    place = Path("runs") / "gradient-isolation"
    with replacing(place) as stage:
        write_isolation(table, name, f"{time.process_time():,.0f} s of processor time.", stage)
    print(f"\nReport: {place / 'report.html'}")


if __name__ == "__main__":
    asyncio.run(
        main(
            sys.argv[1] if len(sys.argv) > 1 else "qwen2.5-coder-1.5b-instruct",
            int(sys.argv[2]) if len(sys.argv) > 2 else 3,
        )
    )
