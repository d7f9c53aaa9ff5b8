"""`Failures`: what an episode that failed means for its study. It is owed, or lost, or the study has to stop."""

from __future__ import annotations

import math
from collections import Counter

from agents.models.model import ModelMisconfigured, ModelUnavailable
from testbed.records.trial import Trial, one_line

PATIENCE = 8
"""Failures in a row, of one agent or of one game, at which the study stops: it will not come right by itself."""

TRIES = 8
"""Times that an episode's model may fail to answer it though it answers others in between, or that the process which
plays it may die; then the episode is lost."""


class StudyStopped(RuntimeError):
    """The study cannot go on as it is; what was finished is stored, and the same command resumes it."""


class EngineGone(StudyStopped):
    """Nobody is left to play episodes. The same command resumes."""


class ModelGone(StudyStopped):
    """A model has stopped answering; `agent` is what the records call it. The same command resumes, once it answers."""

    def __init__(self, agent: str, reason: str) -> None:
        super().__init__(f"agent {agent}: {reason}. Finished episodes are stored; the same command resumes.")
        self.agent = agent
        self.reason = reason


class Failures:
    """The account of what failed, and of when it is too much.

    An episode whose model did not answer is *owed*: it is played again until it is there, now or when the study is
    resumed, and nothing is learned without it. Whatever else ends an episode (a refused prompt, an answer in another
    form, a game that raises) would end it again: it is *lost*, missing data with its reason. A resumed study tries
    once more what was lost, unless something has been learned without it; if it is lost again, nothing new is known,
    and it counts in no row.
    """

    def __init__(self, fail_at: float = math.inf, planned: int = 0) -> None:
        """`fail_at`: lost episodes at which the study stops, a number, or below 1 a share, of the `planned` ones and of
        those of one iteration. One lost episode alone is never too large a share. Counted anew by each process."""
        self._fail_at = fail_at
        self._planned = planned
        self.standing: dict[str, str] = {}
        """Reason of each failed episode that has not been made good, by trial."""
        self.limit = fail_at if fail_at >= 1 else self._share(planned)
        self._lost: set[str] = set()
        self._before: set[str] = set()
        self._row: Counter[str] = Counter()
        self._answered: Counter[str] = Counter()
        self._tries: dict[str, tuple[int, int]] = {}

    def remember(self, trial: str, reason: str) -> None:
        """The trial failed when the study was run before."""
        self.standing[trial] = reason
        self._before.add(trial)

    def mended(self, trial: str, *answered: str) -> None:
        """The trial is finished; all who are in `answered` (its agents, its game) did their part."""
        self.standing.pop(trial, None)
        self._lost.discard(trial)
        self._tries.pop(trial, None)
        for name in answered:
            self._row[name] = 0
            self._answered[name] += 1

    def failed(self, trial: Trial, culprit: str, error: Exception) -> bool:
        """Whether the trial is owed; otherwise it is lost. `culprit` is the agent, or the game, whose fault it was.

        Raises ModelGone or StudyStopped where the study cannot go on.
        """
        reason = one_line(error)
        self.standing[trial.id] = reason
        if isinstance(error, ModelUnavailable) or trial.id not in self._before:
            self._row[culprit] += 1
        if self._row[culprit] >= PATIENCE:
            if isinstance(error, ModelUnavailable):
                raise ModelGone(culprit, str(error).rstrip("."))
            raise StudyStopped(
                f"{PATIENCE} episodes of {culprit} failed in a row, the last with {reason.rstrip('.')}. Finished "
                "episodes are stored; when that is mended, the same command resumes and plays those first."
            )
        if isinstance(error, ModelMisconfigured):
            raise StudyStopped(f"{culprit}: {error}")
        if isinstance(error, ModelUnavailable) and self._may_be_tried_again(trial.id, culprit):
            return True
        self._lost.add(trial.id)
        if len(self._lost) >= self.limit:
            share = f" of {self._planned}" if self._fail_at < 1 else ""
            raise StudyStopped(
                f"{len(self._lost)}{share} episodes were lost (fail_at = {self._fail_at:g}), the last with "
                f"{reason.rstrip('.')}. Finished episodes are stored; the same command tries the lost ones again "
                "first, and --set fail_at=N allows more."
            )
        return False

    def check_iteration(self, who: str, lost: int, episodes: int) -> None:
        """Whether `who` may learn although `lost` of an iteration's episodes are. Raises StudyStopped."""
        if self._fail_at < 1 and lost >= self._share(episodes):
            raise StudyStopped(
                f"{who}: {lost} of the {episodes} episodes of one iteration were lost (fail_at = {self._fail_at:g}), "
                "and nothing was learned from the others. The same command plays the lost ones again first, and "
                "--set fail_at=N allows more."
            )

    def _share(self, episodes: int) -> int:
        return max(2, math.ceil(self._fail_at * episodes))

    def _may_be_tried_again(self, trial: str, culprit: str) -> bool:
        """Not if its model failed TRIES times on this trial alone: a prompt can break a server that is well."""
        tries, answered = self._tries.get(trial, (0, -1))
        if self._answered[culprit] > answered:
            tries += 1
        self._tries[trial] = tries, self._answered[culprit]
        return tries < TRIES
