"""A study from file to finished run directory."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from agents.models.served.http.api_key import redact
from testbed.config.plugins import resolve
from testbed.config.study import StudyConfig
from testbed.play.failures import Failures
from testbed.play.lab import Lab, Progress
from testbed.play.learners import build_learners, build_memory_learners
from testbed.play.models import build_players, probe_servers, versions
from testbed.play.pools import with_digests
from testbed.records.run_directory import RunDirectory
from testbed.studies.cost import count_episodes
from testbed.studies.learn import learn_all
from testbed.studies.matrix import run_matrix
from testbed.studies.population import run_population
from testbed.studies.run_log import run_log
from testbed.studies.shortfall import Shortfall
from transfer.memory.pool import SkillPool
from transfer.memory.seed_pool import seed_pool

Study = Callable[[Lab, Mapping[str, Any], SkillPool], Awaitable[object]]

STUDIES: dict[str, Study] = {"learn": learn_all, "matrix": run_matrix, "population": run_population}

_log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """A study that has come to its end, and what it lacks."""

    run: RunDirectory
    shortfall: Shortfall


async def run_study(config: StudyConfig, out: Path, progress: Progress) -> Outcome:
    """Run a study, or what is left of it. Raises one of the rooms' own errors, each a sentence."""
    config = with_digests(config)
    planned = sum(count_episodes(config))
    stored = RunDirectory.begun(out, config)
    today = date.fromisoformat(stored.date) if stored and stored.date else date.today()
    players = await build_players(config, today)
    try:
        learners = build_learners(config, players) | build_memory_learners(config, players)
        study = resolve(STUDIES, config.study, group="study")
        probes = await probe_servers(config, players)
        with (
            RunDirectory.create(out, config, versions(players, probes), today.isoformat()) as run,
            run_log(run.path, redact=redact),
        ):
            for notice in run.notices:
                _log.warning("%s", notice)
            for agent, found in probes.items():
                _log.info("agent %s: %s", agent, found.sentence)
            try:
                lab = Lab(run, players, progress, Failures(config.fail_at, planned))
                begun = f"resumed, {lab.finished} there" if lab.finished or lab.failures.standing else "begun"
                owed = f", {len(lab.failures.standing)} failed before and come first" if lab.failures.standing else ""
                _log.info("%s %s: %d episodes, %s%s", config.study, config.digest, planned, begun, owed)
                await study(lab, learners, seed_pool(config.learning.pool_size))
                shortfall = Shortfall.of(run, planned, lab.finished, lab.failures.standing)
                _log.info("finished. %s", shortfall.sentence)
            except anyio.get_cancelled_exc_class():
                _log.info("interrupted; the same command resumes")
                raise
            except Exception as error:
                _log.info("stopped: %s", error)
                raise
        return Outcome(run, shortfall)
    finally:
        await players.close()
