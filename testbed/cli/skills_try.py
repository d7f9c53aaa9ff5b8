"""`procmem skills try`: do these skills help, whom, where, and are we sure?"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from testbed.cli.progress import EpisodeProgress
from testbed.cli.run import analysed, carry_out
from testbed.cli.study_file import Plugins, with_leave
from testbed.cli.terminal import output, plain, say, say_json

if TYPE_CHECKING:
    from analysis.findings import Finding
    from testbed.records.run_directory import RunDirectory
    from testbed.studies.outcome.shortfall import Shortfall

STYLES = {"better": "bold green", "worse": "bold red", "equivalent": "cyan", "undecided": "yellow"}


def try_skills(
    folders: Annotated[list[Path], typer.Argument(help="Folders of SKILL.md files, each tried as one pool.")],
    agents: Annotated[list[str], typer.Option(help="Models, separated by commas, each also as name=model.")],
    tasks: Annotated[list[str], typer.Option(help="Environments, separated by commas.")],
    seeds: Annotated[int, typer.Option(min=2, help="Games of each cell, with the skills and without.")] = 24,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the study.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder that holds the run directories.")] = Path("runs"),
    admission: Annotated[
        str, typer.Option(help="Who lets skills in: trust, or gate: each agent's own PPO gate.")
    ] = "trust",
    set: Annotated[list[str] | None, typer.Option(help="Change one value of the study: key=value.")] = None,
    plugins: Plugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the verdicts as JSON.")] = False,
) -> None:
    """Do these skills help, whom, where, and are we sure? A verdict for every agent and task.

    Each agent plays the same games with the skills and without; nothing is learned. The verdict is about these very
    skills, on further games. The same command resumes; exit codes are those of `procmem run`.

    Examples: `procmem skills try skills/doors --agents scripted:obedient --tasks Doors-v0` ·
    `procmem skills try a b --agents qwen2.5-1.5b-instruct --tasks Doors-v0,Levers-v0 --seeds 40`
    """
    from testbed.config.reading.load import parse_study
    from testbed.config.reading.toml import override_with

    study: dict[str, Any] = {
        "study": "matrix",
        "seed": seed,
        "learning_runs": 1,
        "evaluation_episodes": seeds,
        "arms": ["none"],
        "agents": _agents(_split(agents)),
        "tasks": [{"environment": name} for name in _split(tasks)],
        "pools": [
            {"name": name, "folder": str(path), "admission": admission} for name, path in _names(folders).items()
        ],
    }
    for override in set or []:
        override_with(study, override)
    config = with_leave(parse_study(study, "try"), "try", plugins=plugins)
    carry_out(config, out, partial(_conclude, as_json=as_json))


def _conclude(run: RunDirectory, shortfall: Shortfall, progress: EpisodeProgress, *, as_json: bool) -> None:
    given = [each for each in analysed(run.path).findings if each.kind == "given" and each.outcome == "return"]
    if as_json:
        missing = shortfall.sentence if shortfall else None
        say_json({"run": str(run.path), "missing": missing, "verdicts": [_row(each) for each in given]})
        return
    table = Table(title="With the skills − without, mean return on the same games", title_justify="left")
    for name in ("skills", "agent", "task", "verdict", "difference [95 % CI]", "adjusted p", "games"):
        table.add_column(name, overflow="fold")
    for each in given:
        row = _row(each)
        words = (row["pool"], row["agent"] or "all", row["task"] or "all")
        style = STYLES[each.verdict]
        numbers = (_interval(each), _p(each.p_adjusted), str(each.n_clusters))
        table.add_row(*map(plain, words), plain(each.verdict, style=style), *map(plain, numbers))
    output().print(table)
    for each in given:
        output().print(plain(each.sentence))
    say(f"Report: {run.path / 'report' / 'report.html'}")


def _row(found: Finding) -> dict[str, Any]:
    place = {key: found.cell.get(key) for key in ("agent", "task")}
    names = ("verdict", "estimate", "low", "high", "p", "p_adjusted", "n_clusters", "n_episodes", "mde", "sentence")
    row = found.row()
    return {"pool": found.id.split(":")[2], **place, **{name: row[name] for name in names}}


def _interval(found: Finding) -> str:
    from analysis.findings import number

    return f"{number(found.estimate)} [{number(found.low)}, {number(found.high)}]"


def _p(p: float) -> str:
    from analysis.findings import p_text

    return p_text(p).removeprefix("p ").removeprefix("= ")


def _split(values: list[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _agents(models: list[str]) -> list[dict[str, str]]:
    """`name=model`, or a model that gives its agent its own name."""
    agents: list[dict[str, str]] = []
    for given in models:
        name, equals, model = given.partition("=")
        word = (
            name if equals else re.sub(r"\W+", "_", given.replace("scripted:", "").rpartition("/")[2], flags=re.ASCII)
        )
        agents.append({"name": word if word[:1].isalpha() else f"m_{word}"[:40], "model": model if equals else given})
    return agents


def _names(folders: list[Path]) -> dict[str, Path]:
    """Each folder under a name of its own."""
    names: dict[str, Path] = {}
    for path in folders:
        word = re.sub(r"[^A-Za-z0-9_-]+", "_", path.resolve().name) or "skills"
        word = (word if word[:1].isalpha() else f"p_{word}")[:60]
        names[word if word not in names else f"{word}_{len(names)}"] = path
    return names
