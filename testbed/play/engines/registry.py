"""ENGINES: every engine by the name that a study gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date

from agents.models.adapters.call_cache import CallCache
from testbed.config.study import StudyConfig
from testbed.play.engines.cluster.address import EngineError
from testbed.play.engines.local import LocalEngine
from testbed.play.lab import Engine
from testbed.play.models import build_players
from testbed.serving.fleet import Fleet

OpenEngine = Callable[[StudyConfig, date, Fleet, CallCache | None], Awaitable[Engine]]


async def _local(config: StudyConfig, today: date, fleet: Fleet, cache: CallCache | None) -> Engine:
    return LocalEngine(await build_players(config, today, fleet=fleet, cache=cache))


async def _ray(config: StudyConfig, today: date, fleet: Fleet, cache: CallCache | None) -> Engine:
    """Raises EngineError, also where a cache is asked for: other machines cannot share a file of SQLite with this."""
    from testbed.play.engines.ray_engine import RayEngine

    if cache is not None:
        raise EngineError('--cache goes with engine = "local": workers on other machines cannot share the file')
    return await RayEngine.open(config, today, fleet)


ENGINES: Mapping[str, OpenEngine] = {"local": _local, "ray": _ray}
