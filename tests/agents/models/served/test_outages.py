"""Servers that are away for a while, slow, or gone: waited for within patience, and no longer."""

from __future__ import annotations

import asyncio
import itertools
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from agents.models.model import Message, ModelError, ModelUnavailable, PromptRefused, Request
from agents.models.served.http import outage
from agents.models.served.http.retry_after import read_retry_after
from agents.models.served.model import ServedModel
from tests.support.stub_server import Answer, Body, Reply, StubServer, chat, says, stub_servers

ASK = Request((Message("user", "hello"),))
BUSY = {"error": {"message": "overloaded"}}


def ask(urls: list[str], requests: int = 1, session: Callable[[int], str] = lambda i: "", **options: Any) -> list[Any]:
    """Connect, send the requests at once, and give back their answers or errors."""

    async def go() -> list[Any]:
        model = await ServedModel.connect("m", urls, **({"patience": 0.0, "timeout": 5.0} | options))
        try:
            asked = (model.generate(Request(ASK.messages, session=session(i))) for i in range(requests))
            return list(await asyncio.gather(*asked, return_exceptions=True))
        finally:
            await model.close()

    return asyncio.run(go())


@pytest.fixture
def hurried(monkeypatch):
    """Between two tries next to no time passes, beside what servers ask for."""
    monkeypatch.setattr(outage, "backoff", lambda tries: random.uniform(0, 0.05))


def first(answers: list[Any], then: Answer) -> Answer:
    """These answers first, one a request, and then others."""
    waiting = iter(answers)
    lock = threading.Lock()

    def answer(body: Body) -> Any:
        with lock:
            now = next(waiting, None)
        return then(body) if now is None else now

    return answer


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "NaN"}, None),
        ({"retry-after": "Wed, 99 Foo 2026"}, None),
        ({}, None),
    ],
)
def test_retry_after_in_seconds(said: dict[str, str], seconds: float | None):
    assert read_retry_after(said, datetime.now(UTC)) == seconds


def test_retry_after_as_a_date():
    now = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
    for moved, seconds in ((30, 30.0), (-30, 0.0)):
        date = format_datetime(now + timedelta(seconds=moved), usegmt=True)
        assert read_retry_after({"retry-after": date}, now) == seconds
    assert read_retry_after({"retry-after": "Wed, 25 Nov 2026 12:00:07 -0000"}, now) == 7.0


def test_a_server_is_left_alone_for_as_long_as_it_asks():
    """Also by those who come later: nobody asks again within the time, then all are answered."""
    asked: list[float] = []

    def answer(body: Body) -> Reply:
        asked.append(time.monotonic())
        limited = asked[-1] - asked[0] < 1.0
        return Reply(429, BUSY, {"Retry-After": "1"}) if limited else Reply(200, chat("hi"))

    with stub_servers(answer) as [server]:
        answers = ask([server.url], 8, patience=30.0)
    assert [completion.text for completion in answers] == ["hi"] * 8
    early = [moment - asked[0] for moment in asked if moment - asked[0] < 1.0]
    assert len(early) <= 8  # the first of each, and no more


def test_patience_ends_before_a_pause_that_is_longer():
    with stub_servers(lambda body: Reply(429, BUSY, {"Retry-After": "3600"})) as [server]:
        [error] = ask([server.url], patience=5.0)
        assert isinstance(error, ModelUnavailable)
        assert "429 (overloaded)" in str(error)
        assert len(server.seen) == 1


@pytest.mark.parametrize(
    "failure", [(429, BUSY), (500, BUSY), (503, b"<html>"), (529, BUSY), (0, None), (200, {"error": {"code": 429}})]
)
@pytest.mark.usefixtures("hurried")
def test_outages_of_every_kind_are_waited_out(failure: Any):
    with stub_servers(first([failure] * 3, says("back"))) as [server]:
        assert ask([server.url], patience=60.0)[0].text == "back"
        assert len(server.seen) == 4


def test_a_server_that_is_started_again_is_found_again():
    """Connection refused, as while vLLM restarts."""
    with stub_servers(says("one")) as [server]:
        port = server.http.server_port

        async def go() -> list[str]:
            model = await ServedModel.connect("m", [server.url], patience=60.0)
            texts = [(await model.generate(ASK)).text]
            server.stop()
            asking = asyncio.ensure_future(model.generate(ASK))
            await asyncio.sleep(0.3)
            assert not asking.done()
            again = StubServer(says("two"), port=port)
            try:
                texts.append((await asking).text)
            finally:
                await model.close()
                again.stop()
            return texts

        assert asyncio.run(go()) == ["one", "two"]


def test_an_outage_has_one_clock_for_all():
    """Who comes when it is older than anybody's patience does not wait for as long again."""
    with stub_servers(lambda body: (503, BUSY)) as [server]:

        async def go() -> int:
            model = await ServedModel.connect("m", [server.url], patience=1.0)
            with pytest.raises(ModelUnavailable):
                await model.generate(ASK)
            await asyncio.sleep(1.0)
            before = len(server.seen)
            with pytest.raises(ModelUnavailable):
                await model.generate(ASK)
            await model.close()
            return len(server.seen) - before

        assert asyncio.run(go()) == 1


