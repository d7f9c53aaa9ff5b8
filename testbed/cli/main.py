"""`procmem`: the command line. One file a group of commands."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Never

import typer

from testbed.cli import (
    bench,
    bottleneck,
    calibrate,
    ceiling,
    check,
    export,
    models,
    plan,
    play,
    report,
    run,
    serve,
    skills,
    view,
    watch,
)
from testbed.cli import list as listing
from testbed.cli.terminal import complain, say, settle

ROOMS = ("environments", "agents", "transfer", "analysis", "testbed")

HELP = """A testbed for LLM agents that learn, share and transfer reusable skills.

Examples: `procmem run examples/scripted.toml` · `procmem run study.toml --dry-run` · `procmem list environments`
"""

app = typer.Typer(
    name="procmem",
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("report")(report.report)
app.command("audit")(report.audit)
app.command("export")(export.export)
app.command("show")(report.show)
app.command("list")(listing.names)
app.command("watch")(watch.watch)
app.command("view")(view.view)
app.command("play")(play.play)
app.command("serve")(serve.serve)
app.command("calibrate")(calibrate.calibrate)
app.command("plan")(plan.plan)
app.command("bottleneck")(bottleneck.bottleneck)
app.command("ceiling")(ceiling.ceiling)
app.add_typer(check.app, name="check")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")
app.add_typer(skills.app, name="skills")


def _print_version(asked: bool) -> None:
    if asked:
        say(f"procmem {importlib.metadata.version('procmem')}")
        raise typer.Exit


@app.callback()
def procmem(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None: ...


def main() -> None:
    """Run a command. What goes wrong in a known way is said in a sentence, with exit code 1."""
    settle()
    try:
        _find_home()
        app()
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
    except Exception as error:
        # An exception class of our own rooms is by convention one sentence for the user; any other is a bug of ours.
        if type(error).__module__.partition(".")[0] not in ROOMS:
            raise
        _fail(str(error))


def _fail(sentence: str) -> Never:
    complain(sentence)
    sys.exit(1)


def _find_home() -> None:
    """A user whom the system knows no home of (a container, a batch system) gets one beside the temporary files.

    Packages that we import look for a home before anybody has asked them to write there.
    """
    try:
        Path.home()
    except RuntimeError:
        home = Path(tempfile.gettempdir()) / f"procmem-{os.getuid()}"
        home.mkdir(mode=0o700, exist_ok=True)
        if home.is_symlink() or home.stat().st_uid != os.getuid():
            home = Path(tempfile.mkdtemp(prefix="procmem-"))
        os.environ["HOME"] = str(home)
