"""The page: who may read it, and what it shows, by Starlette's client and a real server."""

from __future__ import annotations

import json
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from starlette.testclient import TestClient

from testbed.records.side_files.status import ServerState, write_status
from testbed.view.access import PAGE, new_token
from testbed.view.app import make_app
from testbed.view.pages import render, visible
from testbed.view.watched import Watched
from tests.testbed.view.test_watched import status

PORT = 8123
TOKEN = new_token()
HOST = f"http://127.0.0.1:{PORT}"
HOSTILE = "</td><script>document.title='owned'</script><img src=x onerror=alert(1)> \x1b[31m \u202e {{ 7 * 7 }}"


@pytest.fixture(scope="module")
def finished(study, run_in, tmp_path_factory):
    learning = {"iterations": 2, "episodes": 3, "learner": "nppo", "choices": {"batch": 2}}
    return run_in(tmp_path_factory.mktemp("runs"), study(learning_runs=1, learning=learning))


@pytest.fixture
def path(finished, tmp_path) -> Path:
    """A copy: what is written into it is gone with the test."""
    return Path(shutil.copytree(finished.path, tmp_path / "run"))


@pytest.fixture
def client(path, tmp_path) -> Iterator[TestClient]:
    app = make_app([Watched(path)], TOKEN, PORT, tmp_path / "reports")
    with TestClient(app, base_url=f"{HOST}/{TOKEN}/") as client:
        yield client


def test_the_page_of_a_run_shows_cells_accounts_episodes_and_skills(client, finished):
    text = client.get("run/0").text
    assert re.search(r">finished</strong>\s+88 of 88 episodes", text)
    assert (
        text.count("<progress") == 1 + 4 + 5 * 4 + 4 * 3
    )  # its state, learning, five arms, four sources in three other places
    assert "opponent:scripted:random" in text
    episode = next(each for each in finished.episodes() if each.trial.arm == "self")
    page = client.get("run/0/episode", params={"id": episode.trial.id[:10]}).text
    assert str(visible(episode.trajectory.steps[0].action)) in page
    skills = client.get("run/0/skills").text
    assert skills.count("<summary>") == 4
    assert "born 0" in skills
    assert "run" in client.get("").text


def test_what_is_not_there_is_404(client):
    for place in ("run/1", "run/0/episode?id=zz", "run/0/episode?id=", "run/0/report.html", "nothing", "static/none"):
        assert client.get(place).status_code == 404
    assert client.get("static/../app.py").status_code == 404
    assert client.get("static/%2e%2e/app.py").status_code == 404


def test_without_the_token_nothing_is_said(client):
    for place in ("/", "/run/0", f"/{TOKEN[:-1]}/run/0", f"/{TOKEN}x/", "/static/view.js", f"//{TOKEN}/", "/%00/"):
        answer = client.get(f"{HOST}{place}")
        assert (answer.status_code, len(answer.text.splitlines())) == (401, 1)
    assert len({new_token() for _ in range(9)}) == 9
    assert len(TOKEN) >= 43


@pytest.mark.parametrize(
    "headers",
    [
        {"host": f"rebound.example:{PORT}"},
        {"host": "127.0.0.1:1"},
        {"host": ""},
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": f"http://127.0.0.1:{PORT + 1}"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_host_or_origin_is_refused(client, headers):
    """Also with the right token: another port of 127.0.0.1 is another origin, though of the same site."""
    for place in ("", "run/0", "run/0/looks", "static/view.js"):
        assert client.get(place, headers=headers).status_code == 403
    same = {"origin": HOST, "sec-fetch-site": "same-origin"}
    assert client.get("run/0", headers=same).status_code == 200


def test_nothing_can_be_changed_and_nothing_is_kept(client):
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        assert client.request(method, "run/0").status_code == 405
    answer = client.get("run/0")
    assert answer.headers["content-security-policy"] == PAGE
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert "access-control-allow-origin" not in answer.headers
    assert "set-cookie" not in answer.headers
    for place in ("", "run/0", "run/0/skills"):
        assert not re.search(r"<script(?! src)|\son\w+=|style=|javascript:", client.get(place).text)


def test_text_of_others_is_shown_and_never_obeyed(client, path):
    server = ServerState(model="m", state="answers", error=HOSTILE)
    write_status(path, status(state="stopped", why=HOSTILE, servers={HOSTILE: server}))
    lines = (path / "episodes.jsonl").read_bytes().splitlines()
    failed = lines[0].replace(b'"error":null', b'"error":' + json.dumps(HOSTILE).encode())
    with (path / "episodes.jsonl").open("ab") as stream:
        stream.write(failed + b"\n")
    text = client.get("run/0").text
    assert "<img" not in text
    assert "<script>" not in text
    assert text.count("&lt;script&gt;document.title=") == 5
    assert "\\x1b[31m \\u202e {{ 7 * 7 }}" in text
    assert "\x1b" not in text
    assert "\u202e" not in text
    problem = render("problem.html.j2", "", sentence=HOSTILE)
    assert "<script>" not in problem


def test_a_run_that_goes_away_is_a_sentence(client, path):
    shutil.rmtree(path)
    assert client.get("run/0/skills").status_code in (200, 500)
    assert "Traceback" not in client.get("run/0").text


def test_the_report_of_what_is_there_is_written_beside_the_run(client, path):
    """In a process of its own, and shown in a frame that can lead nowhere."""
    before = sorted(each.name for each in path.iterdir())
    assert "is being written" in client.get("run/0/report").text
    deadline = time.monotonic() + 300
    while "is being written" in (page := client.get("run/0/report").text):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert "From 88 of 88 episodes." in page
    assert 'sandbox="allow-scripts"' in page
    report = client.get("run/0/report.html", headers={"sec-fetch-dest": "iframe"})
    assert report.status_code == 200
    assert report.headers["content-security-policy"].startswith("sandbox allow-scripts; default-src 'none'")
    assert client.get("run/0/report.html", headers={"sec-fetch-dest": "document"}).status_code == 403
    assert sorted(each.name for each in path.iterdir()) == before


def test_no_extra_is_one_sentence(sentence, path, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "pip install 'procmem[view]'" in sentence("view", path)


def test_a_port_that_is_taken_is_one_sentence(sentence, path, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert "choose another --port" in sentence("view", path, "--port", taken.getsockname()[1])
    assert "not a run directory" in sentence("view", tmp_path)


def test_the_real_command_serves_looks_on_loopback_alone(served, path):
    """Server-sent events: a look at once, and another one when the run says something else."""
    with httpx.stream("GET", f"{served}run/0/looks", timeout=30) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = stream.iter_lines()
        assert next(lines) == "event: look"
        assert "finished" in next(lines)
        write_status(path, status(state="stopped", why="the power went"))
        assert any("the power went" in line for line in lines)
    port = int(served.split(":")[2].split("/")[0])
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)} - {"127.0.0.1"}
    for address in others:
        with socket.socket() as stranger:
            stranger.settimeout(2)
            assert stranger.connect_ex((address, port)) != 0
    assert httpx.get(served.rsplit("/", 2)[0] + "/", timeout=30).status_code == 401
