"""Skills of a run, a pool's file or a folder of SKILL.md files, with what is known of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.cli.terminal import output, plain, say_json

if TYPE_CHECKING:
    from testbed.play.pools import Learned
    from testbed.records.run_directory import RunDirectory
    from transfer.memory.lineage import Lineage
    from transfer.skill_files.skill_file import SkillFile


@dataclass(frozen=True)
class Entry:
    """A skill, or a unit of another memory, in somebody's hands."""

    learner: str
    """Who learned it; the place where it was read for what was learned in no run."""
    pool: str
    """Digest."""
    id: str
    name: str
    text: str
    facts: Mapping[str, Any]
    """What else is known: origin, score, n, tokens, born, parents."""
    file: SkillFile | None = None
    """None for what is no skill."""

    def row(self) -> dict[str, Any]:
        return {"learner": self.learner, "pool": self.pool, "id": self.id, "name": self.name, **self.facts}


def entries(path: Path, source: str | None = None) -> list[Entry]:
    """All skills there; of a run those of every learner's last pool, or of the one named `source`.

    Raises StoreError, PoolError or SkillFileError in one sentence.
    """
    from transfer.memory.pool import PoolError
    from transfer.skill_files import pool_file
    from transfer.skill_files.read import as_pool, is_skill_folder, read_skills

    if path.is_dir() and (path / "study.json").exists():
        return _of_run(path, source)
    if source is not None:
        raise PoolError(f"{path} is no run directory, so nobody learned as {source!r} in it; leave out --source")
    if path.is_file():
        pool, files = pool_file.load(path)
    elif path.is_dir() and is_skill_folder(path):
        files = read_skills(path)
        pool = as_pool(files)
    else:
        raise PoolError(f"{path} is neither a run directory, nor a pool's JSON file, nor a folder of SKILL.md files")
    return [
        Entry(str(path), pool.digest, file.skill.id, file.skill.name, file.skill.text, _facts(file), file)
        for file in files
    ]


def lineages(directory: RunDirectory) -> dict[str, Lineage]:
    """The family tree of each learner's skills; of a member of a population, in each population that it lived in."""
    from testbed.records.lines import EventLine, MemberEventLine
    from transfer.memory.events.event import Event
    from transfer.memory.lineage import Lineage

    events: dict[str, list[Event]] = {}
    for line in directory.events():
        if isinstance(line, EventLine):
            where = f" in {line.population}" if isinstance(line, MemberEventLine) else ""
            events.setdefault(f"{line.learner}{where}", []).append(line.event)
    return {learner: Lineage.of(own) for learner, own in sorted(events.items())}


def print_trees(directory: RunDirectory, *, as_json: bool) -> None:
    """The family tree of each learner's skills."""
    trees = {learner: tree.tree() for learner, tree in lineages(directory).items()}
    if as_json:
        say_json({learner: tree.splitlines() for learner, tree in trees.items()})
        return
    for learner, tree in trees.items():
        output().print(plain(learner, style="bold"))
        output().print(plain(tree))


def _facts(file: SkillFile) -> dict[str, Any]:
    told = {name: file.origin.get(name) for name in ("origin", "score", "n", "tokens", "born")}
    return told | {"parents": list(file.skill.parents), "provenance": dict(file.origin)}


def _of_run(path: Path, source: str | None) -> list[Entry]:
    from testbed.play.pools import from_run, learned
    from testbed.records.run_directory import RunDirectory
    from transfer.memory.pool import PoolError

    directory = RunDirectory.open(path)
    there = learned(directory)
    if source is not None and source not in there:
        from_run(path, source)  # which says who is there
    if not there:
        raise PoolError(f"{path}: nothing was learned in it")
    trees, study = lineages(directory), directory.study().digest
    return [
        entry
        for learner, last in sorted(there.items())
        if source in (None, learner)
        for entry in _of_learner(
            directory, learner, last, trees.get(learner), {"run": path.resolve().name, "study": study}
        )
    ]


def _of_learner(
    directory: RunDirectory, learner: str, last: Learned, tree: Lineage | None, place: Mapping[str, str]
) -> list[Entry]:
    from testbed.records.lines import IterationCommit, MemoryCommit
    from transfer.skill_files.skill_file import SkillFile, folder_name

    if isinstance(last.commit, MemoryCommit):
        texts = {unit.id: unit.text for unit in directory.memory(last.digest).units}
        return [
            Entry(learner, last.digest, unit.id, unit.name or unit.kind, texts[unit.id],
                  {"origin": unit.kind, "tokens": unit.tokens, "parents": list(unit.parents)})
            for unit in last.commit.units
        ]  # fmt: skip
    commit = last.commit
    state = commit.state if isinstance(commit, IterationCommit) else commit.society.members[last.member].state
    found: list[Entry] = []
    for skill in state.pool.each():
        life, score = tree.lives.get(skill.id) if tree else None, state.scores.get(skill.id)
        facts: dict[str, Any] = {
            "origin": life.origin.lower() if life else "",
            "score": score.value if score else None,
            "n": score.n if score else 0,
            "tokens": commit.tokens.get(skill.id),
            "born": life.born if life else None,
            "parents": list(skill.parents),
        }
        known = {key: f"{value:.6g}" if isinstance(value, float) else str(value) for key, value in facts.items()}
        origin = {key: value for key, value in known.items() if facts[key] not in (None, "", [])}
        origin.pop("parents", None)
        file = SkillFile(folder_name(skill), skill, origin={**place, "learner": learner, "pool": last.digest, **origin})
        found.append(Entry(learner, last.digest, skill.id, skill.name, skill.text, facts, file))
    return found
