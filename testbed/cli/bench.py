"""`procmem bench`: the costly parts, measured as ratios against a named baseline in the same run."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from testbed.cli.terminal import output, plain, say_json

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


def _print(figures: Any, as_json: bool) -> None:
    values: dict[str, Any] = asdict(figures)
    if as_json:
        say_json(values)
        return
    table = Table("figure", "value")
    for name, value in values.items():
        table.add_row(name.replace("_", " "), plain(f"{value:,.4g}" if isinstance(value, float) else value))
    output().print(table)
