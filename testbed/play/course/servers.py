"""`ServerWatch`: how a study's servers are, for those who watch it."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from agents.models.adapters.cached import Cached
from agents.models.model import Model
from agents.models.served.http.health import Health
from agents.models.served.model import ServedModel
from testbed.records.side_files.status import ServerState, ServerWord
from testbed.serving.fleet import Berth, Fleet

WINDOW = 30.0
"""Seconds over which speed is measured."""
LEAST = 1.0
"""Seconds that say something of a speed."""


class ServerWatch:
    """Looks at models and their fleet whenever it is called."""

    def __init__(self, models: Iterable[Model], fleet: Fleet) -> None:
        inner = (model.model if isinstance(model, Cached) else model for model in models)
        self._models = list({id(model): model for model in inner if isinstance(model, ServedModel)}.values())
        self._berths = {f"http://127.0.0.1:{berth.launch.port}/v1": berth for berth in fleet.berths.values()}
        self._written: dict[str, deque[tuple[float, int]]] = {}

    def __call__(self) -> Mapping[str, ServerState]:
        """By address; with the model's name where one address has several."""
        found = [(url, model.card.name, health) for model in self._models for url, health in model.health.items()]
        shared = Counter(url for url, _, _ in found)
        return {
            url if shared[url] == 1 else f"{url} {name}": self._state(name, url, health) for url, name, health in found
        }

    def _state(self, model: str, url: str, health: Health) -> ServerState:
        berth = self._berths.get(url)
        return ServerState(
            model=model,
            state=_word(health, berth),
            in_flight=health.in_flight,
            answered=health.answered,
            failed=health.failed,
            paused=health.paused,
            paused_seconds=health.paused_seconds,
            tokens=health.written,
            tokens_per_second=self._speed(f"{url} {model}", health.written),
            error=health.error,
            error_at=None if health.error_at is None else datetime.fromtimestamp(health.error_at, UTC),
            starts=None if berth is None else berth.starts,
            restarts=None if berth is None else berth.restarts,
        )

    def _speed(self, server: str, written: int) -> float | None:
        now = time.monotonic()
        looks = self._written.setdefault(server, deque())
        looks.append((now, written))
        while len(looks) > 2 and looks[1][0] < now - WINDOW:
            looks.popleft()
        since, before = looks[0]
        return (written - before) / (now - since) if now - since >= LEAST else None


def _word(health: Health, berth: Berth | None) -> ServerWord:
    if berth is not None and not berth.awake:
        return "asleep"
    if health.well is None:
        return "not asked"
    return "answers" if health.well else "fails"
