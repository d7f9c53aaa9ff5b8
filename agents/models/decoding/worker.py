"""The thread in which a device's in-process models compute, turn by turn: two at once would fight for its cores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import ClassVar, Protocol, TypeVar

from agents.models.decoding.sequence import TokenSequence

T = TypeVar("T")


class Writer(Protocol):
    """Something that writes sequences a pass at a time. What goes wrong goes to their futures."""

    @property
    def busy(self) -> bool: ...

    @property
    def memory(self) -> int:
        """Bytes of what is remembered from call to call."""
        ...

    def add(self, sequence: TokenSequence) -> None: ...

    def step(self) -> None: ...

    def fail(self, error: Exception) -> None: ...

    def release(self, session: str) -> None:
        """This conversation will not be continued."""
        ...

    def forget(self) -> None:
        """Give all memory back, unless something is being written."""
        ...


class Worker:
    """Runs calls in order of arrival and, while there is something to write, a pass of each writer in between."""

    _of: ClassVar[dict[str, Worker]] = {}
    _lock: ClassVar = threading.Lock()

    @classmethod
    def join(cls, device: str, writer: Writer) -> Worker:
        """The device's worker, started when its first model comes, with one more writer in its care."""
        with cls._lock:
            worker = cls._of.get(device)
            if worker is None:
                worker = cls._of[device] = cls(device)
            worker._members += 1
        worker.call(lambda: worker._writers.append(writer))
        return worker

    def __init__(self, device: str) -> None:
        self._device = device
        self._members = 0
        self._writers: list[Writer] = []
        self._calls: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"models on {device}", daemon=True)
        self._thread.start()

    def call(self, function: Callable[[], T]) -> Future[T]:
        """Have `function` run in the thread."""
        future: Future[T] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        self._calls.put(run)
        return future

    def leave(self, writer: Writer, error: Exception) -> None:
        """Take a writer away; what it still had to write fails with `error`. The last one to leave ends the thread."""

        def remove() -> None:
            writer.fail(error)
            self._writers.remove(writer)

        self.call(remove).result()
        with self._lock:
            self._members -= 1
            if self._members:
                return
            del self._of[self._device]
        self._calls.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            busy = any(writer.busy for writer in self._writers)
            while not busy or not self._calls.empty():
                call = self._calls.get()
                if call is None:
                    return
                call()
                busy = any(writer.busy for writer in self._writers)
            for writer in self._writers:
                if writer.busy:
                    writer.step()
