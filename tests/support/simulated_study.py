"""A simulated matrix study with known truth (arms differ by given effects), and a simulated lineage."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from analysis.tables.run import EPISODES, EVENTS, INVOCATIONS, LEARNING, POOLS, Tables

AGENTS, TASKS = ("ada", "bob"), ("Maze", "Quiz")


def simulate(
    rng: np.random.Generator,
    *,
    agents=AGENTS,
    tasks=TASKS,
    runs=8,
    episodes=10,
    effects=None,
    units=6,
    cross_task=False,
    transcripts=(),
    versions=None,
) -> Tables:
    """Tables of a matrix whose arms have the given mean effects over no memory; runs and seeds add noise."""
    effects = {"none": 0.0, "seed": 0.05, "self": 0.3, "transfer": 0.15, "random": 0.05, "shuffled": 0.0} | (
        effects or {}
    )
    rows, calls, pools = [], [], []
    cells = [("none", "", "", a, t) for a, t in product(agents, tasks)]
    cells += [("seed", "", "", a, t) for a, t in product(agents, tasks)]
    for source, home, agent, task in product(agents, tasks, agents, tasks):
        if home != task and not cross_task:
            continue
        own = source == agent and home == task
        for arm in ["self" if own else "transfer", "random", "shuffled"]:
            cells.append((arm, source, home, agent, task))
    luck = {(task, run): rng.normal(0, 0.1, episodes) for task in tasks for run in range(runs)}
    pool_luck = {key: rng.normal(0, 0.05) for key in product(agents, tasks, range(runs))}
    names = [f"u{k}" for k in range(units)]
    for agent, task, run in product(agents, tasks, range(runs)):
        for unit in names:
            pools.append((f"{agent}-{task}-{run}", agent, task, run, unit, f"skill {unit}", 40, "refined"))
    for unit in names:
        pools.append(("seedpool", "", "", 0, unit, f"skill {unit}", 40, "seed"))
    for arm, source, home, agent, task in cells:
        for run in range(runs):
            shared = pool_luck[(source, home, run)] if source else 0.0
            returns = np.clip(0.4 + effects[arm] + shared + luck[(task, run)] + rng.normal(0, 0.1, episodes), 0, 1)
            pool = f"{source}-{home}-{run}" if source else ("seedpool" if arm == "seed" else None)
            for k, value in enumerate(returns):
                n_calls = int(rng.integers(0, 4)) if pool else 0
                for unit, count in zip(*np.unique(rng.choice(names, n_calls), return_counts=True), strict=True):
                    calls.append((arm, source, home, agent, task, run, 1000 * run + k, unit, int(count)))
                rows.append(
                    ("demo", "demo-1", arm, source or None, home or None, agent, task, run, 1000 * run + k, k, 0, pool,
                     value, bool(value > 0.6), int(rng.integers(0, 2)), 10, n_calls, min(10, 2 * n_calls),
                     12.5 if pool else 0.0, 900, 80, 10, 0, None)
                )  # fmt: skip
    learning, events = lineage(rng, agents, tasks, runs, names)
    return Tables.of(
        frame(rows, EPISODES),
        invocations=frame(calls, INVOCATIONS),
        pools=frame(pools, POOLS),
        learning=frame(learning, LEARNING),
        events=frame(events, EVENTS),
        transcripts=transcripts,
        versions=versions or {"study digest": "0123abcd"},
    )


def frame(rows, columns) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=[column.name for column in columns])


def lineage(rng, agents, tasks, runs, names):
    """Returns that rise with iterations; candidates whose score follows their ΔJ; one pruning per learner."""
    learning, events = [], []
    for agent, task, run in product(agents, tasks, range(runs)):
        for iteration, episode in product(range(4), range(3)):
            value = 0.3 + 0.1 * iteration + rng.normal(0, 0.1)
            learning.append(
                (agent, task, run, iteration, 3 * iteration + episode, episode, value, bool(value > 0.6), None)
            )
        learner = (agent, task, run)
        for iteration, unit in enumerate(names[:4]):
            gap = float(rng.normal(0.1, 0.2))
            parents = names[iteration - 1] if iteration else None
            accepted = gap > 0
            events.append(
                (
                    "verdict",
                    *learner,
                    iteration,
                    unit,
                    parents,
                    0.2,
                    gap,
                    0.01,
                    "accepted" if accepted else "rejected",
                    None,
                )
            )
            if accepted:
                score = gap + float(rng.normal(0, 0.05))
                events.append(("admitted", *learner, iteration, unit, parents, None, None, None, None, score))
        events.append(("pruned", *learner, 3, names[0], None, None, None, None, None, -0.1))
    return learning, [(event[0], order, *event[1:], None) for order, event in enumerate(events)]
