"""`procmem check run`: whether a run directory holds what it says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Set
from math import fsum, isclose
from pathlib import Path

from testbed.config.study import ConfigError, StudyConfig
from testbed.records.append_only import StoreError, complete_lines, torn_from
from testbed.records.check.influence import influence_faults
from testbed.records.lines import IterationCommit, LookLine, MemoryCommit, RoundCommit, parse_line
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.manifest import Fault, verify_chain
from testbed.records.side_files.pool_folder import DIGEST
from testbed.records.trial import Episode, Trial
from transfer.memory.pool import PoolError, SkillPool

AGAIN = "the same `procmem run` plays it again"
COPY = "restore it from a copy"
MOST = 200
"""Faults named of each file; a file with more of them is another file."""


def check_run(path: Path) -> list[Fault]:
    """Everything that is not as it should be in a run directory, errors before notes; empty where all is well.

    Reads every line. Raises StoreError where there is no run at all.
    """
    run = RunDirectory(path)
    if not path.is_dir() or not any(file.exists() for file in (run.study_file, run.episodes_file, run.events_file)):
        raise StoreError(f"{path}: this is not a run directory (it has no study.json)")
    config, faults = _study(run)
    pools, broken = read_pools(run)
    memories, damaged = read_memories(run)
    faults += [*broken, *damaged]
    known = pools.keys() | memories
    for found in (
        _episodes(run, config, known),
        _events(run, config, known),
        influence_faults(run, config),
        _strays(run),
    ):
        faults += _first(found)
    faults += verify_chain(path)
    return sorted(faults, key=lambda fault: fault.severity)


def _study(run: RunDirectory) -> tuple[StudyConfig | None, list[Fault]]:
    name = run.study_file.name
    try:
        record = run.recorded_study()
    except StoreError as error:
        return None, [Fault("error", name, "", str(error).removeprefix(f"{run.study_file}: "))]
    try:
        config = run.config()
    except ConfigError as error:
        what = str(error).splitlines()[0].removeprefix(f"{run.study_file}: ")
        return None, [Fault("error", name, "", f"does not fit this version ({what})")]
    except StoreError as error:
        return None, [Fault("error", name, "", str(error).removeprefix(f"{run.study_file}: "))]
    if not run.path.resolve().name.endswith(record.digest):
        what = f"the directory of this study was called {config.study}-{record.digest}"
        return config, [Fault("note", name, "", what, "rename it so, or the same `procmem run` begins another")]
    return config, []


def read_pools(run: RunDirectory) -> tuple[dict[str, SkillPool], list[Fault]]:
    """The stored pools by digest, and a fault for each file that holds none, or another."""
    pools: dict[str, SkillPool] = {}
    faults: list[Fault] = []
    for path in sorted((run.path / "pools").glob("*.json")):
        try:
            pools[path.stem] = run.pool(path.stem)
        except PoolError as error:
            what = str(error).replace(str(path), "it")
            faults.append(Fault("error", f"pools/{path.name}", "", what, "", repairable=True))
    return pools, faults


def read_memories(run: RunDirectory) -> tuple[set[str], list[Fault]]:
    """Digests of the stored memories that are no pools, and a fault for each file that holds none, or another."""
    whole: set[str] = set()
    faults: list[Fault] = []
    for digest in sorted(run.memory_digests()):
        try:
            whole.add(run.memory(digest).digest)
        except (PoolError, ConfigError) as error:
            faults.append(Fault("error", f"memories/{digest}.json", "", str(error), COPY))
    return whole, faults


def _episodes(run: RunDirectory, config: StudyConfig | None, known: Set[str]) -> Iterator[Fault]:
    name = run.episodes_file.name
    finished: dict[str, int] = {}
    failed: dict[str, int] = {}
    missing: Counter[str] = Counter()
    for number, _, line in complete_lines(run.episodes_file):
        where = f"line {number}"
        try:
            episode = Episode.model_validate_json(line)
        except ValueError:
            yield Fault("error", name, where, "not an episode", AGAIN, repairable=True)
            continue
        trial = episode.trial
        if first := finished.get(trial.id):
            yield Fault("error", name, where, f"the same episode as line {first}, {trial.id}", "", repairable=True)
        elif episode.error is None:
            finished[trial.id] = number
        else:
            failed[trial.id] = number
        for what in (*_contradictions(episode), *(_strangers(trial, config) if config else ())):
            yield Fault("error", name, where, what, COPY)
        missing.update(pool for pool in _pools_of(trial) if pool not in known)
    if torn := torn_from(run.episodes_file):
        yield Fault("note", name, f"from byte {torn}", "the last line is not complete", AGAIN, repairable=True)
    for pool, count in sorted(missing.items()):
        what = f"not there, and {count} episodes were played with it" if DIGEST.fullmatch(pool) else "no name of a pool"
        yield Fault("error", f"pools/{pool[:60]}.json", "", what, "the same `procmem run` writes it", repairable=True)
    if owed := failed.keys() - finished.keys():
        yield Fault("note", name, "", f"{len(owed)} episodes failed and are owed", AGAIN)


def _contradictions(episode: Episode) -> Iterator[str]:
    """What an episode says against itself."""
    trial = episode.trial
    for seat, trajectory in episode.seats.items():
        if trajectory.id != f"{trial.id}/{seat}":
            yield f"what {seat} did is called {trajectory.id}, but the trial is {trial.id}: one of them was changed"
        if (trajectory.task, trajectory.env_seed) != (trial.task, trial.env_seed):
            yield f"what {seat} did is of another game or another seed than the trial"
        paid = fsum(step.reward for step in trajectory.steps)
        # In a game for several a seat may be paid before its first move, which no step records.
        if len(episode.seats) == 1 and not isclose(paid, trajectory.total, rel_tol=1e-9, abs_tol=1e-9):
            yield f"the return of {seat} is {trajectory.total}, but its rewards sum up to {paid}"
    if episode.error is None and episode.focal != f"player_{trial.seat}":
        yield f"the studied seat is {episode.focal}, but the trial says {trial.seat}"


def _strangers(trial: Trial, config: StudyConfig) -> Iterator[str]:
    """What a trial names that the study does not have."""
    tasks = {task.environment for task in config.tasks}
    if trial.agent not in config.members:
        yield f"the study has no agent {trial.agent!r}"
    if trial.task not in tasks and not any(":" in task for task in tasks):  # whose ids only their code knows
        yield f"the study has no task {trial.task!r}"
    if not 0 <= trial.learning_run < config.learning_runs:
        yield f"the study has no learning run {trial.learning_run}"
    evaluated = config.evaluation_episodes * config.epochs
    budget = config.learning.episodes * config.learning.iterations
    # A learner may ask for further games within its budget; a population plays what its rounds plan.
    of_iteration = config.learning.episodes if config.study == "population" else budget
    judged = [pool.evidence for pool in config.pools if pool.is_judged]
    most = max([of_iteration, *judged]) if trial.phase == "learn" else evaluated
    if trial.memory is not None and trial.memory not in {each.name for each in (*config.memories, *config.pools)}:
        yield f"the study has no memory {trial.memory!r}"
    if not 0 <= trial.episode < most:
        yield f"the study has no episode {trial.episode} there"


def _pools_of(trial: Trial) -> set[str]:
    return {pool for pool in (trial.pool, *(guest.pool for guest in trial.background)) if pool is not None}


def _events(run: RunDirectory, config: StudyConfig | None, known: Set[str]) -> Iterator[Fault]:
    name = run.events_file.name
    done: Counter[str] = Counter()
    extra: dict[str, int] = {}
    pending = 0
    for number, _, line in complete_lines(run.events_file):
        where = f"line {number}"
        try:
            event = parse_line(line)
        except ValueError as error:
            what = "what stands from here on is learned again"
            yield Fault("error", name, where, f"not an event ({error})", what, repairable=True)
            return
        pending += 1
        if isinstance(event, LookLine):
            pending = 0
        if isinstance(event, IterationCommit | MemoryCommit | RoundCommit):
            pending = 0
            key = _key(event)
            if event.committed != done[key] + 1:
                yield Fault("error", name, where, f"{key} goes from {done[key]} to {event.committed} iterations", COPY)
            done[key] = event.committed
            if isinstance(event, IterationCommit):
                extra[key] = event.state.extra
            elif isinstance(event, MemoryCommit):
                extra[key] = event.extra
                if event.memory not in known:
                    yield Fault(
                        "error", f"memories/{event.memory[:60]}.json", "", f"not there, though {where} commits it", COPY
                    )
            for digest in sorted({pool.digest for pool in event.pools()} - known):
                what = f"not there, though {name}, {where}, commits it"
                yield Fault("error", f"pools/{digest}.json", "", what, "", repairable=True)
    if pending or torn_from(run.events_file):
        yield Fault("note", name, "", "ends in an iteration that was not finished", "it is done again", repairable=True)
    given = {f"{pool.name}:" for pool in config.pools} if config else set[str]()
    learners = {key: count for key, count in done.items() if not key.startswith(tuple(given))}
    if config and (late := sum(_is_late(config, count, extra.get(key, 0)) for key, count in learners.items())):
        yield Fault("note", name, "", f"{late} learners have not finished", "the same `procmem run` goes on")


def _is_late(config: StudyConfig, iterations: int, extra: int) -> bool:
    """Whether a learner has budget left, in iterations and in episodes."""
    left = (config.learning.iterations - iterations) * config.learning.episodes - extra
    return iterations < config.learning.iterations and left > 0


def _key(event: IterationCommit | MemoryCommit | RoundCommit) -> str:
    return event.population if isinstance(event, RoundCommit) else event.learner


def _strays(run: RunDirectory) -> Iterator[Fault]:
    for path in partial_files(run):
        yield Fault("note", str(path.relative_to(run.path)), "", "left over by a writer that died", "", repairable=True)


def partial_files(run: RunDirectory) -> list[Path]:
    """Temporary files of writers that died."""
    return sorted(
        path for folder in (run.path, run.path / "pools") for path in folder.glob(".*.partial") if path.is_file()
    )


def _first(faults: Iterable[Fault]) -> list[Fault]:
    found: list[Fault] = []
    for fault in faults:
        if len(found) == MOST:
            return [*found, Fault("error", fault.file, "", f"more than {MOST} faults; the others are not shown")]
        found.append(fault)
    return found
