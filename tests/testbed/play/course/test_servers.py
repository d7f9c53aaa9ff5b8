"""How servers are, as a run tells it: counted where they are asked, written for those who watch."""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from agents.models.adapters.cached import Cached
from agents.models.adapters.call_cache import CallCache
from agents.models.model import Message, ModelError, Request
from agents.models.served.http import outage
from agents.models.served.model import ServedModel
from testbed.config.reading.load import parse_study
from testbed.play.course import servers
from testbed.play.course.servers import ServerWatch
from testbed.records.side_files.status import read_status
from testbed.serving.fleet import NO_FLEET, Fleet
from testbed.studies.run import run_study
from tests.support.stub_server import Body, Reply, chat, move, says, stub_servers
from tests.support.studies import SMALL, Watcher

HELLO = Request((Message("user", "hello"),))


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr(outage, "backoff", lambda tries: 0.01)


async def connected(*urls: str) -> ServedModel:
    return await ServedModel.connect("m", urls, patience=5, timeout=5)


def test_answers_failures_and_pauses_are_counted_by_server(monkeypatch):
    replies = iter(
        [
            Reply(429, {"error": {"message": "slow down"}}, {"retry-after-ms": "20"}),
            Reply(500, {"error": {"message": "sk-live-0123456789abcdef broke"}}),
        ]
    )
    monkeypatch.setenv("OPENAI_API_KEY", "sk-live-0123456789abcdef")
    with stub_servers(lambda body: next(replies, (200, chat("hi")))) as [server]:

        async def ask() -> tuple[Any, Any]:
            model = await connected(f"{server.url}/v1")
            watch = ServerWatch([model, model], NO_FLEET)
            before = watch()
            await model.generate(HELLO)
            await model.close()
            return before, watch()

        before, after = anyio.run(ask)
    [state] = before.values()
    assert (state.model, state.state, state.answered, state.error) == ("m", "not asked", 0, "")
    [(url, state)] = after.items()
    assert url == f"{server.url}/v1"
    assert (state.state, state.answered, state.failed, state.paused) == ("answers", 1, 2, 1)
    assert state.paused_seconds == pytest.approx(0.02)
    assert (state.tokens, state.in_flight) == (3, 0)
    assert "answered 500" in state.error
    assert "0123456789abcdef" not in state.error
    assert state.error_at is not None
    assert (state.starts, state.restarts) == (None, None)


def test_requests_in_flight_are_seen_and_a_server_that_is_gone_fails():
    seen = []

    async def ask() -> None:
        with stub_servers(says("hi")) as [server]:
            model = await connected(f"{server.url}/v1")
            watch = ServerWatch([model], NO_FLEET)

            def look(body: Body) -> tuple[int, Any]:
                seen.append(next(iter(watch().values())).in_flight)
                return 200, chat("hi")

            server.answer = look
            async with anyio.create_task_group() as group:
                for _ in range(3):
                    group.start_soon(model.generate, HELLO)
        with anyio.move_on_after(1.0):
            await model.generate(HELLO)
        [state] = watch().values()
        assert state.state == "fails"
        assert state.failed > 0
        await model.close()

    anyio.run(ask)
    assert max(seen) > 1


def test_speed_is_that_of_the_last_half_minute(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(servers, "time", SimpleNamespace(monotonic=lambda: now[0]))
    health = SimpleNamespace(
        in_flight=0, answered=0, failed=0, paused=0, paused_seconds=0.0, written=0, error="", error_at=None, well=True
    )
    watch = ServerWatch([], NO_FLEET)
    speeds = []
    for second, tokens in zip(range(0, 100, 2), itertools.chain([0] * 25, itertools.repeat(20)), strict=False):
        now[0] = 100.0 + second
        health.written += tokens
        speeds.append(watch._state("m", "u", health).tokens_per_second)
    assert speeds[0] is None
    assert speeds[1] == speeds[24] == 0.0
    assert speeds[-1] == pytest.approx(10.0)


def test_a_fleet_tells_who_is_asleep_and_how_often_it_was_started():
    with stub_servers(says("hi"), says("hi")) as both:
        ports = [int(server.url.rpartition(":")[2]) for server in both]
        berths = {
            str(port): SimpleNamespace(
                launch=SimpleNamespace(port=port), awake=awake, starts=starts, restarts=starts - 1
            )
            for port, awake, starts in zip(ports, (True, False), (1, 3), strict=True)
        }

        async def look() -> Any:
            models = [await connected(f"http://127.0.0.1:{port}/v1") for port in ports]
            await models[0].generate(HELLO)
            found = ServerWatch(models, Fleet(berths, [], {}))()  # type: ignore[arg-type]
            for model in models:
                await model.close()
            return found

        states = list(anyio.run(look).values())
    assert [state.state for state in states] == ["answers", "asleep"]
    assert [(state.starts, state.restarts) for state in states] == [(1, 0), (3, 2)]


def test_two_models_at_one_address_are_two(tmp_path):
    listing = {"data": [{"id": "m"}, {"id": "n"}]}
    with stub_servers(says("hi"), listing=listing) as [server]:

        async def look() -> Any:
            models = [await ServedModel.connect(name, [f"{server.url}/v1"]) for name in "mn"]
            found = ServerWatch([models[0], Cached(models[1], CallCache(tmp_path / "calls.db"))], NO_FLEET)()
            for model in models:
                await model.close()
            return found

        found = anyio.run(look)
    assert {key.rpartition(" ")[2]: state.model for key, state in found.items()} == {"m": "m", "n": "n"}


def test_a_run_tells_how_its_servers_were(tmp_path):
    dice = itertools.count()

    def answer(body: Body) -> Any:
        return Reply(503, {}) if next(dice) % 7 == 6 else move(body) if "response_format" in body else (200, chat("hm"))

    with stub_servers(answer) as [server]:
        agent = {"name": "a", "model": "m", "base_url": [f"{server.url}/v1"]}
        config = parse_study({**SMALL, "agents": [agent], "tasks": SMALL["tasks"][:1], "learning_runs": 1}, "test")
        run = anyio.run(run_study, config, tmp_path, Watcher()).run
        asked = len(server.seen)
    status = read_status(run.path)
    assert status is not None
    [(url, state)] = status.servers.items()
    assert (url, state.model, state.state) == (f"{server.url}/v1", "m", "answers")
    assert state.failed > 0
    assert state.answered + state.failed == asked
    assert "503" in state.error


def test_a_refused_prompt_is_no_failure_of_the_server():
    with stub_servers(lambda body: (400, {"error": {"message": "content filter", "code": "content_filter"}})) as [
        server
    ]:

        async def ask() -> Any:
            model = await connected(f"{server.url}/v1")
            with pytest.raises(ModelError):
                await model.generate(HELLO)
            await model.close()
            return ServerWatch([model], NO_FLEET)()

        [state] = anyio.run(ask).values()
    assert (state.failed, state.in_flight) == (0, 0)
