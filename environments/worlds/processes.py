"""`GameProcesses`: games that live in processes of their own, because they crash, hang, or cannot bear threads.

Each runs `answering.py` with an engine, and speaks JSON lines: a request comes in on its standard input, an answer goes
out on its standard output, `{"error": "…"}` where something went wrong. It ends when its input does, whatever ended us.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from environments.games.game import GameError

LONGEST_SILENCE = 60.0
"""Seconds after which a game that has not answered is given up. A step takes milliseconds, a start under load some
seconds."""
MOST_GAMES = 50
"""Games after which a process is replaced: libraries remember more with each (TextWorld 1 MB)."""
_ANSWERING = Path(__file__).with_name("answering.py")
_CHUNK = 1 << 16


class GameProcess:
    """One process, which plays one game at a time. Not for two threads at once."""

    def __init__(self, engine: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_ANSWERING), str(engine)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # a Ctrl-C is ours to understand
            env={**os.environ, "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        )
        self._buffer = b""
        self.games = 0
        """How many it has been lent for."""

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request. Raises GameError, and is of no more use, where there is none or it is an error."""
        try:
            answer = self._answer(json.dumps(request).encode() + b"\n")
        except BaseException:
            self.end()
            raise
        if "error" in answer:
            self.end()
            raise GameError(str(answer["error"]))
        return answer

    def _answer(self, request: bytes) -> dict[str, Any]:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        with contextlib.suppress(BrokenPipeError):  # then the answer says how it ended
            stdin.write(request)
        last = time.monotonic() + LONGEST_SILENCE
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        while b"\n" not in self._buffer:
            if not poll.poll(max(0.0, last - time.monotonic()) * 1000):
                raise GameError(f"it did not answer within {LONGEST_SILENCE:g} s")
            chunk = os.read(stdout.fileno(), _CHUNK)
            if not chunk:
                raise GameError(f"its process {how_it_ended(self._process.wait())}")
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def end(self) -> None:
        """Kill the process and wait for it."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


class GameProcesses:
    """All processes of one engine: started when needed, used again for the next game, ended when Python ends."""

    def __init__(self, engine: Path) -> None:
        self._engine = engine
        self._idle: deque[GameProcess] = deque()
        self._started: weakref.WeakSet[GameProcess] = weakref.WeakSet()
        self._lock = threading.Lock()
        atexit.register(self.end)

    def lend(self, game: object) -> tuple[GameProcess, Callable[[], object]]:
        """A process for as long as `game` exists, and what gives it back earlier."""
        process = self._next()
        process.games += 1
        return process, weakref.finalize(game, self._take_back, process)

    @property
    def running(self) -> list[int]:
        """Process ids, of games under way and idle ones."""
        return sorted(process.pid for process in self._known() if process.alive)

    def _known(self) -> list[GameProcess]:
        with self._lock:  # others may be starting more
            return list(self._started)

    def _next(self) -> GameProcess:
        while True:
            try:
                process = self._idle.pop()
            except IndexError:
                process = GameProcess(self._engine)
                with self._lock:
                    self._started.add(process)
                return process
            if process.alive:
                return process
            process.end()

    def _take_back(self, process: GameProcess) -> None:
        if process.games >= MOST_GAMES:
            process.end()
        elif process.alive:
            self._idle.append(process)

    def end(self) -> None:
        """End all of them, whoever plays there."""
        for process in self._known():
            process.end()
        self._idle.clear()


def how_it_ended(code: int) -> str:
    """Of a process with that exit code, as the rest of a sentence."""
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
