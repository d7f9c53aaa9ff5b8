"""The page in a real browser: Debian's Chromium, headless, driven by Playwright. `apt-get install chromium`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from testbed.records.side_files.status import ServerState, write_status
from tests.testbed.view.test_watched import status

CHROMIUM = shutil.which("chromium")
HOSTILE = "</p><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def path(study, run_in, tmp_path_factory) -> Path:
    return run_in(tmp_path_factory.mktemp("runs"), study(learning_runs=1)).path


@pytest.fixture(scope="module")
def browser(path: Path) -> Iterator[Browser]:
    """After the run was made: while Playwright is open this thread has an event loop of its own."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-background-networking", "--disable-sync"]
        )
        yield chromium
        chromium.close()


def opened(browser: Browser, address: str) -> tuple[Page, list[str]]:
    """The page, and what it complains of from now on."""
    page = browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    return page, complaints


def test_one_walks_from_runs_to_cells_to_an_episode_and_the_page_moves(browser, served, path):
    page, complaints = opened(browser, served)
    page.get_by_role("link", name=path.name).click()
    page.wait_for_selector("#live[data-seen]")
    assert page.locator("table.cells progress").count() == 36
    write_status(path, status(state="stopped", why=HOSTILE))
    page.wait_for_selector(".state.stopped", timeout=30_000)
    assert page.get_by_text(HOSTILE).count() == 1
    assert page.title() == path.name
    page.locator("table").last.locator("tbody a").first.click()
    assert page.locator("dl.transcript dt").first.inner_text() == "rules"
    page.get_by_role("link", name="skills").click()
    page.locator("summary").first.click()
    assert page.get_by_role("heading", name="Lineage").first.is_visible()
    assert complaints == []
    page.close()


def test_the_health_of_servers_moves_while_one_looks(browser, served, path):
    """As the status says it that another machine writes; what a server said is text."""
    asleep = ServerState(model="qwen", state="asleep", starts=2, restarts=1, answered=1200)
    awake = ServerState(model="gemma", state="answers", in_flight=7, answered=3, tokens=900, tokens_per_second=41.5)
    servers = {"http://127.0.0.1:1/v1": asleep, "http://127.0.0.1:2/v1": awake}
    write_status(path, status(servers=servers))
    page, complaints = opened(browser, f"{served}run/0")
    page.wait_for_selector("#live[data-seen]")
    page.wait_for_selector("table.servers td.server.asleep", timeout=30_000)
    rows = [row.inner_text().split("\t") for row in page.locator("table.servers tbody tr").all()]
    assert rows[0][:5] == ["http://127.0.0.1:1/v1", "qwen", "asleep", "0", "1,200"]
    assert rows[0][10:12] == ["2", "1"]
    assert rows[1][2:4] == ["answers", "7"]
    assert rows[1][8:12] == ["900", "41.5", "", ""]
    failing = awake.model_copy(
        update={
            "state": "fails",
            "failed": 4,
            "paused": 2,
            "paused_seconds": 30.0,
            "error": HOSTILE,
            "error_at": status().at,
        }
    )
    write_status(path, status(servers={"http://127.0.0.1:2/v1": failing}))
    page.wait_for_selector("table.servers td.server.fails", timeout=30_000)
    assert page.locator("table.servers tbody tr").count() == 1
    row = page.locator("table.servers tbody tr").inner_text().split("\t")
    assert row[5:8] == ["4", "2", "30"]
    assert HOSTILE in row[12]
    assert page.title() == path.name
    assert complaints == []
    page.close()


def test_the_report_is_drawn_in_its_frame(browser, served):
    page, complaints = opened(browser, f"{served}run/0/report")
    frame = page.wait_for_selector("iframe", timeout=300_000).content_frame()
    frame.wait_for_selector("html[data-drawn=true]", timeout=120_000)
    assert frame.locator("svg, canvas").count() > 0
    assert frame.evaluate("window.origin") == "null"
    assert complaints == []
    page.close()


def test_another_page_of_this_machine_reads_nothing(browser, served, tmp_path):
    """Not even one that knows the whole address: neither by fetch, nor in a frame."""
    (tmp_path / "evil.html").write_text(
        f"<iframe src='{served}'></iframe><script>fetch('{served}').then(r => r.text()).then(t => {{"
        "document.title = t }}).catch(() => { document.title = 'refused' })</script>".replace("}}", "}"),
        encoding="utf-8",
    )
    command = [sys.executable, "-u", "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as evil:
        try:
            assert evil.stdout is not None
            port = evil.stdout.readline().split("port ")[1].split()[0]
            page = browser.new_page()
            page.goto(f"http://127.0.0.1:{port}/evil.html")
            page.wait_for_function("document.title === 'refused'")
            assert "Runs" not in " ".join(frame.content() for frame in page.frames)
            page.close()
        finally:
            evil.kill()
