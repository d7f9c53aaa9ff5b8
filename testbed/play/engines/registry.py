"""ENGINES: every engine by the name that a study gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date

from agents.models.adapters.call_cache import CallCache
from testbed.config.study import StudyConfig
from testbed.play.engines.cluster import EngineError
from testbed.play.engines.local import LocalEngine
from testbed.play.lab import Engine
from testbed.play.models import build_players
from testbed.serving.fleet import Fleet

OpenEngine = Callable[[StudyConfig, date, Fleet, CallCache | None], Awaitable[Engine]]


async def _local(config: StudyConfig, today: date, fleet: Fleet, cache: CallCache | None) -> Engine:
    return LocalEngine(await build_players(config, today, fleet=fleet, cache=cache))


async def _ray(config: StudyConfig, today: date, fleet: Fleet, cache: CallCache | None) -> Engine:
    """Raises EngineError: other machines cannot reach the servers of this one, nor wait for their turns, nor share a
    file of SQLite with it."""
    from testbed.play.engines.ray_engine import RayEngine

    if fleet.berths:
        raise EngineError('serve = true goes with engine = "local"; start the servers by procmem serve, name base_url')
    if cache is not None:
        raise EngineError('--cache goes with engine = "local": workers on other machines cannot share the file')
    return await RayEngine.open(config, today)


ENGINES: Mapping[str, OpenEngine] = {"local": _local, "ray": _ray}
