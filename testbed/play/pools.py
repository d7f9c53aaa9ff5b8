"""Pools and memories that come from elsewhere: another run, a file, a folder of SKILL.md files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from testbed.config.pool import PoolConfig
from testbed.config.study import ConfigError, StudyConfig
from testbed.records.append_only import StoreError
from testbed.records.keys import LearnerKey, PopulationKey
from testbed.records.lines import IterationCommit, MemoryCommit, RoundCommit
from testbed.records.run_directory import RunDirectory
from transfer.memories.kinds import MEMORIES
from transfer.memory.memory import FORMAT, Memory
from transfer.memory.pool import PoolError, SkillPool, parse_document
from transfer.registry import load_memory
from transfer.skill_files.front_matter import SkillFileError
from transfer.skill_files.read import as_pool, read_skills

MOST_NAMED = 6
"""Sources that an error lists."""


class Learned(NamedTuple):
    """What a learner ended with."""

    digest: str
    commit: IterationCommit | MemoryCommit | RoundCommit
    member: str = ""
    """Whose pool of the round's it is."""


def learned(run: RunDirectory) -> dict[str, Learned]:
    """The last pool or memory of every learner of a run, as `agent/task/learning run`; of a member of a population, as
    `member/task/learning run in population`. Raises StoreError."""
    found: dict[str, Learned] = {}
    for line in run.events():
        if isinstance(line, IterationCommit):
            found[line.learner] = Learned(line.state.pool.digest, line)
        elif isinstance(line, MemoryCommit):
            found[line.learner] = Learned(line.memory, line)
        elif isinstance(line, RoundCommit):
            _, task, number = PopulationKey.of(line.population)
            for name, member in line.society.members.items():
                key = LearnerKey(name, task, number).key
                found[f"{key} in {line.population}"] = Learned(member.state.pool.digest, line, name)
    return found


def from_run(path: Path, source: str | None = None, digest: str | None = None) -> Memory:
    """A pool or memory of that run: a learner's last, or any by its digest; of a lone learner where neither is named.

    Raises StoreError or PoolError in one sentence.
    """
    run = RunDirectory.open(path)
    if source is None and digest is not None:
        return run.memory(digest)
    there = learned(run)
    given = {pool.name for pool in run.config().pools}
    own = [key for key in there if key.partition(":")[0] not in given]
    if source is None and len(own) == 1:
        (source,) = own
    if source not in there:
        names = ", ".join(sorted(there)[:MOST_NAMED]) or "none, for nothing was learned in it"
        more = f" and {len(there) - MOST_NAMED} more" if len(there) > MOST_NAMED else ""
        said = f"nobody learned as {source!r} in it" if source else "it holds several learners' pools"
        raise PoolError(f"{path}: {said if there or source else 'it holds no pool'}; its sources are: {names}{more}")
    last = there[source].digest
    if digest is not None and digest != last:
        raise PoolError(
            f"{path}: the last pool of {source} is {last}, not {digest}; leave out one of source and digest"
        )
    return run.memory(last)


def from_file(path: Path) -> Memory:
    """A pool, or a memory of a kind of ours, from its JSON file. Raises PoolError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise PoolError(f"cannot read {path}: {error}; give a pool's or a memory's JSON file") from None
    document = parse_document(text, str(path))
    kind = document.get("memory")
    if document.get("format") == FORMAT and kind not in MEMORIES:  # a file of data imports nothing
        raise PoolError(f"{path} holds a memory of the kind {str(kind)[:40]!r}; there are: {', '.join(MEMORIES)}")
    return load_memory(text, str(path))


def from_folder(path: Path) -> SkillPool:
    """The pool that a folder's skills make. Raises SkillFileError."""
    return as_pool(read_skills(path))


def given_pool(pool: PoolConfig) -> Memory:
    """What one `[[pools]]` table means. Raises ConfigError in one sentence that names the table."""
    try:
        if pool.run is not None:
            memory = from_run(Path(pool.run), pool.source, pool.digest)
        else:
            memory = from_file(Path(pool.file)) if pool.file is not None else from_folder(Path(pool.folder or ""))
    except (ConfigError, StoreError, PoolError, SkillFileError) as error:
        raise ConfigError(f"pools.{pool.name}: {error}") from None
    if pool.digest is not None and memory.digest != pool.digest:
        raise ConfigError(
            f"pools.{pool.name}: its digest is {memory.digest}, not {pool.digest} as the study says; it was changed"
        )
    if pool.is_judged and not isinstance(memory, SkillPool):
        raise ConfigError(f'pools.{pool.name}: only skills can be judged one by one; write admission = "trust"')
    return memory


def given_pools(config: StudyConfig) -> Mapping[str, Memory]:
    """Every given pool by its name. Raises ConfigError as `given_pool`."""
    return {pool.name: given_pool(pool) for pool in config.pools}


def with_digests(config: StudyConfig) -> StudyConfig:
    """The same study, saying of each given pool what it holds: the content is part of its digest, the path is not.

    Raises ConfigError as `given_pool`.
    """
    pools = [pool.model_copy(update={"digest": given_pool(pool).digest}) for pool in config.pools]
    return config.model_copy(update={"pools": tuple(pools)}) if pools else config
