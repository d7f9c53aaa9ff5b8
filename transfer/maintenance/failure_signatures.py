"""Failure signatures: ways in which skill pools are known to go wrong, noticed while it happens."""

from __future__ import annotations

from collections.abc import Callable
from statistics import fmean

from agents.embedding import Embedder
from transfer.maintenance.rules import alike
from transfer.memory.events.course import Warned
from transfer.memory.state import LearnerState

Signature = Callable[[LearnerState, Embedder], str | None]
"""One sentence when the pool shows the signature, else None."""


def fifo_collapse(state: LearnerState, embedder: Embedder, least: int = 3) -> str | None:
    """Good skills are evicted for bad ones."""
    evicted = list(state.deaths.values())
    admitted = [state.score(skill).value for skill in state.pool.ids if state.born.get(skill) and state.score(skill).n]
    if min(len(evicted), len(admitted)) < least or fmean(evicted) <= fmean(admitted):
        return None
    return (
        f"FIFO collapse: the {len(evicted)} evicted skills scored {fmean(evicted):.3g} on average, "
        f"the {len(admitted)} admitted that stayed {fmean(admitted):.3g}"
    )


def hallucination_cascade(state: LearnerState, embedder: Embedder, share: float = 0.5) -> str | None:
    """Near-duplicate variants fill the pool while returns fall."""
    pairs = alike(list(state.pool.each()), embedder, 0.9)
    doubled = {skill.id for left, right, _ in pairs for skill in (left, right)}
    third = len(state.returns) // 3
    if len(state.pool) < 4 or len(doubled) < share * len(state.pool) or third < 1:
        return None
    early, late = fmean(state.returns[:third]), fmean(state.returns[-third:])
    if late >= early:
        return None
    return (
        f"hallucination cascade: {len(doubled)} of {len(state.pool)} skills are near-duplicates "
        f"while the mean return fell from {early:.3g} to {late:.3g}"
    )


def useless_gate(state: LearnerState, embedder: Embedder, least: int = 12) -> str | None:
    """The gate lets everything through, or nothing."""
    total = sum(state.outcomes.values())
    accepted = state.outcomes.get("accepted", 0)
    if total < least or 0 < accepted < total:
        return None
    return f"the gate {'accepted' if accepted else 'let in none of'} all {total} candidates so far"


SIGNATURES: dict[str, Signature] = {
    "fifo-collapse": fifo_collapse,
    "hallucination-cascade": hallucination_cascade,
    "useless-gate": useless_gate,
}


def warnings(state: LearnerState, embedder: Embedder) -> tuple[LearnerState, list[Warned]]:
    """A warning for each signature shown for the first time."""
    found = {
        name: said
        for name, shows in SIGNATURES.items()
        if name not in state.warned and (said := shows(state, embedder)) is not None
    }
    events = [Warned(iteration=state.iteration + 1, signature=name, text=sentence) for name, sentence in found.items()]
    return state.model_copy(update={"warned": (*state.warned, *found)}), events
