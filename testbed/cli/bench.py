"""`procmem bench`: the costly parts, measured as ratios against a named baseline in the same run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from testbed.cli.terminal import output, plain, say, say_json

app = typer.Typer(help="Measure speed against a named baseline, with equal results checked.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")]


@app.command()
def rollout(
    model: Annotated[str, typer.Option(help="Catalog name or folder.")] = "smollm2-135m-instruct",
    episodes: Annotated[int, typer.Option(min=1, help="Episodes in flight.")] = 16,
    as_json: AsJson = False,
) -> None:
    """Decision steps per second, against one episode at a time with one call at a time and no cache.

    Example: `procmem bench rollout --episodes 8`
    """
    from agents.models.weights.folders import path
    from testbed.bench.rollout import bench_rollout

    _print(bench_rollout(path(model), episodes=episodes), as_json)


@app.command()
def gate(
    model: Annotated[str, typer.Option(help="Catalog name or folder.")] = "smollm2-135m-instruct",
    precision: Annotated[str, typer.Option(help="float32 or bfloat16.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    shape: Annotated[str | None, typer.Option(help="Random weights in this shape instead, e.g. gemma-2-9b.")] = None,
    base_url: Annotated[str | None, typer.Option(help="A vLLM server of the same model, to measure as well.")] = None,
    batches: Annotated[int, typer.Option(min=1, help="Padded batches of 16 to time.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Likelihoods of a gate's worth of actions per second, against padded batches of 16 with full logits.

    Example: `procmem bench gate --precision bfloat16`
    """
    from agents.models.weights.folders import path
    from testbed.bench.gate import bench_gate

    figures = bench_gate(
        path(model), precision=precision, device=device, shape=shape, base_url=base_url, batches=batches
    )
    _print(figures, as_json)


@app.command()
def engines(
    workers: Annotated[list[int] | None, typer.Option(min=1, help="Workers of Ray; may be given again.")] = None,
    episodes: Annotated[int, typer.Option(min=20, help="Games of Mastermind by each engine.")] = 2000,
    as_json: AsJson = False,
) -> None:
    """Scripted decision steps per second by Ray's workers, against this process, with equal episodes.

    Example: `procmem bench engines --workers 1 --workers 2`
    """
    from tempfile import TemporaryDirectory

    from testbed.bench.driver.engines import bench_engines

    with TemporaryDirectory(prefix="procmem-bench-") as folder:
        _print(bench_engines(Path(folder), workers=workers or (1, 2, 4), episodes=episodes), as_json)


@app.command()
def cache(
    model: Annotated[str, typer.Option(help="Catalog name or folder.")] = "smollm2-135m-instruct",
    episodes: Annotated[int, typer.Option(min=1, help="Games of Mastermind, all in flight.")] = 16,
    as_json: AsJson = False,
) -> None:
    """The same games without a cache of calls, with an empty one, and with a full one.

    Example: `procmem bench cache --episodes 8`
    """
    from tempfile import TemporaryDirectory

    from testbed.bench.experiments.call_cache import bench_call_cache

    with TemporaryDirectory(prefix="procmem-bench-") as folder:
        _print(bench_call_cache(Path(folder), model, episodes=episodes), as_json)


@app.command()
def fleet(
    run: Annotated[list[Path], typer.Argument(help="Runs whose models' speeds are wanted; several see more batches.")],
    as_json: AsJson = False,
) -> None:
    """How fast models were in runs that are there, by their accounts: a fleet.toml for `procmem plan --fleet`.

    Models in one process are measured together, a served one for itself; where served ones took turns, measure runs of
    one alone. It cannot tell a slow machine from a busy one: measure runs that had theirs for themselves.

    Example: `procmem bench fleet runs/matrix-1a2b3c4d > fleet.toml`
    """
    from testbed.serving.memory import memories
    from testbed.studies.cost.measured import fleet_toml, measure, weights

    found = measure(run)
    if as_json:
        say_json([asdict(each) for each in found])
        return
    models = [cost.model for each in found for cost in each.costs]
    say(fleet_toml(found, run, memories()[0], {name: weights(name) for name in models}))


