"""`EpisodeProgress`: a study on its way, as a bar."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from testbed.cli.terminal import Terminal, plain

if TYPE_CHECKING:
    from testbed.records.trial import Episode

EXCHANGE = "exchange"
"""Who thinks when a population exchanges skills: no learner."""


class EpisodeProgress:
    """A bar over the whole study: its episodes, and its learners' steps between them, each one part of it.

    The time left is that of the parts still to come, at the pace of those done since this process began.
    """

    def __init__(self, console: Terminal, learning: int, evaluation: int, steps: int) -> None:
        """Episodes to learn from and to evaluate by, and `steps` (iterations of all learners), of the whole study."""
        episodes = learning + evaluation
        self.finished = 0
        self._failed: set[str] = set()
        self._thinking = Counter[str]()
        self._steps = 0.0
        self._steps_an_episode = steps / max(1, learning)
        self._latest: deque[float] = deque(maxlen=50)
        self._phase = "starting"
        self._began: float | None = None
        self._before = 0.0
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}/{task.fields[episodes]} episodes · elapsed"),
            TimeElapsedColumn(),
            TextColumn("· left {task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task("starting", total=episodes + steps, episodes=episodes, done=0, left="?")
        self._total = episodes + steps
        self._above = _Above(console)

    def __enter__(self) -> EpisodeProgress:
        self._bar.start()
        logging.getLogger().addHandler(self._above)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self._above)
        self._bar.stop()

    @property
    def failed(self) -> int:
        """Episodes that failed and have not been made good."""
        return len(self._failed)

    def advance(self, episode: Episode) -> None:
        self._phase = episode.trial.phase
        if episode.error is None:
            self.finished += 1
            if self._began is None and self._phase == "learn":
                self._steps += self._steps_an_episode
            self._failed.discard(episode.trial.id)
            self._latest.append(episode.trajectory.total)
        else:
            self._failed.add(episode.trial.id)
        self._show()

    def begins(self) -> None:
        self._began, self._before = time.monotonic(), self.finished + self._steps
        self._show()

    def thinks(self, who: str) -> None:
        self._thinking[who] += 1
        self._show()

    def thought(self, who: str) -> None:
        self._thinking[who] -= 1
        self._steps += who != EXCHANGE
        self._show()

    def _show(self) -> None:
        mean = f" · mean return {sum(self._latest) / len(self._latest):.2f}" if self._latest else ""
        thinking = self._thinking.total()
        thoughts = f" · {thinking} thinking" if thinking else ""
        failures = f" · {self.failed} failed" if self.failed else ""
        self._bar.update(
            self._task,
            completed=self.finished + self._steps,
            done=self.finished,
            left=self._left(),
            description=f"{self._phase:8}{mean}{thoughts}{failures}",
        )

    def _left(self) -> str:
        done = self.finished + self._steps - self._before
        if self._began is None or not done:
            return "?"
        to_come = max(0.0, self._total - self.finished - self._steps)
        return str(timedelta(seconds=round((time.monotonic() - self._began) / done * to_come)))


class _Above(logging.Handler):
    """Warnings, in lines above the bar."""

    def __init__(self, console: Terminal) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(plain(record.getMessage(), "yellow"), soft_wrap=True)
