"""`procmem`: the command line. One file a group of commands."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Never

import typer

from testbed.cli import bench, calibrate, check, export, models, plan, report, run, serve
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
app.command("serve")(serve.serve)
app.command("calibrate")(calibrate.calibrate)
app.command("plan")(plan.plan)
app.add_typer(check.app, name="check")
app.add_typer(models.app, name="models")
app.add_typer(bench.app, name="bench")


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
    with _home():
        try:
            app()
        except OSError as error:
            if error.filename is None:
                raise
            _fail(f"{error.filename}: {error.strerror}")
        except Exception as error:
            # An exception class of our own rooms is by convention one sentence for the user; any other is a bug.
            if type(error).__module__.partition(".")[0] not in ROOMS:
                raise
            _fail(str(error))


def _fail(sentence: str) -> Never:
    complain(sentence)
    sys.exit(1)


@contextmanager
def _home() -> Generator[None]:
    """A user without a home (a container, a batch system) gets an empty one for as long as the command runs: packages
    that we import look for it before anybody has asked them to write there."""
    try:
        Path.home()
    except RuntimeError:
        with tempfile.TemporaryDirectory(prefix="procmem-") as folder:
            os.environ["HOME"] = folder
            yield
    else:
        yield
