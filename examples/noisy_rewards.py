"""Which gates still let the right candidates in, where rewards are noisy, late or seldom paid?

    python examples/noisy_rewards.py [WORLD] [PARENTS]

WORLD is levers, dial or doors; with 40 parents some minutes on one core. Every mean is kept, so that a candidate's true
gain is the same in every row.
"""

from __future__ import annotations

import asyncio
import sys

from testbed.bench.experiments.closed_forms import CLOSED_FORMS
from testbed.bench.experiments.gates.reward_channels import judge_channels


def main(world: str, parents: int) -> None:
    table = asyncio.run(judge_channels(CLOSED_FORMS[world], parents=parents, seeds=13))
    kinds = [str(name).removesuffix(": n") for name in table if str(name).endswith(": n")]
    print(f"{world}: {parents} parents, 3 candidates each, seed 13")
    print("rewards | gate | tokens per candidate | " + " | ".join(kinds))
    for row in table.to_dict("records"):
        cells = [
            f"{row[kind]:.2f} ({row[f'{kind}: low']:.2f} to {row[f'{kind}: high']:.2f}), n = {row[f'{kind}: n']}"
            for kind in kinds
        ]
        print(f"{row['channel']} | {row['gate']} | {row['tokens']:,.0f} | " + " | ".join(cells))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(given[0] if given else "levers", int(given[1]) if len(given) > 1 else 40)
