"""Does the gate work where an action is a number and not a word? And what do a model's numbers do to its ratios?

    python examples/continuous_actions.py [MODEL] [PARENTS] [GAMES]

Without a MODEL scripted players alone, whose worth is known: some seconds for 6 parents, minutes for 60. A MODEL is a
catalog name, a Hugging Face id or a local folder; it plays two times GAMES games at each of four precisions. The page
lies in runs/continuous-actions. "" is no model.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import pandas as pd

from testbed.bench.experiments.gates.continuous import STEPS, agreement, by_precision, obedience, ratios, spread
from testbed.bench.experiments.pages.continuous import write_continuous
from testbed.config.agent import AgentConfig
from testbed.play.models import build_model
from testbed.reports.place import replacing

DECIMALS = (0, 1, 2, 3)


async def by_model(name: str, games: int) -> pd.DataFrame:
    model = await build_model(AgentConfig(name="player", model=name, context=2048), concurrency=games)
    try:
        return await ratios(model, decimals=DECIMALS, episodes=games, seed=5)
    finally:
        await model.close()


def main(name: str, parents: int, games: int) -> None:
    judged = asyncio.run(by_precision(parents=parents, seed=1, steps=STEPS))
    print(f"{parents} parents, 3 candidates each, seed 1")
    print(agreement(judged).round(2).to_string(index=False), flush=True)
    written = asyncio.run(by_model(name, games)) if name else pd.DataFrame()
    if len(written):
        print(f"\n{name}: ratios of the numbers that it wrote, seed 5")
        print(spread(written).round(3).to_string(index=False))
        print(obedience(written).round(3).to_string(index=False))
    place = Path("runs") / "continuous-actions"
    with replacing(place) as stage:
        cost = f"{time.process_time():,.0f} s of processor time."
        write_continuous(judged, written, name or "no model", cost, stage)
    print(f"\nReport: {place / 'report.html'}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        given[0] if given else "",
        int(given[1]) if len(given) > 1 else 60,
        int(given[2]) if len(given) > 2 else 8,
    )
