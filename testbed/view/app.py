"""The page of one or several runs: a Starlette application that reads run directories and changes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from testbed.config.study import ConfigError
from testbed.play.pools import learned
from testbed.records.append_only import StoreError
from testbed.records.lines import EventLine, MemberEventLine
from testbed.reports.rows.transcript import transcript
from testbed.view.access import Guard
from testbed.view.pages import grid, render
from testbed.view.reports import Reporter
from testbed.view.snapshot import Snapshot
from testbed.view.watched import Watched
from transfer.memory.events.event import Event
from transfer.memory.lineage import Lineage
from transfer.memory.pool import PoolError

EVERY = 2.0
"""Seconds from one look at a run to the next, however many pages are open."""
STATIC = Path(__file__).parent / "static"
REPORT = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; frame-ancestors 'self'"
)
"""Content-Security-Policy of a report: its own script draws charts, in an origin of its own, and fetches nothing."""


class Shown:
    """One run behind the page."""

    def __init__(self, number: int, watched: Watched, folder: Path) -> None:
        self.number = number
        self.watched = watched
        self.name = watched.path.resolve().name
        self.reporter = Reporter(watched.path, folder / str(number) / "report")
        self._last: tuple[float, Snapshot] | None = None
        self._lock = asyncio.Lock()

    async def look(self) -> Snapshot:
        """At most EVERY seconds old."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if self._last is None or now - self._last[0] >= EVERY:
                self._last = now, await asyncio.to_thread(self.watched.look)
            return self._last[1]


def make_app(runs: Sequence[Watched], token: str, port: int, folder: Path) -> Guard:
    """`folder` is a temporary one, for reports."""
    shown = [Shown(number, watched, folder) for number, watched in enumerate(runs)]
    pages = _Pages(shown)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncGenerator[None]:
        yield
        for each in shown:
            each.reporter.close()

    app = Starlette(
        routes=[
            Route("/", pages.index),
            Route("/run/{number:int}", pages.run),
            Route("/run/{number:int}/looks", pages.looks),
            Route("/run/{number:int}/episode", pages.episode),
            Route("/run/{number:int}/skills", pages.skills),
            Route("/run/{number:int}/report", pages.report),
            Route("/run/{number:int}/report.html", pages.report_itself),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        exception_handlers={
            StoreError: _sentence,
            ConfigError: _sentence,
            PoolError: _sentence,
            OSError: _sentence,
        },
        lifespan=lifespan,
    )
    return Guard(app, token, port)


async def _sentence(request: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 500)


class _Pages:
    """One method a page."""

    def __init__(self, runs: Sequence[Shown]) -> None:
        self._runs = runs

    async def index(self, request: Request) -> Response:
        looks = [(each, await each.look()) for each in self._runs]
        return self._page(request, "runs.html.j2", looks=looks)

    async def run(self, request: Request) -> Response:
        shown = self._run(request)
        if shown is None:
            return _unknown()
        return self._page(request, "run.html.j2", shown=shown, live=_live(request, shown, await shown.look()))

    async def looks(self, request: Request) -> Response:
        """Server-sent events: the changing part of the run's page, whenever it is another one."""
        shown = self._run(request)
        return (
            _unknown() if shown is None else StreamingResponse(_events(request, shown), media_type="text/event-stream")
        )

    async def episode(self, request: Request) -> Response:
        """`?id=` the start of a trial's id."""
        shown = self._run(request)
        prefix = request.query_params.get("id", "").strip()
        if shown is None:
            return _unknown()
        place = shown.watched.place(prefix)
        if place is None:
            return PlainTextResponse("No episode's id starts so, or several do.\n", 404)
        episode = await asyncio.to_thread(shown.watched.directory.episode, place)
        names: dict[str, str] = {}
        if episode.trial.pool is not None:
            memory = await asyncio.to_thread(shown.watched.directory.memory, episode.trial.pool)
            names = {unit.id: unit.name or unit.kind for unit in memory.units}
        return self._page(request, "episode.html.j2", shown=shown, transcript=transcript(episode), names=names)

    async def skills(self, request: Request) -> Response:
        shown = self._run(request)
        if shown is None:
            return _unknown()
        memories, trees = await asyncio.to_thread(_skills, shown.watched)
        return self._page(request, "skills.html.j2", shown=shown, memories=memories, trees=trees)

    async def report(self, request: Request) -> Response:
        shown = self._run(request)
        if shown is None:
            return _unknown()
        look = await shown.look()
        shown.reporter.ask(look.finished)
        return self._page(request, "report.html.j2", shown=shown, look=look)

    async def report_itself(self, request: Request) -> Response:
        """Within a page of ours alone: there it cannot lead anywhere else."""
        shown = self._run(request)
        if shown is None or not shown.reporter.page.is_file():
            return _unknown()
        if request.headers.get("sec-fetch-dest", "iframe") != "iframe":
            return PlainTextResponse("The report is shown within its page.\n", 403)
        return FileResponse(shown.reporter.page, media_type="text/html", headers={"Content-Security-Policy": REPORT})

    def _run(self, request: Request) -> Shown | None:
        number = request.path_params["number"]
        return self._runs[number] if number < len(self._runs) else None

    def _page(self, request: Request, template: str, **content: object) -> Response:
        return HTMLResponse(render(template, request.scope["root_path"], runs=self._runs, **content))


def _unknown() -> Response:
    return PlainTextResponse("There is no such page.\n", 404)


def _live(request: Request, shown: Shown, look: Snapshot) -> str:
    return render("live.html.j2", request.scope["root_path"], shown=shown, look=look, grid=grid(look))


async def _events(request: Request, shown: Shown) -> AsyncIterator[str]:
    last = ""
    while True:
        try:
            page = _live(request, shown, await shown.look())
        except (StoreError, OSError) as error:
            page = render("problem.html.j2", "", sentence=str(error))
        if page != last:
            yield f"event: look\ndata: {json.dumps(page)}\n\n"
            last = page
        else:
            yield ": still here\n\n"  # so that a closed page is noticed
        await asyncio.sleep(EVERY)


def _skills(watched: Watched) -> tuple[dict[str, tuple[str, list[tuple[str, str, str]]]], dict[str, str]]:
    """What every learner holds (its digest; id, name and text of each unit), and the family tree of its skills."""
    run = watched.directory
    memories: dict[str, tuple[str, list[tuple[str, str, str]]]] = {}
    for learner, found in learned(run).items():
        units = run.memory(found.digest).units
        memories[learner] = found.digest, [(unit.id, unit.name or unit.kind, unit.text) for unit in units]
    events: dict[str, list[Event]] = {}
    for line in run.events():
        if isinstance(line, EventLine):
            where = f" in {line.population}" if isinstance(line, MemberEventLine) else ""
            events.setdefault(f"{line.learner}{where}", []).append(line.event)
    trees = {learner: tree for learner, own in events.items() if (tree := Lineage.of(own).tree())}
    return memories, trees
