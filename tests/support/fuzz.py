"""A fuzz target for every reader of files that strangers may have written: each input ends in a result or a sentence.

    python -m tests.support.fuzz 100000        (make fuzz)

prints how many inputs each reader was given, how many it accepted, how many ended in a sentence, and every other
exception with the input that leads to it. Inputs follow a seed: the n-th of a reader is the same on every machine.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import shutil
import sys
import tempfile
import time
import tomllib
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anyio
import pytest
from pydantic_core import from_json

from tests.support.mutations import HOLE, as_toml, mutated_bytes, mutated_json

ROOMS = ("environments", "agents", "transfer", "analysis", "testbed")
FIXTURES = Path(__file__).parent.parent / "fixtures"
RUNS = ("matrix", "population")
MEMORIES_STUDY: dict[str, Any] = {
    "study": "matrix",
    "seed": 1,
    "learning_runs": 1,
    "evaluation_episodes": 1,
    "fail_at": 1000,
    "arms": ["none", "self"],
    "agents": [{"name": "a", "model": "scripted:suggestible"}],
    "tasks": [{"environment": "Doors-v0"}],
    "skills": {"embedder": "lexical", "termination": "age"},
    "learning": {
        "learner": "nppo",
        "iterations": 2,
        "episodes": 6,
        "choices": {"gate": "race", "batch": 2, "duel_pairs": 4, "duel_look": 2},
    },
}
"""With every memory there is: its run holds what those of format 1 could not."""

Read = Callable[[bytes], object]


class Target(NamedTuple):
    """A reader, what it is given, and its share of all inputs."""

    name: str
    share: float
    input: Callable[[random.Random], bytes]
    read: Read


class Tally(NamedTuple):
    """What became of a reader's inputs."""

    inputs: int
    accepted: int
    sentences: int
    tracebacks: dict[str, bytes]
    """The last lines of each kind of traceback, and the first input that led to it."""
    seconds: float


def fuzz(target: Target, inputs: int, seed: int = 0, seconds: float = float("inf")) -> Tally:
    """Give a reader so many inputs, or as many as there is time for."""
    outcomes: Counter[bool] = Counter()
    tracebacks: dict[str, bytes] = {}
    begun = time.monotonic()
    for number in range(inputs):
        if time.monotonic() - begun > seconds:
            break
        data = target.input(random.Random(f"{target.name} {seed} {number}"))
        try:
            target.read(data)
            outcomes[True] += 1
        except Exception as error:
            if is_sentence(error):
                outcomes[False] += 1
            else:
                tracebacks.setdefault("".join(traceback.format_exception(error)[-3:])[-600:], data)
    done = outcomes.total() + len(tracebacks)
    return Tally(done, outcomes[True], outcomes[False], tracebacks, time.monotonic() - begun)


def is_sentence(error: Exception) -> bool:
    """What `procmem` says without a traceback: an exception of our rooms, whose text a terminal can bear."""
    own = type(error).__module__.partition(".")[0] in ROOMS
    text = str(error)
    return own and 0 < len(text) < 5000 and all(len(line) < 2000 for line in text.splitlines())


def targets(folder: Path) -> list[Target]:
    """All readers; `folder` is a place of their own for files."""
    runs = [*(FIXTURES / f"run-format-1-{name}" for name in RUNS), _run_of_memories(folder / "memories")]
    return [
        _study_files(folder / "study.toml"),
        _overrides(folder / "set.toml"),
        _study_records(folder / "records"),
        _lines("episodes", [run / "episodes.jsonl" for run in runs], 0.15, _read_episode(folder / "episodes")),
        _lines("events", [run / "events.jsonl" for run in runs], 0.15, _read_event),
        _pools(),
        _memories(runs[-1] / "memories"),
        _skill_files(folder / "skills"),
        _manifests(folder / "manifest"),
        _whole_runs(runs, folder / "run"),
        _findings(folder / "findings"),
    ]