@pytest.mark.usefixtures("hurried")
def test_a_request_that_alone_is_answered_500_is_its_own_fault():
    def answer(body: Body) -> Any:
        return (500, {"error": {"message": "boom"}}) if body["messages"][0]["content"] == "bad" else (200, chat("fine"))

    async def go(url: str) -> Any:
        model = await ServedModel.connect("m", [url], patience=1.0)

        async def others() -> None:
            while True:
                await model.generate(ASK)
                await asyncio.sleep(0.05)

        company = asyncio.ensure_future(others())
        try:
            return await model.generate(Request((Message("user", "bad"),)))
        finally:
            company.cancel()
            await model.close()

    with stub_servers(answer) as [server], pytest.raises(PromptRefused, match="at this request, and at no other"):
        asyncio.run(go(server.url))


def test_silence_is_asked_about_once_and_not_five_times():
    """A live server that is too slow: the request is sent twice, and the sentence says what to raise."""

    def stall(body: Body) -> Any:
        time.sleep(1.0)
        return 200, chat("too late")

    with stub_servers(stall) as [server]:
        [error] = ask([server.url], timeout=0.2, patience=60.0)
        assert isinstance(error, ModelUnavailable)
        assert "is up but did not answer in time" in str(error)
        assert "timeout" in str(error)
        assert len(server.seen) == 2


def test_a_server_that_hangs_whole_is_waited_for_without_being_asked_for_answers():
    awake = threading.Event()

    def hang(body: Body) -> Any:
        if not awake.wait(0.6):
            return 200, chat("lost")
        return 200, chat("back")

    def listing() -> Any:
        awake.wait(0.6)
        return {"data": [{"id": "m"}]}

    with stub_servers(hang) as [server]:

        async def go() -> Any:
            model = await ServedModel.connect("m", [server.url], timeout=0.2, patience=60.0)
            server.listing = listing
            asking = asyncio.ensure_future(model.generate(ASK))
            await asyncio.sleep(2.0)
            sent = len(server.seen)
            awake.set()
            try:
                return (await asking).text, sent
            finally:
                await model.close()

        assert asyncio.run(go()) == ("back", 1)


def test_a_drip_has_a_deadline():
    def drip() -> Iterator[bytes]:
        for _ in itertools.count():
            time.sleep(0.05)
            yield b" "

    with stub_servers(lambda body: Reply(200, drip())) as [server]:
        [error] = ask([server.url], timeout=0.3)
    assert isinstance(error, ModelUnavailable)
    assert "did not answer in time" in str(error)


def test_a_listing_that_hangs_is_not_waited_for():
    def listing() -> Any:
        time.sleep(1.0)
        return {}

    with stub_servers(says("x"), listing=listing) as [server], pytest.raises(ModelUnavailable, match="in time"):
        ask([server.url], timeout=0.2, patience=60.0)


@pytest.mark.usefixtures("hurried")
def test_a_server_that_is_still_loading_is_waited_for():
    answers = iter([Reply(503, {"error": "loading model"})] * 2)
    listing = lambda: next(answers, {"data": [{"id": "m"}]})  # noqa: E731
    with stub_servers(says("ready"), listing=listing) as [server]:
        assert ask([server.url], patience=60.0)[0].text == "ready"


def test_of_two_servers_one_that_hangs_costs_one_silence():
    hung: list[float] = []
    release = threading.Event()

    def hang(body: Body) -> Any:
        hung.append(time.monotonic())
        release.wait(10)
        return 200, chat("never")

    with stub_servers(hang, says("two")) as servers:

        async def go() -> list[str]:
            urls = [server.url for server in servers]
            model = await ServedModel.connect("m", urls, timeout=0.5, patience=60.0)
            texts = [(await model.generate(ASK)).text for _ in range(20)]
            await model.close()
            return texts

        try:
            assert asyncio.run(go()) == ["two"] * 20
        finally:
            release.set()
    assert len(hung) == 1


@pytest.mark.usefixtures("hurried")
def test_a_run_of_outages_loses_nothing():
    """Every second request fails in one of five ways, at random places of 200."""
    ways: list[Any] = [(500, BUSY), (503, BUSY), (0, None), Reply(429, BUSY, {"retry-after-ms": "5"}), (200, b"<")]
    calls = itertools.count()

    def answer(body: Body) -> Any:
        call = next(calls)
        return ways[call // 2 % 5] if call * 7919 % 4 < 2 else (200, chat(body["messages"][0]["content"]))

    with stub_servers(answer) as [server]:
        texts = [completion.text for completion in ask([server.url], 200, patience=120.0)]
    assert texts == ["hello"] * 200


def test_nobody_at_home_is_said_at_once():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(ModelUnavailable, match=r"m does not answer: http://127.0.0.1:\d+/v1 cannot be reached"):
            ask([url], patience=600.0)


def test_what_is_no_fault_of_the_server_is_not_asked_again():
    with stub_servers(lambda body: (400, {"error": {"message": "no"}})) as [server]:
        [error] = ask([server.url], patience=60.0)
        assert isinstance(error, ModelError)
        assert not isinstance(error, ModelUnavailable)
        assert len(server.seen) == 1
