"""A study from file to finished run directory."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import anyio

from agents.models.adapters.call_cache import CallCache
from agents.models.served.http.api_key import redact
from testbed.config.plugins import resolve
from testbed.config.study import StudyConfig
from testbed.play.course.budget import UNLIMITED, Budget, BudgetSpent, Limits
from testbed.play.course.bulletin import Bulletin
from testbed.play.course.failures import Failures
from testbed.play.course.pace import Pace
from testbed.play.course.prices import Prices
from testbed.play.course.progress import Progress
from testbed.play.course.servers import ServerWatch
from testbed.play.engines.registry import ENGINES
from testbed.play.lab import Engine, Lab, first_cause
from testbed.play.learners import build_learners, build_memory_learners
from testbed.play.models import probe_servers, versions, who_acts
from testbed.play.pools import with_digests
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.accounts import AccountBook
from testbed.reports.plan import planned_episodes
from testbed.serving.fleet import Fleet, fleet
from testbed.studies.adaptive import run_adaptive
from testbed.studies.cost.forecast import count_episodes, count_parts
from testbed.studies.learn import learn_all
from testbed.studies.matrix import run_matrix
from testbed.studies.outcome.influence import measure_influence, require_likelihoods
from testbed.studies.outcome.run_log import run_log
from testbed.studies.outcome.shortfall import Shortfall
from testbed.studies.population import run_population
from transfer.memory.pool import SkillPool
from transfer.memory.seed_pool import seed_pool

Study = Callable[[Lab, Mapping[str, Any], SkillPool], Awaitable[object]]

STUDIES: dict[str, Study] = {"learn": learn_all, "matrix": run_matrix, "population": run_population}

_log = logging.getLogger(__name__)


class Outcome(NamedTuple):
    """A study that has come to its end, and what it lacks."""

    run: RunDirectory
    shortfall: Shortfall


async def run_study(
    config: StudyConfig,
    out: Path,
    progress: Progress,
    limits: Limits = UNLIMITED,
    prices: Prices | None = None,
    cache: CallCache | None = None,
) -> Outcome:
    """Run a study, or what is left of it, within `limits`; `prices` are else those of its agents. Models are not asked
    what stands in the `cache`.

    Raises one of the rooms' own errors, each a sentence.
    """
    try:
        async with fleet(who_acts(config)) as served:
            return await _run(with_digests(config), out, progress, limits, prices, served, cache)
    except BaseExceptionGroup as errors:
        raise first_cause(errors) from None


async def _run(
    config: StudyConfig,
    out: Path,
    progress: Progress,
    limits: Limits,
    prices: Prices | None,
    served: Fleet,
    cache: CallCache | None,
) -> Outcome:
    stored = RunDirectory.begun(out, config)
    today = date.fromisoformat(stored.date) if stored and stored.date else date.today()
    engine = await ENGINES[config.engine.name](config, today, served, cache)
    players = engine.players
    try:
        learners = build_learners(config, players) | build_memory_learners(config, players)
        study = run_adaptive if config.adaptive else resolve(STUDIES, config.study, group="study")
        probes = await probe_servers(config, players)
        if config.influence:
            require_likelihoods(probes)
        with (
            RunDirectory.create(out, config, versions(players, probes), today.isoformat()) as run,
            run_log(run.path, redact=redact),
            AccountBook(run.path) as book,
        ):
            for notice in run.notices:
                _log.warning("%s", notice)
            for agent, found in probes.items():
                _log.info("agent %s: %s", agent, found.sentence)
            bulletin = Bulletin(run.path, book, progress, Pace(**count_parts(config)))
            bulletin.servers = ServerWatch(players.all_models(), served)
            budget = Budget(book, limits, Prices.of(config) if prices is None else prices)
            with _last_word(bulletin), bulletin.posted():
                shortfall = await _conduct(study, learners, run, engine, bulletin, budget)
        return Outcome(run, shortfall)
    finally:
        with anyio.CancelScope(shield=True):
            await engine.close()


async def _conduct(
    study: Study,
    learners: Mapping[str, Any],
    run: RunDirectory,
    engine: Engine,
    progress: Progress,
    budget: Budget,
) -> Shortfall:
    """What the study lacks when it has come to its end. Raises as `run_study`."""
    config = engine.players.config
    planned = sum(count_episodes(config))
    lab = Lab(run, engine, progress, Failures(config.fail_at, planned), budget)
    begun = f"resumed, {lab.finished} there" if lab.finished or lab.failures.standing else "begun"
    owed = f", {len(lab.failures.standing)} failed before and come first" if lab.failures.standing else ""
    _log.info("%s %s: %d episodes, %s%s", config.study, config.digest, planned, begun, owed)
    await study(lab, learners, seed_pool(config.learning.pool_size))
    if config.influence:
        await measure_influence(lab)
    if config.adaptive is not None:
        seats = {name: spec.seats for name, spec in engine.players.tasks.items()}
        planned = planned_episodes(config, seats, run.looks())
    shortfall = Shortfall.of(run, planned, lab.finished, lab.failures.standing)
    _log.info("finished. %s", shortfall.sentence)
    return shortfall


@contextmanager
def _last_word(bulletin: Bulletin) -> Generator[None]:
    """Says how the study ended, in the log and to those who watch."""
    try:
        yield
    except anyio.get_cancelled_exc_class():
        _log.info("interrupted; the same command resumes")
        bulletin.ends("interrupted")
        raise
    except BudgetSpent as spent:
        _log.info("%s", spent)
        bulletin.ends("spent", str(spent))
        raise
    except Exception as error:
        _log.info("stopped: %s", error)
        bulletin.ends("stopped", redact(str(error)))
        raise
    bulletin.ends("finished")