# -- study files -------------------------------------------------------------------------------------------------


def _examples() -> list[Any]:
    folder = FIXTURES.parent.parent / "examples"
    paths = [*sorted(folder.glob("*.toml")), *(FIXTURES / f"run-format-1-{name}" / "study.toml" for name in RUNS)]
    return [tomllib.loads(path.read_text(encoding="utf-8")) for path in paths]


def _study_files(file: Path) -> Target:
    from testbed.config.reading.load import load_study

    studies = _examples()

    def read(data: bytes) -> None:
        file.write_bytes(data)
        config = load_study(file)
        assert len(config.digest) == 8
        assert load_study(file).digest == config.digest

    return Target("study files", 0.25, lambda rng: mutated_json(rng.choice(studies), rng, as_toml), read)


def _overrides(file: Path) -> Target:
    from testbed.config.reading.load import load_study

    shutil.copy(FIXTURES / "run-format-1-matrix" / "study.toml", file)
    known = ["seed=1", "agents.0.model=scripted:random", 'arms=["none"]', "learning.choices.gate=off", "margin=0.5"]

    def read(data: bytes) -> None:
        load_study(file, [data.decode("utf-8", "replace")])

    return Target("--set", 0.05, lambda rng: mutated_bytes(rng.choice(known).encode(), rng), read)


# -- run directories ---------------------------------------------------------------------------------------------


def _study_records(folder: Path) -> Target:
    from testbed.config.reading.load import parse_study
    from testbed.config.study import ConfigError
    from testbed.records.run_directory import RunDirectory

    folder.mkdir(parents=True)
    records = [json.loads((FIXTURES / f"run-format-1-{name}" / "study.json").read_text()) for name in RUNS]

    def read(data: bytes) -> None:
        (folder / "study.json").write_bytes(data)
        RunDirectory.open(folder).config()

    def change(rng: random.Random) -> bytes:
        """Half of them with the digest that their content has, so that it is read to its end."""
        data = mutated_json(rng.choice(records), rng)
        with contextlib.suppress(ConfigError, ValueError, KeyError, TypeError, AttributeError):
            record = from_json(data)
            if rng.random() < 0.5:
                return json.dumps(record | {"digest": parse_study(record["config"], "fuzz").digest}).encode()
        return data

    return Target("study.json", 0.1, change, read)


def _run_of_memories(out: Path) -> Path:
    from testbed.config.reading.load import parse_study
    from testbed.studies.run import run_study
    from tests.support.studies import Watcher
    from transfer.registry import MEMORIES

    memories = [{"name": name, "learner": name} for name in MEMORIES]
    return anyio.run(run_study, parse_study({**MEMORIES_STUDY, "memories": memories}, "fuzz"), out, Watcher()).run.path


