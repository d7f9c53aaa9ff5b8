"""A study from file to finished run directory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from testbed.config.plugins import resolve
from testbed.config.study import StudyConfig
from testbed.play.lab import Lab, Progress
from testbed.play.models import build_cast, build_learners, probe_servers, versions
from testbed.records.run_directory import RunDirectory
from testbed.studies.learn import learn_all
from testbed.studies.matrix import run_matrix
from testbed.studies.population import run_population
from transfer.learner import Learner
from transfer.memory.pool import SkillPool
from transfer.memory.seed_pool import seed_pool

Study = Callable[[Lab, Mapping[str, Learner], SkillPool], Awaitable[object]]

STUDIES: dict[str, Study] = {"learn": learn_all, "matrix": run_matrix, "population": run_population}


async def run_study(config: StudyConfig, out: Path, progress: Progress) -> RunDirectory:
    """Run a study, or what is left of it. Raises one of the rooms' own errors, each a sentence."""
    cast = await build_cast(config)
    try:
        learners = build_learners(config, cast)
        probes = await probe_servers(config, cast)
        with RunDirectory.create(out, config, versions(cast, probes)) as run:
            study = resolve(STUDIES, config.study, group="study")
            await study(Lab(run, cast, progress), learners, seed_pool(config.learning.pool_size))
        return run
    finally:
        await cast.close()
