"""`procmem watch`: the essentials of a run, in a terminal."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from testbed.cli.terminal import output, plain, say, say_json

if TYPE_CHECKING:
    from testbed.records.side_files.status import ServerState
    from testbed.view.snapshot import Snapshot
    from testbed.view.watched import Watched

STYLES = {"running": "green", "finished": "bold green", "silent": "bold red", "stopped": "bold red"}
ENDED = {"finished", "spent", "interrupted", "stopped"}
FEW = 3
"""Episodes, warnings and reasons that are named."""
PHASES = ("learn", "evaluate", "league")
NARROW = 64
"""Columns below which there are lines and no tables."""


def watch(
    run: Annotated[Path, typer.Argument(help="A run directory.")],
    once: Annotated[bool, typer.Option("--once", help="One look, and no more.")] = False,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds from one look to the next.")] = 2.0,
    prices: Annotated[Path | None, typer.Option(help="Prices by model and hour (TOML).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print each look as a line of JSON.")] = False,
) -> None:
    """What a run is doing: episodes, learners, time left, accounts, warnings, servers; until it ends.

    It reads the run directory and nothing else: the run may be another machine's, on a shared disk. Without a terminal
    it prints a line for each look that tells something new.

    Examples: `procmem watch runs/matrix-1a2b3c4d` · `procmem watch runs/matrix-1a2b3c4d --once --json`
    """
    from testbed.play.course.prices import load_prices
    from testbed.view.watched import Watched

    watched = Watched(run, None if prices is None else load_prices(prices))
    console = output()
    try:
        if as_json:
            for look in _looks(watched, every, once=once):
                say_json(look.model_dump(mode="json"))
        elif once:
            console.print(shown(watched.look(), console.width))
        elif not console.is_terminal:
            last = ""
            for look in _looks(watched, every, once=False):
                if (line := one_line(look)) != last:
                    say(line)
                last = line
        else:
            with Live(console=console, auto_refresh=False) as live:
                for look in _looks(watched, every, once=False):
                    live.update(shown(look, console.width), refresh=True)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def _looks(watched: Watched, every: float, *, once: bool) -> Iterator[Snapshot]:
    """One after the other, until the run has ended."""
    while True:
        look = watched.look()
        yield look
        if once or look.state in ENDED:
            return
        time.sleep(every)


def one_line(look: Snapshot) -> str:
    """What changes, in one line."""
    parts = [look.state, f"{look.finished}/{look.planned} episodes"]
    parts += [f"{look.failed} failed"] if look.failed else []
    parts += [f"{look.steps_done}/{look.steps} steps"] if look.steps else []
    parts += [f"{len(look.thinking)} thinking"] if look.thinking else []
    parts += [f"{look.tokens:,} tokens"] if look.tokens else []
    parts += [f"cost {look.cost:.2f}"] if look.cost is not None else []
    parts += [f"left {_left(look)}"] if look.left is not None else []
    return " · ".join(parts)


def shown(look: Snapshot, width: int) -> RenderableType:
    """All of it, as wide as there is room."""
    parts: list[RenderableType] = [
        Text.assemble(plain(f"{look.study} "), plain(look.state, STYLES.get(look.state, "yellow"))),
        plain(_bar(look, width)),
        plain(one_line(look).partition(" · ")[2]),
    ]
    if look.state == "silent" and look.said is not None:
        ago = timedelta(seconds=round((datetime.now(UTC) - look.said).total_seconds()))
        parts.append(plain(f"Nothing was heard of it for {ago}: {look.host}, process {look.process}.", "bold red"))
    if look.why:
        parts.append(plain(look.why))
    if look.scoring:
        parts.append(plain(f"likelihoods {look.scoring[0] / max(1, look.scoring[1]):.0%}"))
    parts += [plain(f"thinks: {each.what} since {each.since:%H:%M:%S}") for each in look.thinking[:FEW]]
    parts += [plain(f"plays: {each.what}") for each in look.playing[:FEW]]
    for address, server in look.servers.items():
        parts.append(plain(f"server {address}: {_server(server)}", "yellow" if server.state == "fails" else ""))
    parts += [*_arms(look, width), *_accounts(look, width)]
    parts += [plain(f"{count} failed: {why}", "yellow") for why, count in list(look.reasons.items())[:FEW]]
    parts += [plain(f"{look.lost} lines could not be read", "yellow")] if look.lost else []
    parts += [plain(f"Warning: {warning}", "yellow") for warning in look.warnings[:FEW]]
    return Group(*parts)


def _server(server: ServerState) -> str:
    parts = [server.state, server.model, f"{server.in_flight} in flight", f"{server.answered:,} answered"]
    parts += [f"{server.tokens_per_second:,.1f} tokens/s"] if server.tokens_per_second is not None else []
    parts += [f"{server.failed:,} tries failed"] if server.failed else []
    parts += [f"asked for {server.paused:,} pauses, {server.paused_seconds:,.0f} s"] if server.paused else []
    parts += [f"started {server.starts} times"] if server.starts is not None else []
    parts += [f"restarted {server.restarts} times"] if server.restarts else []
    parts += [f"last error {server.error_at:%H:%M:%S}: {server.error}"] if server.error and server.error_at else []
    return " · ".join(parts)


def _bar(look: Snapshot, width: int) -> str:
    room = max(4, min(width, 60) - 6)
    share = look.finished / look.planned if look.planned else 0.0
    full = min(room, int(share * room))
    return f"{'█' * full}{'░' * (room - full)} {share:4.0%}"


def _left(look: Snapshot) -> str:
    return f"{'≥ ' if look.left_at_least else ''}{timedelta(seconds=round(look.left or 0))}"


def _arms(look: Snapshot, width: int) -> list[RenderableType]:
    """What is there of each arm, for each memory. No returns: those of several games have no common mean."""
    sums: defaultdict[tuple[int, str, str, str], list[int]] = defaultdict(lambda: [0, 0])
    for cell in look.cells:
        of = sums[PHASES.index(cell.phase), cell.phase, cell.memory or "pool", cell.arm]
        of[0] += cell.finished
        of[1] += cell.planned
    rows = [
        (" ".join(dict.fromkeys((phase, memory, arm))), f"{finished}/{planned}")
        for (_, phase, memory, arm), (finished, planned) in sorted(sums.items())
    ]
    return _rows(("arm", "episodes"), rows, width)


def _accounts(look: Snapshot, width: int) -> list[RenderableType]:
    """By agent and use."""
    sums: defaultdict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * 6)
    for row in look.accounts:
        each = (row.calls, row.prompt_tokens, row.completion_tokens, row.scored, row.seconds, row.cost)
        sums[row.agent, row.use] = [a + b for a, b in zip(sums[row.agent, row.use], each, strict=True)]
    names = ("asked", "calls", "prompt", "written", "scored", "seconds", *(("cost",) if look.cost is not None else ()))
    rows = [
        (f"{agent} {use}", *(f"{value:,.0f}" for value in values[:5]), f"{values[5]:.2f}")[: len(names)]
        for (agent, use), values in sorted(sums.items())
    ]
    return _rows(names, rows, width)


def _rows(names: tuple[str, ...], rows: list[tuple[str, ...]], width: int) -> list[RenderableType]:
    if not rows:
        return []
    if width < NARROW:
        return [
            plain(f"{first}: " + ", ".join(f"{name} {value}" for name, value in zip(names[1:], rest, strict=True)))
            for first, *rest in rows
        ]
    table = Table(box=None, pad_edge=False)
    for index, name in enumerate(names):
        table.add_column(name, justify="right" if index else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(plain, row))
    return [table]