def _lines(name: str, files: Sequence[Path], share: float, read: Read) -> Target:
    lines = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    lines.sort(key=lambda line: len(json.dumps(line)))
    short = lines[: len(lines) // 2]
    return Target(f"lines of {name}", share, lambda rng: mutated_json(rng.choice(short), rng), read)


def _read_episode(folder: Path) -> Read:
    from testbed.records.run_directory import RunDirectory
    from testbed.reports.rows.transcript import transcript

    folder.mkdir(parents=True)
    run = RunDirectory(folder)

    def read(data: bytes) -> None:
        run.episodes_file.write_bytes(data.rstrip(b"\n") + b"\n")
        for episode in run.episodes():
            transcript(episode)

    return read


def _read_event(data: bytes) -> None:
    from testbed.records.append_only import StoreError
    from testbed.records.lines import parse_line

    try:
        parse_line(data)
    except ValueError as error:  # which `RunDirectory` puts into its sentence
        raise StoreError(f"not an event ({error})") from error


def _pools() -> Target:
    from agents.skill import AS_WRITTEN, Skill
    from transfer.contamination.scan import scan
    from transfer.memory.pool import SkillPool

    paths = [path for name in RUNS for path in sorted((FIXTURES / f"run-format-1-{name}" / "pools").iterdir())]
    pools = [json.loads(path.read_text()) for path in paths]

    def change(rng: random.Random) -> bytes:
        """Half of them with the digest that their skills have, so that these are read, too."""
        data = mutated_json(rng.choice(pools), rng)
        with contextlib.suppress(ValueError, KeyError, TypeError):
            if rng.random() < 0.5:
                document = from_json(data)
                skills = [Skill.model_validate(skill, context=AS_WRITTEN) for skill in document["skills"]]
                return SkillPool.of(skills, document["capacity"]).dumps().encode("utf-8", "surrogatepass")
        return data

    def read(data: bytes) -> None:
        for skill in SkillPool.loads(data.decode("utf-8", "replace")).each():
            scan(skill)

    return Target("pools", 0.15, change, read)


def _memories(folder: Path) -> Target:
    """Files of every kind of memory, changed below their digests, which are then those of their content or not."""
    from testbed.config.plugins import resolve_data
    from transfer.registry import MEMORIES, load_memory

    files = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]

    def change(rng: random.Random) -> bytes:
        document = rng.choice(files)
        if rng.random() < 0.3:
            return mutated_json(document, rng)
        data = mutated_json(document["content"], rng)
        with contextlib.suppress(ValueError, TypeError, RecursionError):
            content = json.loads(data)
            memory = MEMORIES[document["memory"]].value.model_validate(content)
            return json.dumps(document | {"content": content, "digest": memory.digest}).encode()
        return data

    def read(data: bytes) -> None:
        memory = load_memory(data.decode("utf-8", "replace"), "fuzz", resolve_data)
        for unit in memory.units:
            assert unit.id
        assert load_memory(memory.dumps(), "fuzz").digest == memory.digest

    return Target("memories", 0.05, change, read)


def _skill_files(folder: Path) -> Target:
    """SKILL.md files, in folders of the names that they say they have; read, written, and kept in a pool file."""
    from transfer.skill_files import pool_file
    from transfer.skill_files.read import SKILL_MD, read_skills

    paths = sorted((FIXTURES.parent.parent / "examples" / "skills").glob("*/SKILL.md"))
    texts = [path.read_bytes() for path in paths]
    known = json.loads(pool_file.dumps(read_skills(paths[0].parent.parent)))

    def change(rng: random.Random) -> bytes:
        if rng.random() < 0.3:
            said = mutated_json(known["skill_files"], rng)
            return json.dumps(known | {"skill_files": HOLE}).encode().replace(json.dumps(HOLE).encode(), said.strip())
        data = rng.choice(texts)
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = mutated_bytes(data, rng)
        return data

    def read(data: bytes) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if data.startswith(b"{"):
            folder.mkdir(parents=True)
            (folder / "pool.json").write_bytes(data)
            files = pool_file.load(folder / "pool.json")[1]
        else:
            said = re.search(rb"^name: *([a-z0-9-]{1,60})$", data, re.MULTILINE)
            place = folder / (said[1].decode() if said else "nameless")
            place.mkdir(parents=True)
            (place / SKILL_MD).write_bytes(data)
            files = read_skills(folder)
        for file in files:
            file.render()

    return Target("skill files", 0.1, change, read)


def _manifests(folder: Path) -> Target:
    from testbed.records.run_directory import RunDirectory
    from testbed.records.side_files.manifest import NAME, verify_chain

    shutil.copytree(FIXTURES / "run-format-1-matrix", folder)
    with RunDirectory.open(folder):
        pass
    whole = (folder / NAME).read_bytes()

    def read(data: bytes) -> None:
        (folder / NAME).write_bytes(data)
        verify_chain(folder)

    return Target("manifests", 0.03, lambda rng: mutated_bytes(whole, rng), read)


