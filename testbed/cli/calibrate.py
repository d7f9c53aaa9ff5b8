"""`procmem calibrate`: are the error bars right? Simulated coverage of intervals and error rates of tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from testbed.cli.terminal import notices, output, plain, say, say_json

if TYPE_CHECKING:
    from numpy.random import Generator

QUICK, FULL = 500, 4000
"""Simulations a row: a rate of 95 % is told to ±1.9 % and to ±0.7 %."""
FEW_STUDIES, STUDIES = 40, 300
"""Simulated studies that look at their data, which take longer."""


def calibrate(
    quick: Annotated[
        bool, typer.Option("--quick", help=f"{QUICK} simulations a row in place of {FULL}, 3 and 10 runs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Print the tables of docs/calibration.md.")] = False,
    savings: Annotated[
        bool, typer.Option("--savings", help="Instead: what studies that look at their data save, as a table.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 0,
) -> None:
    """Simulate clustered data of known truth; show how often each interval covers it and each test errs.

    Exit code 1 where a method that the report uses leaves its bounds: 93–97 % coverage of means, at least 93 % of
    rates, at most 6 % rejections and 7 % wrong verdicts, also of studies that look at their data as they come.

    Examples: `procmem calibrate --quick` · `procmem calibrate --savings --quick`
    """
    import numpy as np

    if savings:
        _print_savings(np.random.default_rng(seed), FEW_STUDIES if quick else STUDIES, as_json=as_json)
        return
    from analysis.simulation.calibration import FEW_CLUSTERS
    from analysis.simulation.calibration import calibrate as simulate
    from analysis.simulation.rows import markdown

    with notices().status("simulating"):
        rng = np.random.default_rng(seed)
        rows = simulate(rng, simulations=QUICK, clusters=FEW_CLUSTERS) if quick else simulate(rng, simulations=FULL)
    if as_json:
        say_json([row.plain() for row in rows])
    elif as_markdown:
        say(markdown(rows))
    else:
        table = Table("kind", "method", "world", "clusters", "nominal", "rate", "95 % Monte-Carlo", "in the report")
        for row in rows:
            used = ("keeps" if row.meets else "LEAVES ITS BOUNDS") if row.promised else ""
            bounds = f"{row.low:.3f} to {row.high:.3f}"
            cells = (
                row.kind,
                row.method,
                row.world,
                str(row.clusters),
                f"{row.nominal:g}",
                f"{row.rate:.3f}",
                bounds,
                used,
            )
            table.add_row(*map(plain, cells))
        output().print(table)
    if not all(row.meets for row in rows if row.promised):
        raise typer.Exit(1)


def _print_savings(rng: Generator, studies: int, *, as_json: bool) -> None:
    from analysis.simulation.adaptive.savings import markdown, savings

    with notices().status("simulating"):
        rows = savings(rng, studies)
    if as_json:
        say_json([row.plain() for row in rows])
    else:
        say(markdown(rows))
