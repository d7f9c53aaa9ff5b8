"""`procmem`: the command line. One file a group of commands."""

from __future__ import annotations

import sys

import typer
from rich.console import Console

from testbed.cli import bench, calibrate, check, export, models, plan, report, run, serve
from testbed.cli import list as listing

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


def main() -> None:
    """Run a command. What goes wrong in a known way is said in a sentence, with exit code 1."""
    errors = Console(stderr=True, soft_wrap=True, highlight=False)
    sys.path.append("")  # so that a study may name a module of the folder it is run in
    try:
        app()
    except OSError as error:
        if error.filename is None:
            raise
        errors.print(f"[bold red]Error:[/] {_escaped(f'{error.filename}: {error.strerror}')}")
        sys.exit(1)
    except Exception as error:
        # An exception class of our own rooms is by convention one sentence for the user; any other is a bug of ours.
        if type(error).__module__.partition(".")[0] not in ROOMS:
            raise
        errors.print(f"[bold red]Error:[/] {_escaped(str(error))}")
        sys.exit(1)


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
