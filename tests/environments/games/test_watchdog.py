"""So many seconds for each answer, and no alarm afterwards."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import replace

import pytest

from environments.games.watchdog import TooLate, Watched, listen, watch
from environments.registry import ENVIRONMENTS

COIN = ENVIRONMENTS["Lever-v0"]


def sleep() -> None:
    time.sleep(30)


def spin() -> None:
    while True:
        pass


def deadlock() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def swallow() -> None:
    """A game that takes every exception for its own."""
    for _ in range(2):
        try:
            time.sleep(30)
        except Exception:
            continue
    time.sleep(30)


@pytest.mark.parametrize("hang", [sleep, spin, deadlock, swallow])
def test_whatever_hangs_is_interrupted(hang):
    listen()
    began = time.monotonic()
    with pytest.raises(TooLate, match=r"^it did not answer within 0\.2 s$"), watch("it", 0.2):
        hang()
    assert time.monotonic() - began < 15
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_answer_in_time_is_left_alone():
    listen()
    with watch("it", 0.2):
        time.sleep(0.01)
    time.sleep(0.3)


def test_who_asked_first_is_watched_on_after_an_answer_within():
    def asks_another() -> None:
        with watch("the inner", 5.0):
            time.sleep(0.01)
        time.sleep(15)

    listen()
    began = time.monotonic()
    with pytest.raises(TooLate, match=r"^the outer did not answer within 0\.3 s$"), watch("the outer", 0.3):
        asks_another()
    assert time.monotonic() - began < 15


def test_another_thread_is_not_watched():
    done: list[bool] = []

    def work() -> None:
        with watch("it", 0.05):
            time.sleep(0.2)
        done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]


def test_making_an_environment_is_watched_too():
    with pytest.raises(TooLate, match=r"Lever-v0: make\(\) did not answer"):
        Watched(replace(COIN, make=sleep, patience=0.2))


def test_a_watched_environment_plays_like_the_bare_one():
    said = []
    for env in (COIN.make(), Watched(COIN)):
        env.reset(seed=4)
        row = []
        for seat in env.agent_iter():
            observation, reward, terminated, _, info = env.last()
            row.append((seat, observation, reward, info["invalid"]))
            env.step(None if terminated else "[C]")
        said.append(row)
    assert said[0] == said[1]
    assert len(said[0]) == 6
