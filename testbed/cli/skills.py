"""`procmem skills`: read what was learned, compare it, and take it in and out as SKILL.md files."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Never

import typer
from rich.table import Table

from testbed.cli import skills_try
from testbed.cli.pools import Entry, entries, lineages, print_trees
from testbed.cli.terminal import output, plain, say, say_json

app = typer.Typer(help="Read, compare, export, import and try skills.", no_args_is_help=True)
app.command("try")(skills_try.try_skills)

Place = Annotated[Path, typer.Argument(help="A run directory, a pool's JSON file, or a folder of SKILL.md files.")]
Source = Annotated[str | None, typer.Option(help="Of a run: who learned it, agent/task/learning run.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
COLUMNS = ("id", "name", "origin", "score", "n", "tokens", "born")


@app.command("list")
def list_skills(run: Place, source: Source = None, as_json: Json = False) -> None:
    """Every learner's skills, with score, origin and tokens. Example: `procmem skills list runs/matrix-1a2b3c4d`"""
    found = entries(run, source)
    if as_json:
        say_json([entry.row() for entry in found])
        return
    for learner in dict.fromkeys(entry.learner for entry in found):
        own = [entry for entry in found if entry.learner == learner]
        table = Table(title=plain(f"{learner} · {own[0].pool}"), title_justify="left", box=None, pad_edge=False)
        for name in COLUMNS:
            table.add_column(name, overflow="fold", no_wrap=name == "id")
        for entry in own:
            table.add_row(*(plain(_word(entry.row().get(name))) for name in COLUMNS))
        output().print(table)


@app.command()
def show(
    run: Place,
    skill: Annotated[str | None, typer.Argument(help="Name, id, or the start of one; none shows all.")] = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """Skills whole, as they stand in a prompt. Example: `procmem skills show runs/matrix-1a2b3c4d 3f9a`"""
    found = [entry for entry in entries(run, source) if skill is None or _is(entry, skill)]
    if not found:
        _refuse(f"{run} holds no skill {skill!r}; `procmem skills list {run}` shows which there are")
    if as_json:
        say_json([entry.row() | {"text": entry.text} for entry in found])
        return
    for entry in found:
        output().rule(plain(f"{entry.learner} · {entry.id}"), align="left")
        output().print(plain(entry.text))


@app.command()
def lineage(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    skill: Annotated[str | None, typer.Argument(help="Id of a skill, or its start: it and its ancestors.")] = None,
    as_json: Json = False,
) -> None:
    """Whose child every skill is, with verdicts, and the reasons that gradients gave.

    Examples: `procmem skills lineage runs/learn-1a2b3c4d` · `procmem skills lineage runs/learn-1a2b3c4d 3f9a`
    """
    from testbed.records.run_directory import RunDirectory

    directory = RunDirectory.open(run)
    if skill is None:
        print_trees(directory, as_json=as_json)
        return
    lines: dict[str, list[str]] = {}
    for learner, tree in lineages(directory).items():
        for id in [id for id, life in tree.lives.items() if id.startswith(skill) or life.name == skill]:
            lines.setdefault(learner, []).extend(tree.story(id))
    if not lines:
        _refuse(f"{run}: no skill was ever called {skill!r}; `procmem skills lineage {run}` shows which there were")
    if as_json:
        say_json(lines)
        return
    for learner, story in lines.items():
        output().print(plain(learner, style="bold"))
        for line in story:
            output().print(plain(line))


@app.command()
def diff(
    first: Place,
    second: Place,
    first_source: Annotated[str | None, typer.Option(help="Of the first, where it is a run: whose pool.")] = None,
    second_source: Annotated[str | None, typer.Option(help="Of the second.")] = None,
    as_json: Json = False,
) -> None:
    """What one pool has and the other lacks; of skills of one name, line by line what changed.

    Example: `procmem skills diff runs/learn-1a2b3c4d pool.json`
    """
    left, right = (
        {entry.id: entry for entry in entries(*place)} for place in ((first, first_source), (second, second_source))
    )
    gone = [entry for id, entry in left.items() if id not in right]
    new = [entry for id, entry in right.items() if id not in left]
    changed = [(old, entry) for old in gone for entry in new if old.name == entry.name]
    both = [entry for id, entry in left.items() if id in right]
    if as_json:
        sides = {"both": both, "only first": gone, "only second": new}
        say_json({side: [entry.row() for entry in each] for side, each in sides.items()})
        return
    console = output()
    for mark, side in (("=", both), ("-", gone), ("+", new)):
        for entry in side:
            console.print(plain(f"{mark} {entry.id}  {entry.name}"))
    for old, entry in changed:
        lines = difflib.unified_diff(old.text.splitlines(), entry.text.splitlines(), old.id, entry.id, lineterm="")
        for line in lines:
            console.print(plain(line))


@app.command()
def export(
    run: Place, out: Annotated[Path, typer.Argument(help="The folder to write.")], source: Source = None
) -> None:
    """Skills as SKILL.md files (agentskills.io), a folder each; of several learners, in a folder for each of them.

    Example: `procmem skills export runs/matrix-1a2b3c4d skills --source qwen/Doors-v0/0`
    """
    from transfer.skill_files.write import write_skills

    found = [entry for entry in entries(run, source) if entry.file is not None]
    if not found:
        _refuse(f"{run}: what was learned there are no skills, which alone can be written as SKILL.md files")
    learners = list(dict.fromkeys(entry.learner for entry in found))
    for learner in learners:
        files = [entry.file for entry in found if entry.learner == learner and entry.file is not None]
        place = out if len(learners) == 1 else out / re.sub(r"[^A-Za-z0-9]+", "-", learner).strip("-")
        for path in write_skills(files, place):
            say(str(path))


@app.command("import")
def import_skills(
    folder: Annotated[Path, typer.Argument(help="A folder of SKILL.md files, or of one.")],
    out: Annotated[Path | None, typer.Option(help="The pool's JSON file to write.")] = None,
    as_json: Json = False,
) -> None:
    """Read SKILL.md files into a pool. Scripts, references and assets beside them are neither read nor run.

    Example: `procmem skills import ~/skills --out pool.json`
    """
    from transfer.skill_files import pool_file
    from transfer.skill_files.read import as_pool, left_alone, read_skills

    files = read_skills(folder)
    if out is not None:
        if out.exists():
            _refuse(f"{out} is there already, and nothing is overwritten; choose another --out")
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as stream:
            stream.write(pool_file.dumps(files))
    rows = [
        {"folder": file.name, "id": file.skill.id, "name": file.skill.name, "provenance": dict(file.origin)}
        for file in files
    ]
    beside, digest = left_alone(folder), as_pool(files).digest
    if as_json:
        say_json({"digest": digest, "skills": rows, "left alone": beside, "out": str(out) if out else None})
        return
    for row in rows:
        say(f"{row['id']}  {row['name']}")
    if beside:
        say(f"{beside} other files and folders beside them were left alone: neither read nor run.")
    say(f"Pool {digest}{f' in {out}' if out else '; --out pool.json writes it'}.")


def _is(entry: Entry, asked: str) -> bool:
    return entry.id.startswith(asked) or entry.name == asked or (entry.file is not None and entry.file.name == asked)


def _word(value: Any) -> str:
    if value is None or (isinstance(value, Sequence) and not value):
        return "-"
    return f"{value:+.3f}" if isinstance(value, float) else str(value)


def _refuse(sentence: str) -> Never:
    from transfer.memory.pool import PoolError

    raise PoolError(sentence)
