"""Randomness: every Generator of a study is spawned from its seed by named keys; no draw depends on another's order."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from testbed.records.trial import Phase


def stream(seed: int, *keys: str | int) -> np.random.Generator:
    """The Generator of one named place in a study, e.g. `stream(7, "evaluate", trial.id, "seat_0")`."""
    return np.random.default_rng([seed, *(_number(key) for key in keys)])


@lru_cache(maxsize=2**16, typed=True)  # the same games are played in every arm, by every agent
def environment_seed(seed: int, phase: Phase, *keys: str | int) -> int:
    """A seed (31 bits) for an environment: odd to evaluate, even to learn, so that no game is ever met in both."""
    return 2 * int(stream(seed, "environment", phase, *keys).integers(2**30)) + (phase == "evaluate")


def evaluation_seed(seed: int, task: str, learning_run: int, number: int, *, in_turn: bool) -> int:
    """The environment seed of a learning run's evaluation game `number`, the same in all arms.

    It is drawn; or `in_turn` the next after the one before, from a first one that is drawn (`EnvSpec.in_turn`).
    """
    if in_turn:
        return environment_seed(seed, "evaluate", task, learning_run) + 2 * number
    return environment_seed(seed, "evaluate", task, learning_run, number)


@lru_cache(maxsize=2**12, typed=True)
def _number(key: str | int) -> int:
    """A key as a number that depends on its text alone (Python's own `hash` changes from process to process)."""
    return int.from_bytes(hashlib.sha256(str(key).encode()).digest()[:8], "little")
