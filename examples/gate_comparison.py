"""Which gate lets the right candidates in, and what is a pool worth that was learned with it, at equal tokens?

    python examples/gate_comparison.py [WORLD] [PARENTS] [RUNS]

WORLD is levers, dial, setpoint, pair, doors or mastermind; with 60 parents and 12 runs a few minutes each on one core,
Mastermind's games take ten times as long. The page lies in runs/gate-comparison-WORLD.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from testbed.bench.experiments.closed_forms import CLOSED_FORMS, ClosedForm
from testbed.bench.experiments.gates.comparison import COMPARED, judge_all
from testbed.bench.experiments.gates.learning import learn_all
from testbed.bench.experiments.gates.rates import admitted, kinds, rates
from testbed.bench.experiments.pages.gates import write_comparison
from testbed.bench.experiments.players.mastermind import MastermindPlayer
from testbed.bench.experiments.players.setpoint import SETPOINT_FORMS
from testbed.reports.place import replacing

WORLDS: dict[str, ClosedForm] = {**CLOSED_FORMS, **SETPOINT_FORMS, "mastermind": MastermindPlayer()}
LONG = ("likelihood: ΔJ > 0, 48 games", "race, 96 pairs", "likelihood+race, 96 pairs")
"""Too much for Mastermind on one core."""


def print_rates(table: pd.DataFrame) -> None:
    print("gate | tokens per candidate | " + " | ".join(kinds(table)))
    for row in table.to_dict("records"):
        cells = [f"{admitted(row, kind)}, n = {row[f'{kind}: n']}" for kind in kinds(table)]
        print(f"{row['gate']} | {row['tokens']:,.0f} | " + " | ".join(cells))


def print_pools(table: pd.DataFrame) -> None:
    print("gate | best of the pool, gain over the first skill | mean of the pool | admitted")
    for name, group in table.groupby("gate", sort=False):
        cells = []
        for column in ("best", "mean"):
            gains = group[column] - group["first"]
            error = gains.std(ddof=1) / np.sqrt(len(gains))
            cells.append(f"{gains.mean():+.3f} (s.e. {error:.3f})")
        print(f"{name} | " + " | ".join(cells) + f" | {group['admitted'].mean():.1f}")


def main(world: str, parents: int, runs: int) -> None:
    form = WORLDS[world]
    compared = {name: each for name, each in COMPARED.items() if world != "mastermind" or name not in LONG}
    judged = asyncio.run(judge_all(form, compared, parents=parents, seeds=np.random.SeedSequence(13)))
    print(f"{world}: {parents} parents, 3 candidates each, seed 13", flush=True)
    print_rates(rates(judged))
    learned = asyncio.run(learn_all(form, compared, runs=runs, seeds=np.random.SeedSequence(14)))
    print(f"\n{world}: {runs} learning runs at the tokens of 240 games, seed 14")
    print_pools(learned)
    place = Path("runs") / f"gate-comparison-{world}"
    cost = f"{time.process_time():,.0f} s of processor time; no language model was asked."
    with replacing(place) as stage:
        write_comparison(world, judged, learned, "Seeds 13 (candidates) and 14 (pools).", cost, stage)
    print(f"\nReport: {place / 'report.html'}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        given[0] if given else "levers",
        int(given[1]) if len(given) > 1 else 60,
        int(given[2]) if len(given) > 2 else 12,
    )