def _whole_runs(runs: Sequence[Path], folder: Path) -> Target:
    """One file of a run is changed, and everything reads it: the check, `show`, the tables of a report."""
    from testbed.records.append_only import StoreError
    from testbed.records.check.find import check_run
    from testbed.records.run_directory import RunDirectory
    from testbed.reports.tables import read_run

    contents: dict[tuple[str, str], bytes] = {}
    for run in runs:
        shutil.copytree(run, folder / run.name)
        for path in sorted(run.rglob("*.json*")):
            if path.parent.name != "report":
                contents[run.name, str(path.relative_to(run))] = path.read_bytes()
    quick = [place for place in contents if place[0] != runs[-1].name]  # whose report is a second's work

    def change(rng: random.Random) -> bytes:
        name, file = rng.choice(list(contents) if rng.random() < 0.1 else quick)
        data = contents[name, file]
        if file.endswith(".jsonl"):
            lines = data.splitlines(keepends=True)
            place = rng.randrange(len(lines))
            lines[place] = mutated_json(json.loads(lines[place]), rng).rstrip(b"\n") + b"\n"
            data = b"".join(lines) if rng.random() < 0.8 else mutated_bytes(data, rng)
        else:
            data = mutated_json(json.loads(data), rng)
        return f"{name}\0{file}\0".encode() + data

    def read(data: bytes) -> None:
        name, file, content = data.split(b"\0", 2)
        path = folder / name.decode()
        (path / file.decode()).write_bytes(content)
        try:
            check_run(path)
            run = RunDirectory.open(path)
            with contextlib.suppress(StoreError):
                run.find("0")
            for digest in run.memory_digests():
                run.memory(digest)
            read_run(run)
        finally:
            (path / file.decode()).write_bytes(contents[name.decode(), file.decode()])

    return Target("whole runs", 0.01, change, read)


def _findings(folder: Path) -> Target:
    """What `procmem audit` compares; the report is rebuilt once, and stands in for each rebuilding."""
    from testbed.records.run_directory import RunDirectory
    from testbed.reports import audit
    from testbed.reports.write import write_report

    shutil.copytree(FIXTURES / "run-format-1-matrix", folder)
    write_report(folder)
    file = folder / "report" / "findings.json"
    whole = json.loads(file.read_text())
    for drawing in (*folder.rglob("*.svg"), *folder.rglob("*.pdf"), *folder.rglob("*.html")):
        drawing.unlink()  # which are compared byte by byte, and only take time here
    rebuilt = shutil.copytree(folder / "report", folder.with_name("rebuilt"))
    checked = audit.check_records(RunDirectory.open(folder), RunDirectory.open(folder).config())

    def read(data: bytes) -> None:
        file.write_bytes(data)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(audit, "check_records", lambda *_: checked)
            patch.setattr(audit, "report", lambda _, out, **__: shutil.copytree(rebuilt, out, dirs_exist_ok=True))
            audit.audit_run(folder)

    return Target("findings", 0.03, lambda rng: mutated_json(whole, rng), read)


def main(inputs: int, names: Sequence[str] = ()) -> int:
    """So many inputs over all readers, or those named; 1 where any of them ended in a traceback."""
    failed = False
    print(f"{'reader':20}{'inputs':>9}{'accepted':>10}{'sentence':>10}{'tracebacks':>12}{'seconds':>9}")
    with tempfile.TemporaryDirectory() as place:
        for target in targets(Path(place)):
            if names and target.name not in names:
                continue
            tally = fuzz(target, round(inputs * target.share))
            failed |= bool(tally.tracebacks)
            print(
                f"{target.name:20}{tally.inputs:9}{tally.accepted:10}{tally.sentences:10}"
                f"{len(tally.tracebacks):12}{tally.seconds:9.0f}",
                flush=True,
            )
            for kind, data in tally.tracebacks.items():
                print(kind, data[:400], sep="\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, sys.argv[2:]))
