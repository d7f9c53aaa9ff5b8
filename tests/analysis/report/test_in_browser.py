"""The report in a real browser: Debian's Chromium, headless, driven by Playwright. `apt-get install chromium`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from analysis.report.write import report
from analysis.tables.run import CELL, Tables, Transcript
from tests.support.simulated_study import simulate

CHROMIUM = shutil.which("chromium")
HOSTILE = '</script><script>document.title="owned"</script><img src="https://example.com/x" onerror=alert(1)>'

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking", "--disable-sync"]
        )
        yield chromium
        chromium.close()


class Visit:
    """A page that was opened, with what it asked for and what it complained of."""

    def __init__(self, page: Page, file: Path) -> None:
        self.page = page
        self.requests: list[str] = []
        self.complaints: list[str] = []
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn=true]", timeout=60_000)


@pytest.fixture(scope="module", params=["light", "dark"])
def visit(request, browser: Browser, tmp_path_factory) -> Visit:
    study = simulate(np.random.default_rng(2), runs=6, episodes=4, cross_task=True)
    pools = study.pools.assign(name=HOSTILE)
    tables = Tables.of(
        study.episodes,
        invocations=study.invocations,
        pools=pools,
        learning=study.learning,
        events=study.events,
        transcripts=[Transcript(HOSTILE, (("observation", HOSTILE), ("action", "[1]")))],
    )
    folder = tmp_path_factory.mktemp("page")
    report(tables, folder, resamples=200)
    return Visit(browser.new_page(color_scheme=request.param), folder / "report.html")


def test_nothing_is_fetched_and_nothing_goes_wrong(visit: Visit):
    assert [url for url in visit.requests if not url.startswith(("file:", "data:", "blob:"))] == []
    assert visit.complaints == []


def test_every_chart_is_drawn(visit: Visit):
    charts = visit.page.locator("[data-chart]")
    assert charts.count() >= 8
    for place in range(charts.count()):
        chart = charts.nth(place)
        assert chart.locator("svg.marks").count() == 1
        assert chart.locator("svg.marks path").count() > 2, chart.get_attribute("data-chart")


SCREEN = {"width": 1280, "height": 800}
PAPER = 680
"""A4 less its margins, in CSS pixels: 180 mm."""
STUDIES = {
    "two agents, two tasks": {"cross_task": True},
    "many agents": {"agents": tuple(f"agent with a long name {k}" for k in range(16)), "tasks": ("Maze",), "runs": 4},
    "one agent": {"agents": ("ada",), "tasks": ("Maze",)},
    "unfinished": {"cross_task": True},
}


@pytest.fixture(scope="module", params=STUDIES)
def printed(request, browser: Browser, tmp_path_factory) -> tuple[Page, Path]:
    """A report as it is on a common screen."""
    study = simulate(np.random.default_rng(2), **{"runs": 6, "episodes": 2} | STUDIES[request.param])
    plan = study.plan
    if request.param == "unfinished":
        cells = study.episodes[[*CELL, "learning_run"]].drop_duplicates()
        plan = cells.astype({"arm": "str"}).assign(phase="evaluate", episodes=9)
    folder = tmp_path_factory.mktemp("look")
    report(replace(study, plan=plan), folder, resamples=100)
    page = browser.new_page(viewport=SCREEN)
    page.goto((folder / "report.html").as_uri())
    page.wait_for_selector("html[data-drawn=true]", timeout=60_000)
    return page, folder


def test_the_top_fits_one_screen(printed: tuple[Page, Path]):
    page, _ = printed
    box = page.locator("#headline").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= SCREEN["height"]
    assert page.locator("#headline .claims tbody tr").count() >= 1
    assert page.locator("#headline dt").all_inner_texts() == ["Decided", "Not decided", "Rests on", "Cost"]
    cut = "(all) => all.filter((each) => each.getBoundingClientRect().right > window.innerWidth).length"
    assert page.locator("#headline *").evaluate_all(cut) == 0


def test_on_paper_nothing_is_cut_and_the_pages_can_be_held(printed: tuple[Page, Path]):
    page, _ = printed
    pages = re.findall(rb"/Type\s*/Page\b", page.pdf(prefer_css_page_size=True))
    assert 3 <= len(pages) <= 25
    page.emulate_media(media="print")
    page.set_viewport_size({"width": PAPER, "height": 1000})
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    wide = """(all) => all.filter((each) => each.checkVisibility())
        .filter((each) => each.getBoundingClientRect().right > window.innerWidth + 1)
        .map((each) => each.closest('section').id + ': ' + each.innerText?.slice(0, 60))"""
    assert page.locator("table, svg.marks, p, li, dl").evaluate_all(wide) == []
    assert page.locator("nav").is_hidden()


def test_hostile_text_stays_text(visit: Visit):
    assert visit.page.title().startswith("Report: ")
    assert visit.page.locator("img").count() == 0
    visit.page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    assert visit.page.get_by_text(HOSTILE).count() > 0


def test_it_can_be_read_by_keyboard_and_does_not_overflow(visit: Visit):
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.className") == "skip"
    visit.page.keyboard.press("Tab")
    assert visit.page.evaluate("document.activeElement.closest('nav') !== null")
    width = visit.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]
