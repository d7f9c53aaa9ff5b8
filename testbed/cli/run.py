"""`procmem run`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from testbed.cli.interruption import RESUME, Interruption
from testbed.cli.progress import EpisodeProgress
from testbed.cli.study_file import Plugins, read_study
from testbed.cli.terminal import notices, say, say_json, tell

if TYPE_CHECKING:
    from agents.models.adapters.call_cache import CallCache
    from analysis.results import Results
    from testbed.config.study import StudyConfig
    from testbed.play.course.budget import Limits
    from testbed.play.course.prices import Prices
    from testbed.records.run_directory import RunDirectory
    from testbed.studies.outcome.shortfall import Shortfall

INCOMPLETE = 3
"""Exit code of a run that has come to its end and lacks something."""

SPENT = 4
"""Exit code of a run that has reached one of its limits: the same command goes on, with its limits anew."""

STOPPED = "Stopped. Finished episodes are stored; the same command resumes."


def run(
    study: Annotated[Path, typer.Argument(help="The study file (TOML).")],
    out: Annotated[Path, typer.Option(help="Folder that holds the run directories.")] = Path("runs"),
    set: Annotated[list[str] | None, typer.Option(help="Change one value: key=value, dotted, TOML.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what it costs and what it is; play nothing.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="With --dry-run: every default as well.")] = False,
    max_tokens: Annotated[
        int | None, typer.Option(min=1, help="Begin nothing new once this command has spent so many tokens.")
    ] = None,
    max_hours: Annotated[
        float | None, typer.Option(min=0, help="Begin nothing new once this command has run for so long.")
    ] = None,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Begin nothing new once this command has cost so much.")
    ] = None,
    prices: Annotated[
        Path | None, typer.Option(help="Prices by model and hour (TOML), beside those of the study's agents.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="A file of models' answers: what stands there is not asked again.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="Where episodes are played: local, or ray.")] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="A Ray cluster that is there: host:port, or auto on one of its machines.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Processes of Ray that play episodes.")] = None,
    sink: Annotated[
        list[str] | None, typer.Option(help="Also tell tensorboard, wandb or mlflow on the way; may be given again.")
    ] = None,
    plugins: Plugins = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Run a study, or finish one that was interrupted: the same command resumes.

    Exit codes: 0 all there · 1 an error to mend · 3 at its end, but episodes are missing · 4 a limit was reached, 75
    (SIGTERM, a model that does not answer) and 130 (Ctrl-C): the same command goes on.

    Examples: `procmem run examples/quickstart.toml` · `procmem run study.toml --set learning.iterations=2 --dry-run` ·
    `procmem run study.toml --max-hours 8 --max-cost 20 --prices prices.toml` ·
    `procmem run study.toml --cache calls.db` · `procmem run study.toml --engine ray --ray-address auto`
    """
    from testbed.config.study import ConfigError
    from testbed.play.course.budget import Limits
    from testbed.play.course.prices import Prices

    config = _with_engine(read_study(study, set or [], plugins=plugins), engine, ray_address, workers)
    priced = Prices.of(config, prices)
    if max_cost is not None and not priced:
        raise ConfigError("--max-cost: nothing has a price; give agents a price, or --prices FILE (docs/operations.md)")
    if dry_run:
        from testbed.cli.dry_run import print_forecast

        print_forecast(config, full=full, as_json=as_json)
        return
    limits = Limits(max_tokens, max_hours, max_cost)
    with _followed(config, out, sink or []), _opened(cache) as answers:
        carry_out(config, out, partial(_conclude, as_json=as_json), limits, priced, answers)


@contextmanager
def _opened(file: Path | None) -> Generator[CallCache | None]:
    """Raises CacheError."""
    if file is None:
        yield None
        return
    from agents.models.adapters.call_cache import CallCache

    with closing(CallCache(file)) as cache:
        yield cache


def _followed(config: StudyConfig, out: Path, sinks: list[str]) -> AbstractContextManager[object]:
    """While it is entered, the run is told to these sinks. Raises ConfigError, SinkError."""
    if not sinks:
        return nullcontext()
    from testbed.config.plugins import resolve
    from testbed.records.run_directory import RunDirectory
    from testbed.reports.export.live import Following
    from testbed.reports.export.registry import SINKS

    for name in sinks:
        resolve(SINKS, name, group="sink", place="--sink")
    return Following.of(RunDirectory.of(out, config).path, sinks)


