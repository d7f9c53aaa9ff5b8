"""Policies of exchange by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from transfer.exchange import topology
from transfer.exchange.admission import Admission, OnTrust, Quarantine
from transfer.exchange.common_pool import CommonPoolExchange
from transfer.exchange.directed import DirectedExchange
from transfer.exchange.exchange import Exchange, Isolated, Terms
from transfer.exchange.topology import RouteDirection, Topology
from transfer.gate.advantage import Advantage
from transfer.gate.gate import PPOGate
from transfer.maintenance.intake import Intake
from transfer.memory.experience import Recall

AdmissionFactory = Callable[[Mapping[str, PPOGate], Recall, Advantage], Admission]
"""Makes an admission rule from the members' gates."""


ADMISSIONS: dict[str, AdmissionFactory] = {
    "trust": lambda gates, recall, advantage: OnTrust(),
    "gate": Quarantine,
}


ExchangeFactory = Callable[[Terms, Admission, Intake], Exchange]


def _giving(
    shape: Callable[[Terms], Topology], direction: RouteDirection = "forward", every: int = 1
) -> ExchangeFactory:
    """A policy of giving: its shape, and its own direction and pace where the terms leave them open."""

    def make(terms: Terms, admission: Admission, intake: Intake) -> Exchange:
        return DirectedExchange(
            shape(terms), terms.direction or direction, terms.every or every, terms, admission, intake
        )

    return make


EXCHANGES: dict[str, ExchangeFactory] = {
    "isolated": lambda terms, admission, intake: Isolated(intake),
    "commons": lambda terms, admission, intake: CommonPoolExchange(admission, intake, patience=terms.patience),
    "ring": _giving(lambda terms: topology.Ring()),
    "star": _giving(lambda terms: topology.Star(terms.hub), "both"),
    "broadcast": _giving(lambda terms: topology.Broadcast()),
    "migration": _giving(lambda terms: topology.Migration(), every=3),
    "tournament": _giving(lambda terms: topology.Tournament(terms.size)),
    "pairs": _giving(lambda terms: topology.RandomPairs(), "both"),
    "graph": _giving(lambda terms: topology.Graph(terms.graph)),
}
