"""`procmem view`: a local page of one or several runs."""

from __future__ import annotations

import socket
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from testbed.cli.terminal import say, tell


class ViewError(RuntimeError):
    """Why there is no page; one sentence."""


def view(
    runs: Annotated[list[Path], typer.Argument(help="Run directories.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes any free one.")] = 0,
    prices: Annotated[Path | None, typer.Option(help="Prices by model and hour (TOML).")] = None,
) -> None:
    """Show runs on a local page: what is going on, cells, accounts, warnings, transcripts, skills, the report so far.

    It reads the run directories and nothing else: a run may be finished, under way, or another machine's on a shared
    disk. The page is served on 127.0.0.1 alone, to whoever has the address that is printed. Ctrl-C ends it.

    Examples: `procmem view runs/matrix-1a2b3c4d` · `procmem view runs/* --port 8765`
    """
    try:
        import uvicorn

        from testbed.view.app import make_app
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise ViewError(f"the page needs {error.name}: pip install 'procmem[view]'") from None
    from testbed.play.course.prices import load_prices
    from testbed.view.access import new_token
    from testbed.view.watched import Watched

    priced = None if prices is None else load_prices(prices)
    watched = [Watched(run, priced) for run in runs]
    token = new_token()
    with _listening(port) as listening, TemporaryDirectory(prefix="procmem-view-") as folder:
        port = listening.getsockname()[1]
        app = make_app(watched, token, port, Path(folder))
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, ws="none", timeout_graceful_shutdown=1
        )
        say(f"http://127.0.0.1:{port}/{token}/")
        tell("Whoever has this address can read these runs. Ctrl-C ends the page.")
        uvicorn.Server(config).run([listening])


def _listening(port: int) -> socket.socket:
    """Raises ViewError for a port that is taken or not to be had."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
    except OSError as error:
        listening.close()
        raise ViewError(
            f"port {port} of 127.0.0.1 cannot be had: {error.strerror}; choose another --port, or none for any free one"
        ) from None
    return listening
