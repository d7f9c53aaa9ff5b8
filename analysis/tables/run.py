"""The tables that analysis reads: documented columns, and a check that answers a bad table in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.tables.schema import Column, TableError, check

CELL = ["arm", "source_agent", "source_task", "agent", "task"]
"""What names one cell of a matrix. Arms without a source carry "" in both source columns."""


Ranges = Mapping[str, tuple[float, float]]
"""Lowest and highest possible return of a seat, by task (`EnvSpec.reward_range`)."""

Games = Mapping[str, Mapping[str, str]]
"""By task, what of its game may differ between two runs."""


EPISODES = (
    Column("study", "text", "name of the study"),
    Column("run", "text", "name of the run directory"),
    Column("arm", "text", "none, seed, self, transfer, random, shuffled, or another (rag, a population policy)"),
    Column("source_agent", "text", "who learned the pool; blank for arms without a learned pool", blank=True),
    Column("source_task", "text", "where the pool was learned; blank for arms without a learned pool", blank=True),
    Column("agent", "text", "who was evaluated"),
    Column("task", "text", "the environment it was evaluated in"),
    Column("learning_run", "integer", "which independent learning run, from 0: the cluster"),
    Column("env_seed", "integer", "environment seed, common to every arm of a (task, learning run)"),
    Column("episode", "integer", "number of the episode within its cell and learning run"),
    Column("seat", "integer", "seat in the game"),
    Column("pool", "text", "digest of the pool evaluated", blank=True),
    Column("return", "number", "return of the seat; missing when the episode failed", blank=True),
    Column("solved", "truth", "whether the seat solved the task", blank=True),
    Column("invalid", "integer", "invalid moves", blank=True),
    Column("steps", "integer", "decision steps", blank=True),
    Column("skill_calls", "integer", "skill selections (times a stored unit was invoked)", blank=True),
    Column("skill_steps", "integer", "steps taken under a stored unit", blank=True),
    Column("memory_tokens", "number", "mean Δprompt tokens per step against the state-only prompt", blank=True),
    Column("prompt_tokens", "number", "prompt tokens of the episode", blank=True),
    Column("completion_tokens", "number", "completion tokens of the episode", blank=True),
    Column("calls", "integer", "model calls of the episode", blank=True),
    Column("dropped_turns", "integer", "turns left out of prompts because the context was full", blank=True),
    Column("error", "text", "an infrastructure failure: missing data, counted, never zero", blank=True),
)
READING = (
    Column("left_out", "integer", "units chosen for which there was no room in the prompt", blank=True),
    Column("reading_calls", "integer", "model calls by which the memory was read", blank=True),
    Column("reading_tokens", "integer", "prompt and completion tokens of these calls", blank=True),
    Column("thought_tokens", "integer", "completion tokens in which the agent thought aloud", blank=True),
)
"""Columns of episodes that tables of before other memories than pools do not have: there they are 0."""
RECORDED = (Column("task_type", "text", "type of the task, where its game tells; no player is told", blank=True),)
"""Columns of episodes that tables of before games told of themselves do not have: there they are blank."""
INFLUENCE = (
    Column(
        "influence",
        "number",
        "mean over measured steps of log p(move | units) - log p(move | without), nats",
        blank=True,
    ),
    Column("influence_steps", "integer", "exposed steps of which that is known", blank=True),
    Column(
        "influence_error", "number", "RMS of log p(move | units) scored again less as it was drawn, nats", blank=True
    ),
)
"""Columns of episodes that tables without measurements of influence do not have: there they are blank."""
WRITING = (
    Column("agent", "text", "who learns"),
    Column("task", "text", "where"),
    Column("learning_run", "integer", "which learning run"),
    Column("iteration", "integer", "iteration of the learner"),
    Column("calls", "integer", "model calls by which the memory was written"),
    Column("tokens", "integer", "prompt and completion tokens of these calls"),
    Column("scored", "integer", "utterances whose likelihood was asked for"),
    Column("archive_tokens", "integer", "tokens kept for learning alone, after this iteration"),
)
INVOCATIONS = (
    Column("arm", "text", "as in episodes"),
    Column("source_agent", "text", "as in episodes", blank=True),
    Column("source_task", "text", "as in episodes", blank=True),
    Column("agent", "text", "as in episodes"),
    Column("task", "text", "as in episodes"),
    Column("learning_run", "integer", "as in episodes"),
    Column("env_seed", "integer", "as in episodes"),
    Column("unit", "text", "id of the stored unit (skill)"),
    Column("calls", "integer", "times it was selected in that episode"),
)
POOLS = (
    Column("pool", "text", "digest of the pool"),
    Column("agent", "text", "who learned it"),
    Column("task", "text", "where"),
    Column("learning_run", "integer", "in which learning run"),
    Column("unit", "text", "id of the stored unit"),
    Column("name", "text", "its name"),
    Column("tokens", "integer", "its length in tokens of the acting model"),
    Column("origin", "text", "seed, refined, discovered, given, …"),
)
LEARNING = (
    Column("agent", "text", "who learns"),
    Column("task", "text", "where"),
    Column("learning_run", "integer", "which learning run"),
    Column("iteration", "integer", "iteration of the learner"),
    Column("episode", "integer", "episode within the learning run"),
    Column("env_seed", "integer", "environment seed"),
    Column("return", "number", "return; missing when the episode failed", blank=True),
    Column("solved", "truth", "whether it was solved", blank=True),
    Column("error", "text", "why it is missing: nothing was learned from it", blank=True),
)
REPLAYED = (
    Column("attempt", "integer", "how often this game was played before, in the same iteration"),
    Column("pool", "text", "digest of the memory it was played with; blank without any", blank=True),
)
"""Columns of learning episodes that tables of before games were played again do not have: there each was the first."""
EVENTS = (
    Column("kind", "text", "gradient, candidate, verdict, admitted, pruned or gift"),
    Column("order", "integer", "position in time"),
    Column("agent", "text", "who learns"),
    Column("task", "text", "where"),
    Column("learning_run", "integer", "which learning run"),
    Column("iteration", "integer", "iteration of the learner", blank=True),
    Column("unit", "text", "the skill the event is about", blank=True),
    Column("parents", "text", "ids of its parents, separated by spaces", blank=True),
    Column("J", "number", "gate objective of the candidate", blank=True),
    Column("delta_J", "number", "gate objective less that of the parent", blank=True),
    Column("noise", "number", "repeatability of the objective, nats", blank=True),
    Column("verdict", "text", "accepted, rejected or undecided", blank=True),
    Column("score", "number", "online score of the unit", blank=True),
    Column("text", "text", "what was said (untrusted)", blank=True),
)
PLAN = (
    Column("phase", "text", "learn, evaluate or league"),
    Column("arm", "text", "as in episodes; learn for the learning of a matrix"),
    Column("source_agent", "text", "as in episodes", blank=True),
    Column("source_task", "text", "as in episodes", blank=True),
    Column("agent", "text", "as in episodes"),
    Column("task", "text", "as in episodes"),
    Column("learning_run", "integer", "as in episodes"),
    Column("episodes", "integer", "how many the study declares for that cell and learning run"),
)
LOOKS = (
    Column("look", "integer", "number of the look at the data, from 1"),
    Column("runs", "integer", "learning runs played before it"),
    Column("tokens", "integer", "tokens spent before it"),
    Column("claim", "text", "as self-none, or given:POOL/AGENT/TASK"),
    Column("n", "integer", "differences so far"),
    Column("mean", "number", "their mean", blank=True),
    Column("log_e", "number", "logarithm of the largest e-value so far"),
    Column("low", "number", "lower end of the confidence sequence", blank=True),
    Column("high", "number", "its upper end", blank=True),
    Column("state", "text", "open, decided, equivalent or futile"),
    Column("chance", "number", "predicted, that it is settled within the budget", blank=True),
    Column("why", "text", "what the look decided"),
)


@dataclass(frozen=True)
class Transcript:
    """One sampled episode as plain, untrusted text: a title and lines of (who, what)."""

    title: str
    lines: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Tables:
    """Everything a report is made from. Build it with `Tables.of`, which checks each frame."""

    episodes: pd.DataFrame
    invocations: pd.DataFrame
    pools: pd.DataFrame
    learning: pd.DataFrame
    events: pd.DataFrame
    writing: pd.DataFrame
    """What learning asked of models; empty where it asked nothing, or nobody counted."""
    plan: pd.DataFrame
    """What the study declares before it is run; empty where the tables come from elsewhere."""
    looks: pd.DataFrame
    """What an adaptive study found at each look, a row for each of its claims; empty of one of a fixed size."""
    ranges: Ranges = field(default_factory=dict[str, tuple[float, float]])
    """Bounds of a return, by task; no mean return and no interval of one leaves them. A task that is not named has no
    known bounds."""
    transcripts: tuple[Transcript, ...] = ()
    games: Games = field(default_factory=dict[str, Mapping[str, str]])
    """What was played under a task's name, as opponent → its name; runs are paired where they agree on all that both
    know."""
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """Packages, models with their weights' hashes, prompts, study digest: shown as they are."""

    @classmethod
    def of(
        cls,
        episodes: pd.DataFrame,
        *,
        invocations: pd.DataFrame | None = None,
        pools: pd.DataFrame | None = None,
        learning: pd.DataFrame | None = None,
        events: pd.DataFrame | None = None,
        writing: pd.DataFrame | None = None,
        plan: pd.DataFrame | None = None,
        looks: pd.DataFrame | None = None,
        ranges: Ranges | None = None,
        transcripts: Sequence[Transcript] = (),
        games: Games | None = None,
        versions: Mapping[str, str] | None = None,
    ) -> Tables:
        """Check every table, and put its rows into an order of their own: who finished first leaves no trace.

        A range that a return of its task leaves is no range, and is dropped. Raises TableError with one sentence that
        names table, column and row.
        """
        checked = check_episodes(episodes)
        learned = check_learning(learning)
        learner = ["agent", "task", "learning_run"]
        events_ = check(events, EVENTS, "events").sort_values([*learner, "order"], kind="stable", ignore_index=True)
        return cls(
            episodes=checked,
            invocations=ordered(
                _sources(check(invocations, INVOCATIONS, "invocations")), [*CELL, "learning_run", "env_seed", "unit"]
            ),
            pools=ordered(check(pools, POOLS, "pools"), [*learner, "pool", "unit"]),
            learning=ordered(learned, [*learner, "iteration", "episode"]),
            events=events_.assign(order=np.arange(len(events_))),
            writing=ordered(check(writing, WRITING, "writing"), [*learner, "iteration"]),
            plan=ordered(_sources(check(plan, PLAN, "plan")), ["phase", *CELL, "learning_run"]),
            looks=ordered(check(looks, LOOKS, "looks"), ["look"]),
            ranges=_kept_ranges((checked, learned), ranges or {}),
            transcripts=tuple(transcripts),
            games=dict(games or {}),
            versions=dict(versions or {}),
        )


