"""Which gates still let the right candidates in, where rewards are noisy, late or seldom paid?

    python examples/noisy_rewards.py [WORLD] [PARENTS]

WORLD is levers, dial, setpoint, pair or doors; with 40 parents some minutes on one core. Every mean is kept, so that a
candidate's true gain is the same in every row. The page lies in runs/noisy-rewards-WORLD.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from testbed.bench.experiments.closed_forms import CLOSED_FORMS
from testbed.bench.experiments.gates.rates import admitted, kinds
from testbed.bench.experiments.gates.reward_channels import channel_rates, judge_channels
from testbed.bench.experiments.pages.gates import write_channels
from testbed.bench.experiments.players.setpoint import SETPOINT_FORMS
from testbed.reports.place import replacing

WORLDS = {**CLOSED_FORMS, **SETPOINT_FORMS}


def main(world: str, parents: int) -> None:
    judged = asyncio.run(judge_channels(WORLDS[world], parents=parents, seeds=13))
    table = channel_rates(judged)
    print(f"{world}: {parents} parents, 3 candidates each, seed 13")
    print("rewards | gate | tokens per candidate | " + " | ".join(kinds(table)))
    for row in table.to_dict("records"):
        cells = [f"{admitted(row, kind)}, n = {row[f'{kind}: n']}" for kind in kinds(table)]
        print(f"{row['channel']} | {row['gate']} | {row['tokens']:,.0f} | " + " | ".join(cells))
    place = Path("runs") / f"noisy-rewards-{world}"
    cost = f"{time.process_time():,.0f} s of processor time; no language model was asked."
    with replacing(place) as stage:
        write_channels(world, judged, "Seed 13.", cost, stage)
    print(f"Report: {place / 'report.html'}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(given[0] if given else "levers", int(given[1]) if len(given) > 1 else 40)
