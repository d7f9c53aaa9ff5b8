"""`procmem models`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from agents.models.weights import folders
from agents.models.weights.catalog import MODELS, ModelSource
from testbed.cli.terminal import notices, output, say, say_json

app = typer.Typer(no_args_is_help=True, help="Language models: what there is, fetch one, find one on disk.")


@app.command("list")
def catalog(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """The models that go by a short name. Any other Hugging Face id or local folder works as well.

    Example: `procmem models list`
    """
    if as_json:
        say_json([_row(source) for source in MODELS.values()], indent=1)
        return
    table = Table("name", "kind", "licence", "download", "here")
    table.columns[0].no_wrap = True
    for source in MODELS.values():
        size = f"{_download_bytes(source) / 1e6:,.0f} MB" if source.wheels else "Hugging Face"
        table.add_row(source.name, source.kind, source.licence, size, "yes" if _is_here(source) else "")
    output().print(table)


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help="Catalog names, or Hugging Face ids.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the folders as JSON.")] = False,
) -> None:
    """Download, check and convert models, unless that has been done.

    Example: `procmem models pull smollm2-135m-instruct gemma3-270m`
    """
    places: dict[str, str] = {}
    with PullProgress() as progress:
        for name in names:
            places[name] = str(folders.pull(name, progress))
    if as_json:
        say_json(places)
    else:
        for name, folder in places.items():
            say(f"{name}\t{folder}")


@app.command()
def path(
    name: Annotated[str, typer.Argument(help="Catalog name, Hugging Face id or local folder.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the folder of a model's weights.

    Example: `procmem models path smollm2-135m-instruct`
    """
    folder = str(folders.path(name))
    if as_json:
        say_json({"name": name, "path": folder})
    else:
        say(folder)


class PullProgress:
    """A bar for each stage of a pull, with the time left where that can be known."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TextColumn("elapsed"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=notices(),
        )
        self._task: TaskID | None = None
        self._stage = ""

    def __enter__(self) -> PullProgress:
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def __call__(self, stage: str, done: int, total: int) -> None:
        if stage != self._stage:
            if self._task is not None:
                self._bar.stop_task(self._task)
            self._stage, self._task = stage, self._bar.add_task(stage, total=total or None)
        if self._task is not None and total:
            self._bar.update(self._task, completed=min(done, total))


def _row(source: ModelSource) -> dict[str, str | int | bool]:
    return {
        "name": source.name,
        "kind": source.kind,
        "family": source.family,
        "licence": source.licence,
        "hub": source.hub,
        "download_bytes": _download_bytes(source),
        "pulled": _is_here(source),
    }


def _download_bytes(source: ModelSource) -> int:
    return sum(wheel.size for wheel in source.wheels)


def _is_here(source: ModelSource) -> bool:
    return bool(source.wheels) and folders.is_pulled(source.name)
