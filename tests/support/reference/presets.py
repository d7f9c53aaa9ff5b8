"""The named choices of the paper (its section 4) and of the official code, where the two differ."""

from __future__ import annotations

from typing import Any

PAPER: dict[str, Any] = {
    "critic": "hindsight",
    "aggregation": "consolidate",
    "gate": "ppo",
    "advantage": "return-to-go",
    "gamma": 1.0,
    "likelihood": "sum",
    "reduction": "per-trajectory",
    "acceptance": "objective",
    "margin": 0.0,
    "clip": 0.2,
    "scorer": "actor",
    "whose": "policy",
    "reasoning": "given",
    "maintenance": "always",
    "evidence": 3,
    "priority": "potential",
    "credit": "step-mean",
    "baseline": "running-mean",
    "alpha": 0.1,
    "batch": 6,
    "candidates": 3,
    "parents": 2,
    "related": 0.5,
    "cooldown": 3,
    "duel_level": 0.05,
    "duel_margin": 0.0,
    "duel_pairs": 24,
    "duel_look": 2,
    "duel_test": "symmetric",
    "duel_opponent": "parent",
    "screen": 2.0,
}
AS_RELEASED = PAPER | {
    "aggregation": "juxtapose",
    "advantage": "per-step-share",
    "likelihood": "per-token-mean",
    "reduction": "per-step",
    "margin": 0.001,
    "scorer": "evolver",
    "whose": "raw",
    "maintenance": "lower-bound",
    "priority": "as-released",
    "credit": "per-call",
    "baseline": "moving-average",
}
RECOMMENDED = PAPER | {"gate": "race", "advantage": "step-baseline", "acceptance": "improvement"}
PRESETS = {"paper": PAPER, "as-released": AS_RELEASED, "recommended": RECOMMENDED}
