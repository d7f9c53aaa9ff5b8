"""`EpisodeProgress`: a study on its way, as a bar."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from testbed.cli.terminal import Terminal, plain
from testbed.play.course.pace import Left, Pace, kind_of, kind_of_thought

if TYPE_CHECKING:
    from agents.models.adapters.metered import Charge
    from testbed.records.trial import Episode, Trial

OFTEN = 0.1
"""Seconds from one time that the bar is told of answers to the next."""


class EpisodeProgress:
    """A bar over the whole study: its episodes, and its learners' steps between them, each one part of it.

    It moves while learners think: by their models' answers, by the likelihoods that are computed, and by the time that
    such a step has taken so far.
    """

    def __init__(self, console: Terminal, learning: int, evaluation: int, steps: int, influence: int = 0) -> None:
        """Episodes to learn from and to evaluate by, `steps` (iterations of all learners), and cells whose memories'
        influence is measured, of the whole study."""
        self.finished = 0
        self._failed: set[str] = set()
        self._thinking: Counter[str] = Counter()
        self._thoughts: Counter[str] = Counter()
        self._answers = 0
        self._scoring = ""
        self._pace = Pace(learning, evaluation, steps, influence)
        self._latest: deque[float] = deque(maxlen=50)
        self._phase = "starting"
        self._shown = 0.0
        episodes = learning + evaluation
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[done]}/{task.fields[episodes]} episodes · elapsed"),
            TimeElapsedColumn(),
            TextColumn("· left {task.fields[left]}"),
            console=console,
        )
        self._task = self._bar.add_task(
            "starting", total=episodes + steps + influence, episodes=episodes, done=0, left="?"
        )
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

    def starts(self, trial: Trial) -> None:
        self._pace.starts(kind_of(trial.phase), trial.id)

    def advance(self, episode: Episode) -> None:
        self._phase = episode.trial.phase
        good = episode.error is None
        self._pace.ends(kind_of(episode.trial.phase), episode.trial.id, good=good)
        if good:
            self.finished += 1
            self._failed.discard(episode.trial.id)
            self._latest.append(episode.trajectory.total)
        else:
            self._failed.add(episode.trial.id)
        self._show()

    def begins(self) -> None:
        self._pace.begins()
        self._show()

    def thinks(self, who: str) -> None:
        if not self._thinking.total():
            self._answers = 0
        self._thinking[who] += 1
        if kind := kind_of_thought(who):
            self._pace.starts(kind, (who, self._thoughts[who] + self._thinking[who]))
        self._show()

    def thought(self, who: str) -> None:
        self._thinking[who] -= 1
        self._thoughts[who] += 1
        if kind := kind_of_thought(who):
            self._pace.ends(kind, (who, self._thoughts[who]))
        self._scoring = ""
        self._show()

    def charged(self, charge: Charge) -> None:
        self._answers += charge.use in ("learn", "exchange")
        self._show_soon()

    def scored(self, done: int, tokens: int) -> None:
        self._scoring = f" · likelihoods {done / tokens:.0%}" if done < tokens else ""
        self._show_soon()

    def _show_soon(self) -> None:
        if time.monotonic() - self._shown >= OFTEN:
            self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        mean = f" · mean return {sum(self._latest) / len(self._latest):.2f}" if self._latest else ""
        thinking = self._thinking.total()
        asked = f" ({self._answers} answers)" if self._answers else ""
        thoughts = f" · {thinking} thinking{asked}{self._scoring}" if thinking else ""
        failures = f" · {self.failed} failed" if self.failed else ""
        self._bar.update(
            self._task,
            completed=self._pace.completed,
            done=self.finished,
            left=time_left(self._pace.left),
            description=f"{self._phase:8}{mean}{thoughts}{failures}",
        )


def time_left(left: Left | None) -> str:
    """As a clock shows it; at least so much where something to come has not been measured."""
    return "?" if left is None else f"{'≥ ' if left.at_least else ''}{timedelta(seconds=round(left.seconds))}"


class _Above(logging.Handler):
    """Warnings, in lines above the bar."""

    def __init__(self, console: Terminal) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(plain(record.getMessage(), "yellow"), soft_wrap=True)