@app.command()
def driver(
    episodes: Annotated[int, typer.Option(min=1, help="Games of Mastermind over HTTP.")] = 1000,
    in_flight: Annotated[int, typer.Option(min=1, help="Episodes in flight.")] = 64,
    servers: Annotated[list[int] | None, typer.Option(min=1, help="Servers at once; may be given again.")] = None,
    as_json: AsJson = False,
) -> None:
    """Decision steps per second over HTTP from one process, and by several servers; a client's call against httpx's.

    The servers are stubs in a process of their own. Wall time means little where the machine has other work: `load`.

    Example: `procmem bench driver --episodes 500`
    """
    from tempfile import TemporaryDirectory

    from testbed.bench.driver.http import bench_http

    with TemporaryDirectory(prefix="procmem-bench-") as folder:
        _print(bench_http(Path(folder), episodes=episodes, in_flight=in_flight, servers=servers or (1, 2, 4)), as_json)


@app.command()
def memory(
    episodes: Annotated[int, typer.Option(min=1, help="Games.")] = 10_000,
    in_flight: Annotated[int, typer.Option(min=1, help="Episodes in flight.")] = 64,
    environment: Annotated[str, typer.Option(help="Which game.")] = "Mastermind-v0",
    http: Annotated[bool, typer.Option(help="A stub server answers; otherwise a scripted player does.")] = False,
    as_json: AsJson = False,
) -> None:
    """Memory of a run as it gets long, or has many episodes in flight.

    Example: `procmem bench memory --http --episodes 10000 --in-flight 10000`
    """
    from tempfile import TemporaryDirectory

    from testbed.bench.driver.memory import bench_memory

    with TemporaryDirectory(prefix="procmem-bench-") as folder:
        figures = bench_memory(Path(folder), episodes=episodes, in_flight=in_flight, environment=environment, http=http)
        _print(figures, as_json)


@app.command()
def resume(
    episodes: Annotated[int, typer.Option(min=500, help="Episodes that are there.")] = 1_000_000,
    as_json: AsJson = False,
) -> None:
    """Seconds and memory that it takes to resume a run of so many episodes (two gigabytes, thrown away) that is done.

    Example: `procmem bench resume --episodes 100000`
    """
    from tempfile import TemporaryDirectory

    from testbed.bench.driver.resume import bench_resume

    with TemporaryDirectory(prefix="procmem-bench-") as folder:
        _print(bench_resume(Path(folder), episodes=episodes), as_json)


@app.command()
def report(
    agents: Annotated[int, typer.Option(min=1, help="Agents.")] = 10,
    tasks: Annotated[int, typer.Option(min=1, max=5, help="Tasks.")] = 5,
    runs: Annotated[int, typer.Option(min=1, help="Learning runs.")] = 10,
    episodes: Annotated[int, typer.Option(min=1, help="Episodes of each cell in each learning run.")] = 50,
    skills: Annotated[int, typer.Option(min=1, help="Skills of a pool, other ones in every learning run.")] = 8,
    elsewhere: Annotated[bool, typer.Option(help="Pools on tasks where they were not learned, too.")] = False,
    as_json: AsJson = False,
) -> None:
    """CPU seconds and memory of a whole report of a made-up matrix study, which is written for it and thrown away.

    Beside them stand those of parsing the same episodes, and their ratio; wall time is shown with the machine's load.

    Example: `procmem bench report --agents 4 --tasks 2 --episodes 10`
    """
    from tempfile import TemporaryDirectory

    from testbed.bench.report import ReportWorkload, bench_report

    workload = ReportWorkload(agents, tasks, runs, episodes, skills, elsewhere)
    with TemporaryDirectory(prefix="procmem-bench-") as folder:
        _print(bench_report(workload, Path(folder)), as_json)


def _print(figures: Any, as_json: bool) -> None:
    values: dict[str, Any] = asdict(figures)
    if as_json:
        say_json(values)
        return
    table = Table("figure", "value")
    for name, value in _flat(values):
        table.add_row(name.replace("_", " "), plain(f"{value:,.4g}" if isinstance(value, float) else value))
    output().print(table)


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """A figure of several is one row for each."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name} · {key}", each) for key, each in value.items())
        else:
            yield name, value