def _with_engine(config: StudyConfig, name: str | None, address: str | None, workers: int | None) -> StudyConfig:
    """The study by the engine that the command names; an address or a number of workers mean Ray's."""
    from testbed.config.reading.load import parse_study

    asked = name or (None if address is None and workers is None else "ray")
    changes = {"name": asked, "address": address, "workers": workers}
    given = {key: value for key, value in changes.items() if value is not None}
    if not given:
        return config
    content = config.model_dump(mode="json")
    engine = content["engine"] if asked != "local" else {}
    return parse_study({**content, "engine": {**engine, **given}}, "--engine")


Conclude = Callable[["RunDirectory", "Shortfall", EpisodeProgress], None]
"""Says what came out of a study that has come to its end."""


def carry_out(
    config: StudyConfig,
    out: Path,
    conclude: Conclude,
    limits: Limits | None = None,
    prices: Prices | None = None,
    cache: CallCache | None = None,
) -> None:
    """Run a study as a command does: with progress, interruptible, within limits, and with `run`'s exit codes."""
    from agents.models.model import ModelUnavailable
    from testbed.play.course.budget import UNLIMITED, BudgetSpent
    from testbed.play.course.failures import EngineGone, ModelGone

    with Interruption(STOPPED) as interruption:
        try:
            shortfall = _run(config, out, conclude, interruption, limits or UNLIMITED, prices, cache)
        except KeyboardInterrupt:
            tell(STOPPED)
            raise typer.Exit(interruption.code) from None
        except BudgetSpent as spent:
            tell(f"Stopped: {spent}")
            raise typer.Exit(SPENT) from None
        except (ModelGone, ModelUnavailable, EngineGone) as error:
            tell(f"Stopped: {error}")
            raise typer.Exit(RESUME) from None
    if shortfall:
        tell(f"Incomplete: {shortfall.sentence}")
        raise typer.Exit(INCOMPLETE)


def carry_out_each(variants: Mapping[str, StudyConfig], out: Path, told: Callable[[str], str]) -> dict[str, Path]:
    """Run them one after the other, as `carry_out` does; where each lies, by name. `told` is said before each."""
    found: dict[str, Path] = {}
    for name, variant in variants.items():
        tell(told(name))

        def keep(run: RunDirectory, shortfall: Shortfall, progress: EpisodeProgress, name: str = name) -> None:
            found[name] = run.path

        carry_out(variant, out, keep)
    return found


def _run(
    config: StudyConfig,
    out: Path,
    conclude: Conclude,
    interruption: Interruption,
    limits: Limits,
    prices: Prices | None,
    cache: CallCache | None,
) -> Shortfall:
    from testbed.studies.cost.forecast import count_parts
    from testbed.studies.run import run_study

    with EpisodeProgress(notices(), **count_parts(config)) as progress:
        run, shortfall = interruption.run(partial(run_study, config, out, progress, limits, prices, cache))
    for notice in run.notices:
        tell(f"Note: {notice}.")
    conclude(run, shortfall, progress)
    return shortfall


def _conclude(run: RunDirectory, shortfall: Shortfall, progress: EpisodeProgress, *, as_json: bool) -> None:
    from testbed.studies.cost.forecast import count_episodes

    findings = analysed(run.path) if count_episodes(run.config())[1] else None
    if as_json:
        missing = shortfall.sentence if shortfall else None
        say_json({"run": str(run.path), "failed": progress.failed, "episodes": progress.finished, "missing": missing})
    elif findings is None:
        done = "Learned." if shortfall.finished or not shortfall.planned else "Nothing was learned."
        say(f"{done} The pools lie in {run.path / 'pools'}; `procmem show {run.path}` lists the episodes.")
    else:
        from testbed.cli.report import print_findings

        print_findings(findings, run.path / "report")


def analysed(path: Path) -> Results:
    """What the report of a run says, which is written beside it."""
    from testbed.reports.write import write_report

    with notices().status("analysing"):
        return write_report(path, path / "report")
