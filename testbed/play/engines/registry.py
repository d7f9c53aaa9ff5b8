"""ENGINES: every engine by the name that a study gives it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import date

from testbed.config.study import StudyConfig
from testbed.play.engines.local import LocalEngine
from testbed.play.lab import Engine
from testbed.play.models import build_players

OpenEngine = Callable[[StudyConfig, date], Awaitable[Engine]]


async def _local(config: StudyConfig, today: date) -> Engine:
    return LocalEngine(await build_players(config, today))


async def _ray(config: StudyConfig, today: date) -> Engine:
    from testbed.play.engines.ray_engine import RayEngine

    return await RayEngine.open(config, today)


ENGINES: Mapping[str, OpenEngine] = {"local": _local, "ray": _ray}
