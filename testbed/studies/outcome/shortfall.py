"""`Shortfall`: what a study that has come to its end lacks. A run says that it is done only where that is nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from testbed.records.append_only import complete_lines
from testbed.records.keys import LearnerKey
from testbed.records.lines import EventLine, MemberEventLine, parse_line
from testbed.records.run_directory import RunDirectory
from transfer.memory.events.course import EpisodesMissing, MemberLost, Warned

NOTHING_LEARNED = "nothing was learned"
"""How the warning begins of a learner that failed, whose pool then stayed as it was."""


@dataclass(frozen=True)
class Shortfall:
    """Numbers of what is missing, and why."""

    planned: int
    """Episodes of the whole study."""
    finished: int
    reasons: Mapping[str, int]
    """Failed episodes that were not made good, by reason."""
    learned_without: int
    """Episodes that committed iterations lack: nothing can make them good."""
    idle: int
    """Times that a learner failed, and its member kept what it had."""
    left: tuple[str, ...]
    """Members that left for good, as `population: member`."""

    @classmethod
    def of(cls, run: RunDirectory, planned: int, finished: int, standing: Mapping[str, str]) -> Shortfall:
        """`standing`: the reason of each failed episode that has not been made good."""
        without = idle = 0
        left: list[str] = []
        for _, _, text in complete_lines(run.events_file):
            if b'"missing"' not in text and b'"lost"' not in text and NOTHING_LEARNED.encode() not in text:
                continue  # lines of whole populations are long, and are not read for this
            match parse_line(text):
                case EventLine(event=EpisodesMissing(episodes=episodes)):
                    without += episodes
                case MemberEventLine(event=MemberLost(), learner=learner, population=population):
                    left.append(f"{LearnerKey.of(learner).agent} of {population}")
                case EventLine(event=Warned(why=why)) if why.startswith(NOTHING_LEARNED):
                    idle += 1
                case _:
                    pass
        return cls(planned, finished, Counter(standing.values()), without, idle, tuple(left))

    @property
    def missing(self) -> int:
        return max(0, self.planned - self.finished)

    def __bool__(self) -> bool:
        return bool(self.missing or self.learned_without or self.idle or self.left)

    @property
    def sentence(self) -> str:
        """What is missing, and whether it can still be had."""
        if not self:
            return f"All {self.planned} episodes are there."
        parts: list[str] = []
        if self.missing:
            none = "Not one episode was finished: " if not self.finished else ""
            parts.append(f"{none}{self.missing} of {self.planned} episodes are missing{self._why()}")
        if self.learned_without:
            parts.append(f"{self.learned_without} episodes were lost to learning, whose iterations are committed")
        if self.idle:
            parts.append(f"{NOTHING_LEARNED} {self.idle} times because a learner failed")
        if self.left:
            more = f" and {len(self.left) - 3} more" if len(self.left) > 3 else ""
            parts.append(f"left for good: {', '.join(self.left[:3])}{more}")
        remedy = "; the same command plays again what can be made good" if self.missing > self.learned_without else ""
        return f"{'; '.join(parts)}{remedy}."

    def _why(self) -> str:
        if not self.reasons:
            return ""
        why, count = max(self.reasons.items(), key=lambda item: item[1])
        return f" ({count} by {why.rstrip('.')})"
