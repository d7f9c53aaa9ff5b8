"""Does the gate's ΔJ predict the true gain of a candidate? Two worlds whose policies are known in closed form.

    python examples/gate_calibration.py [PARENTS]

Levers have five actions; the dial takes real numbers written as text, so that likelihoods change gradually.
"""

from __future__ import annotations

import asyncio
import sys

import numpy as np

from agents.models.model import Model
from testbed.bench.experiments.closed_forms import CLOSED_FORMS, ClosedForm, DialPlayer
from testbed.bench.experiments.gates.calibration import calibrate, curve, rank_correlation
from transfer.gate.acceptance import Improvement
from transfer.gate.advantage import Advantage, PerStepShare, ReturnToGo, StepBaseline
from transfer.gate.gate import PPOGate
from transfer.gate.replay import ActingPolicy

ADVANTAGES: dict[str, Advantage] = {
    "return-to-go (paper)": ReturnToGo(),
    "per-step-share (as released)": PerStepShare(),
    "step-baseline, γ = 1": StepBaseline(),
    "step-baseline, γ = 0": StepBaseline(0.0),
}


def gate(model: Model) -> PPOGate:
    return PPOGate((model,), acceptance=Improvement(), voice=ActingPolicy(temperature=1.0), repeats=0)


def study(label: str, form: ClosedForm, advantage: Advantage, parents: int) -> None:
    """One line: rank correlation of J and of ΔJ with the true gain, and what each acceptance rule lets in."""
    table = asyncio.run(calibrate(form, gate, advantage, parents=parents, seeds=np.random.SeedSequence(1)))
    improves = table["true_gain"] > 0
    cells = [label]
    for column in ("J", "delta_J"):
        estimate, low, high = rank_correlation(table, column, np.random.default_rng(0), draws=500)
        cells.append(f"{estimate:.2f} ({low:.2f} to {high:.2f})")
    for column in ("J", "delta_J"):
        passed = table[column] > 0
        right = f"{improves[passed].mean():.0%} right" if passed.any() else "–"
        cells.append(f"{passed.mean():.0%} pass, {right}")
    cells.append(f"{table['clipped'].mean():.0%}")
    print(" | ".join(cells))


def main(parents: int) -> None:
    header = "ρ(J, gain) | ρ(ΔJ, gain) | J > 0 | ΔJ > 0 | clipped"
    for world, form in CLOSED_FORMS.items():
        print(f"\n{world}: advantage | {header}")
        for name, advantage in ADVANTAGES.items():
            study(name, form, advantage, parents)
    print(f"\ncontinuous actions: size of a candidate's change | {header}")
    for step in (0.02, 0.05, 0.15, 0.4):
        study(f"± {step}", DialPlayer(step=step), StepBaseline(0.0), parents)
    table = asyncio.run(
        calibrate(CLOSED_FORMS["levers"], gate, StepBaseline(0.0), parents=parents, seeds=np.random.SeedSequence(2))
    )
    print("\ncalibration curve (levers, step-baseline, γ = 0)")
    print(curve(table, "delta_J").round(3).to_string(index=False))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
