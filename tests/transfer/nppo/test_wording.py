"""Every word an evolver is told is in one place, and the digest that a run records knows of it."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from tests.support.fake_evolver import FakeModel, skill, trajectory
from transfer.memory.experience import controlled
from transfer.nppo import evolver as wording
from transfer.nppo.aggregation import AggregateGradient, Consolidate
from transfer.nppo.evolver import Unusable
from transfer.nppo.gradient import Gradient, Hindsight, NeutralSummary
from transfer.nppo.proposal import EvolutionRequest, Evolve

OLD = skill()


def told() -> str:
    """All that the parts of the learner say to a model that never answers."""
    model = FakeModel()
    moves = [("[a]" * 300, 1.0), *[("[b]", 0.25)] * 90]
    whole = trajectory("t", moves, OLD).model_copy(update={"reason": ""})
    spans = controlled(whole, OLD.id)
    for critic in (Hindsight(model), NeutralSummary(model)):
        for parent in (OLD, None):
            with pytest.raises(Unusable):
                asyncio.run(critic(parent, spans, 0.5, 0))
    gradients = (Gradient("t", 1.0, "why", True, "when", "how", "until"), Gradient("u", 0.0, "why not", False))
    asyncio.run(Consolidate(model)(OLD, gradients, 0))
    for mode in ("REFINE", "DISCOVER"):
        for direction in (("when", "how", "until"), ("", "", "")):
            found = AggregateGradient(activation=direction[0], procedure=direction[1], termination=direction[2])
            asyncio.run(Evolve(model)(EvolutionRequest(OLD, "rules", mode, found, gradients), [0]))
    return json.dumps(
        [
            [request.messages for request in model.requests],
            AggregateGradient(activation="", procedure="", termination="").lines,
        ]
    )


def test_no_word_changes_without_the_digest():
    """Where this fails, wording has changed: a new text must come with a new digest, so change both numbers or none."""
    assert (wording.digest(), hashlib.sha256(told().encode()).hexdigest()[:12]) == ("e50042aa3e27", "f42c7eefb9f6")


@pytest.mark.parametrize("key", wording.EVOLVING)
def test_the_digest_knows_every_text_and_every_text_is_told(key, monkeypatch):
    before, digest = told(), wording.digest()
    monkeypatch.setitem(wording.EVOLVING, key, wording.EVOLVING[key] + " Mind the gap.")
    assert wording.digest() != digest
    assert told() != before


@pytest.mark.parametrize("bound", ["OBSERVATION", "RECORD"])
def test_the_digest_knows_what_is_cut(bound, monkeypatch):
    digest = wording.digest()
    monkeypatch.setattr(wording, bound, 400)
    assert wording.digest() != digest