def check_episodes(frame: pd.DataFrame) -> pd.DataFrame:
    """As `check`, and: no row twice; a return that is no finite number becomes missing data with its error."""
    absent: dict[str, Any] = {column.name: 0 for column in READING if column.name not in frame}
    absent |= {column.name: None for column in (*RECORDED, *INFLUENCE) if column.name not in frame}
    episodes = _sources(check(frame.assign(**absent), (*EPISODES, *READING, *RECORDED, *INFLUENCE), "episodes"))
    if episodes.empty:
        raise TableError("The episodes table is empty; run the study before reporting on it.")
    unanswered = episodes["error"].isna() & ~np.isfinite(episodes["return"])
    episodes.loc[unanswered, "error"] = "no finite return was recorded"
    episodes.loc[episodes["error"].notna(), "return"] = np.nan
    keys = [*CELL, "run", "learning_run", "env_seed", "episode", "seat"]
    twice = episodes.duplicated(keys)
    if twice.any():
        row = episodes.loc[twice, keys].iloc[0]
        place = ", ".join(f"{key} {row[key]}" for key in keys if str(row[key]) != "")
        raise TableError(f"The episodes table holds the same episode twice ({place}); remove one of the two.")
    for key in CELL:
        episodes[key] = episodes[key].astype("category")
    return ordered(episodes, keys)


def check_learning(frame: pd.DataFrame | None) -> pd.DataFrame:
    """As `check`, and the columns that older tables lack."""
    if frame is not None:
        absent: dict[str, Any] = {"attempt": 0, "pool": None}
        frame = frame.assign(**{name: value for name, value in absent.items() if name not in frame})
    return check(frame, (*LEARNING, *REPLAYED), "learning")


def _kept_ranges(played: Sequence[pd.DataFrame], ranges: Ranges) -> dict[str, tuple[float, float]]:
    episodes = pd.concat([frame[["task", "return"]].astype({"task": "str"}) for frame in played if len(frame)])
    seen = episodes.groupby("task")["return"].agg(["min", "max"])
    outside = {
        str(task)
        for task, low, high in seen.itertuples(name=None)
        if str(task) in ranges and (low < ranges[str(task)][0] - 1e-9 or high > ranges[str(task)][1] + 1e-9)
    }
    return {task: ends for task, ends in ranges.items() if task not in outside}


def ordered(frame: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Rows by these keys, equal ones as they came."""
    return frame.sort_values(list(keys), kind="stable", ignore_index=True)


def _sources(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(source_agent=frame["source_agent"].fillna(""), source_task=frame["source_task"].fillna(""))
