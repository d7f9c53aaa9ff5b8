"""How G-Memory's insights are written: by comparing games that went well and badly, by what good ones have in common,
and by merging.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from agents.models.model import Message
from transfer.memories.lessons import Answer, Lessons
from transfer.memories.notes.finch import first_partition
from transfer.memories.notes.insights import MOST, Insight, Operations, alive, operated
from transfer.memories.notes.query_graph import ANSWER, TEMPERATURE, GMemory
from transfer.memory.memory import Unit
from transfer.nppo.evolver import RECORD, shortened

ANCHORS = 5
BESIDE_AN_ANCHOR = (3, 1)
"""Successes and failures."""
CHUNK = 5
"""Successes that one question is about."""
BATCH = 10
"""Insights that one question merges."""

TASK = "You find out what can be learned from the games of a player. You answer in JSON."
WRITING = {
    "compare": (
        "One game went well:\n{success}\n\nOne like it went badly:\n{failure}\nWhat was wrong: {mistake}\n\n"
        "Rules found so far:\n{rules}\n\nCompare the two games and improve the rules.\n{operations}"
    ),
    "common": (
        "These games went well:\n{successes}\n\nRules found so far:\n{rules}\n\n"
        "Improve the rules by what these games have in common.\n{operations}"
    ),
    "operations": (
        "Give at most four operations. ADD: a new rule, number 0. EDIT: better words for the rule of that number. "
        "AGREE: the rule of that number holds. REMOVE: it contradicts the games, or says what another says. A rule is "
        "one sentence, true of other games, too, and names no single game."
    ),
    "full": " There are too many rules: REMOVE or EDIT before you ADD.",
    "merge": (
        "Rules for one kind of game:\n{rules}\n\n"
        "Merge them into at most {limit}, so that nothing important is lost and none says what another says."
    ),
    "game": "Game {number}:\n{opening}\nKey steps:\n{steps}",
    "none": "(none)",
}


class MergedRules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    rules: Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(min_length=1, max_length=5)]


async def tuned(memory: GMemory, lessons: Lessons) -> GMemory:
    """After the comparison of games around a few random ones."""
    rng = lessons.rng("anchors", str(memory.learnt))
    episodes = memory.episodes
    for place in rng.integers(len(episodes), size=ANCHORS):
        memory = await _tuned_around(memory, episodes[place], rng, lessons)
    return memory


async def _tuned_around(memory: GMemory, anchor: Unit, rng: np.random.Generator, lessons: Lessons) -> GMemory:
    ranked = memory.by_likeness(lessons.means.embedder, anchor.key, memory.units)
    others = [unit for unit, _ in ranked if unit.id != anchor.id]
    successes, failures = (
        memory.of_outcome(others, success)[:count]
        for success, count in zip((True, False), BESIDE_AN_ANCHOR, strict=True)
    )
    (successes if memory.queries[anchor.id].success else failures).append(anchor)
    involved = memory.trajectories([*successes, *failures])
    insights = memory.rules
    related = [each for each in insights if each.supported_by(involved) >= len(involved) / 2]
    related.sort(key=lambda each: -each.supported_by(involved))
    parts = {
        "rules": listed([each.rule for each in related]) or WRITING["none"],
        "operations": WRITING["operations"] + (WRITING["full"] if len(insights) > MOST else ""),
    }
    questions = [
        (_comparison(memory, success, failure, parts), [success, failure])
        for success, failure in zip(successes, failures, strict=False)
    ]
    mixed = [successes[place] for place in rng.permutation(len(successes))]
    for start in range(0, len(mixed), CHUNK):
        chunk = mixed[start : start + CHUNK]
        questions.append((_in_common(memory, chunk, parts), chunk))
    born = memory.born
    for prompt, games in questions:
        names = memory.trajectories(games)
        answer = await ask(lessons, Operations, prompt, names)
        if answer is not None:
            insights = operated(insights, answer.operations, [each.number for each in related], names, born)
            born = max([born, *(each.number for each in insights)])
    return changed(memory, alive(insights), lessons)


def _comparison(memory: GMemory, success: Unit, failure: Unit, parts: Mapping[str, str]) -> tuple[Message, ...]:
    mistake = memory.queries[failure.id].mistake
    texts = {"success": shortened(success.text, RECORD), "failure": shortened(failure.text, RECORD)}
    return question(WRITING["compare"], **texts, mistake=mistake, **parts)


def _in_common(memory: GMemory, chunk: Sequence[Unit], parts: Mapping[str, str]) -> tuple[Message, ...]:
    games = [
        WRITING["game"].format(
            number=number, opening=shortened(unit.key), steps=listed(memory.queries[unit.id].key_steps)
        )
        for number, unit in enumerate(chunk, 1)
    ]
    return question(WRITING["common"], successes="\n\n".join(games), **parts)


async def merged(memory: GMemory, lessons: Lessons, divisor: int) -> GMemory:
    """With the insights of each cluster of episodes merged, a few at a time.

    One that is alone stays, and so do those for which no usable answer comes.
    """
    episodes = memory.episodes
    clusters = first_partition(lessons.means.embedder.embed([unit.key for unit in episodes]))
    after: list[Insight] = []
    born = memory.born
    for cluster in clusters:
        names = memory.trajectories([episodes[place] for place in cluster])
        related = [each for each in memory.rules if each.supported_by(names)]
        related.sort(key=lambda each: -each.supported_by(names))
        for start in range(0, len(related), BATCH):
            batch = related[start : start + BATCH]
            rules = await _fewer(batch, names, divisor, lessons) if len(batch) > 1 else None
            fewer = [
                Insight(number=born + count, rule=rule, support=tuple(names))
                for count, rule in enumerate(rules or (), 1)
            ]
            born += len(fewer)
            after += fewer or batch
    return changed(memory, after, lessons)


async def _fewer(batch: Sequence[Insight], names: Sequence[str], divisor: int, lessons: Lessons) -> list[str] | None:
    limit = max(1, len(batch) // divisor)
    prompt = question(WRITING["merge"], rules=listed([each.rule for each in batch]), limit=str(limit))
    answer = await ask(lessons, MergedRules, prompt, names)
    return None if answer is None else [rule.strip() for rule in answer.rules if rule.strip()]


def changed(memory: GMemory, insights: Sequence[Insight], lessons: Lessons) -> GMemory:
    """The memory with these insights, and what became of each in the events."""
    after = memory.with_insights(insights)
    before = {insight.number: insight for insight in memory.rules}
    for unit in after.units[len(after.episodes) :]:
        insight = after.insights[unit.id]
        old = before.pop(insight.number, None)
        if old is None or old.rule != insight.rule:
            lessons.written(unit, action="rewritten" if old else "written", value=insight.score)
        elif old.score != insight.score:
            lessons.written(unit, action="voted", text="", value=insight.score)
    for unit in memory.units[len(memory.episodes) :]:
        if memory.insights[unit.id].number in before:
            lessons.dropped(unit, "it has no votes left, or was merged")
    return after


async def ask(
    lessons: Lessons, kind: type[Answer], prompt: tuple[Message, ...], trajectories: Sequence[str]
) -> Answer | None:
    return await lessons.ask(kind, prompt, *trajectories, temperature=TEMPERATURE, tokens=ANSWER)


def question(words: str, **parts: str) -> tuple[Message, ...]:
    return (Message("system", TASK), Message("user", words.format(**parts)))


def listed(lines: Sequence[str]) -> str:
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))
