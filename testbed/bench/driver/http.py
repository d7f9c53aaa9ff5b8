"""Decision steps per second over HTTP from one process, and how they grow with servers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from agents.models.model import Message, Request, Sampling
from agents.models.served.model import ServedModel
from agents.prompts import conversation
from environments.grammar import Regex
from testbed.bench.driver.games import RANDOM, play, study

MOVE = Regex(r"\[[1-6]( [1-6]){3}\]")
CALLS = 400
SLOTS, SECONDS = 4, 0.2
"""Of each server where several are compared: it answers four questions at once, each in a fifth of a second."""
PER_SERVER = 8
"""Episodes for each of these servers, all in flight."""


@dataclass(frozen=True)
class HttpBench:
    """What `bench_http` found. CPU is that of the process that drives, not of the servers."""

    episodes: int
    steps: int
    in_flight: int
    load: float
    """Processes that wanted a processor just before, ours not among them."""
    steps_per_second: float
    cpu_ms_per_step: float
    scripted_cpu_ms_per_step: float
    """The same game in this process with a scripted player: everything but the server."""
    cpu_ms_per_call: float
    httpx_cpu_ms_per_call: float
    """The baseline: the same questions by httpx, as many at once."""
    ratio: float
    equal: bool
    """Whether both were given the same answers."""
    steps_per_second_by_servers: Mapping[int, float]
    """Of servers that take their time, so that they, not this process, are the limit."""
    scaling: Mapping[int, float]
    """By k servers: steps per second of k by k times those of one."""


def bench_http(
    folder: Path, *, episodes: int = 1000, in_flight: int = 64, servers: Sequence[int] = (1, 2, 4)
) -> HttpBench:
    """Play games of Mastermind over HTTP; ask as many questions by our client and by httpx; play at several servers."""
    load = os.getloadavg()[0]
    with stub_servers(1) as urls:
        play(folder / "warm", study(served(urls), in_flight, in_flight))
        clock, _ = play(folder / "http", study(served(urls), episodes, in_flight))
        ours, our_answers = asyncio.run(_timed(_by_our_client(urls[0]), in_flight))
        theirs, their_answers = asyncio.run(_timed(_by_httpx(urls[0]), in_flight))
    scripted, _ = play(folder / "scripted", study(RANDOM, episodes, in_flight))
    rates: dict[int, float] = {}
    for count in servers:
        with stub_servers(count, SLOTS, SECONDS) as urls:
            games = PER_SERVER * count
            slow, _ = play(folder / f"servers {count}", study(served(urls), games, games))
            rates[count] = slow.steps / slow.seconds
    one = rates[servers[0]] / servers[0]
    return HttpBench(
        episodes=clock.episodes,
        steps=clock.steps,
        in_flight=in_flight,
        load=load,
        steps_per_second=clock.steps / clock.seconds,
        cpu_ms_per_step=1000 * clock.processor / clock.steps,
        scripted_cpu_ms_per_step=1000 * scripted.processor / scripted.steps,
        cpu_ms_per_call=1000 * ours,
        httpx_cpu_ms_per_call=1000 * theirs,
        ratio=theirs / ours,
        equal=our_answers == their_answers,
        steps_per_second_by_servers=rates,
        scaling={count: rate / (count * one) for count, rate in rates.items()},
    )


@contextmanager
def stub_servers(count: int, slots: int = 0, seconds: float = 0.0) -> Generator[list[str]]:
    """The addresses of as many servers in one process of their own: each answers `slots` questions at once, each in
    `seconds`; without slots it answers at once."""
    script = Path(__file__).with_name("stub_server.py")
    command = [sys.executable, str(script), str(count), str(slots), str(seconds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield [f"http://127.0.0.1:{port}/v1" for port in process.stdout.readline().split()]
        finally:
            process.stdin.close()


def served(urls: Sequence[str]) -> dict[str, Any]:
    """The keys of an agent that plays by these servers."""
    return {"model": "stub", "base_url": list(urls)}


Asking = Callable[[tuple[Message, ...]], Awaitable[str]]


async def _timed(
    asking: Awaitable[tuple[Asking, Callable[[], Awaitable[None]]]], at_once: int
) -> tuple[float, list[str]]:
    """CPU seconds a question, and the answers; each question is a game of Mastermind, ten rounds old."""
    ask, close = await asking
    prompts = [
        conversation("rules " * 150, "", [(f"observation {number} " * 4, "[1 2 3 4]")] * 10, "What next?")
        for number in range(CALLS)
    ]
    waiting = iter(enumerate(prompts))
    answers = [""] * CALLS

    async def work() -> None:
        for number, prompt in waiting:
            answers[number] = await ask(prompt)

    await asyncio.gather(*(ask(prompts[0]) for _ in range(at_once)))  # connections are opened
    start = time.process_time()
    await asyncio.gather(*(work() for _ in range(at_once)))
    seconds = time.process_time() - start
    await close()
    return seconds / CALLS, answers


async def _by_our_client(url: str) -> tuple[Asking, Callable[[], Awaitable[None]]]:
    model = await ServedModel.connect("stub", [url])

    async def ask(prompt: tuple[Message, ...]) -> str:
        return (await model.generate(Request(prompt, MOVE, Sampling()))).text

    return ask, model.close


async def _by_httpx(url: str) -> tuple[Asking, Callable[[], Awaitable[None]]]:
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60.0, trust_env=False)

    async def ask(prompt: tuple[Message, ...]) -> str:
        body = {"model": "stub", "messages": [message._asdict() for message in prompt], "max_tokens": 32}
        answer = (await client.post(f"{url}/chat/completions", json=body)).json()
        text: str = answer["choices"][0]["message"]["content"]
        return text.removeprefix('{"answer": "').removesuffix('"}')

    return ask, client.aclose
