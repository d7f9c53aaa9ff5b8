"""The study's memories side by side: who helps, and what each costs."""

from __future__ import annotations

from analysis.report.page import Section, frame_table
from analysis.report.sections.findings import findings_table, forest
from analysis.results import Results


def memories_sections(found: Results) -> list[Section]:
    """Empty where the study has no memory but its pool."""
    if found.memories is None:
        return []
    words = (
        "Every learned memory learned from as many episodes on the same environment seeds; all, those that were given "
        "among them, were evaluated frozen on common seeds. Native: as its official code recalls by default. Equal "
        "budget: whole units up to the same number of tokens in a prompt. A learned memory's own matrix, controls and "
        "cells: `procmem report RUN --memory NAME`."
    )
    counting = (
        "events and exposed steps ÷ all steps; coverage beside that of recall at random and its ceiling; left out: "
        "units an event for which there was no room; reading per step, writing per episode learned from"
    )
    table = found.memories.table
    returns = frame_table(
        table,
        "Returns of memories",
        "mean [95 % CI over learning runs; of a given memory over environment seeds]",
        measures=("return", "units", "deployed_tokens", "archive_tokens", "delta_prompt"),
        labels=("memory", "budget", "n", "clusters"),
    )
    costs = frame_table(
        table,
        "What each memory costs",
        counting,
        measures=(
            *("events_per_step", "exposed_per_step", "coverage", "coverage_chance", "coverage_ceiling", "left_out"),
            *("reading_calls", "reading_tokens", "writing_calls", "writing_tokens"),
        ),
        labels=("memory", "budget"),
    )
    charts = (
        (forest("memories", "Memories compared", list(found.memories.findings)),) if found.memories.findings else ()
    )
    tables = (returns, costs, findings_table(found.memories.findings))
    side_by_side = Section("memories", "Memories side by side", paragraphs=(words,), charts=charts, tables=tables)
    return [side_by_side, *_retries(found)]


def _retries(found: Results) -> list[Section]:
    """Empty where no game was played again."""
    if found.retries is None:
        return []
    words = (
        "Games of the first iteration, played again until one attempt succeeded. More attempts alone solve more games: "
        "a memory is to be compared with as many attempts without it (`reflect = false`), and nothing here with first "
        "tries at fresh games, as the arms are."
    )
    table = frame_table(
        found.retries.table,
        "Solved by up to k attempts",
        "share of games [95 % CI over environment seeds]; played: attempts at all games together; best return by then",
        measures=("solved", "return"),
        labels=("memory", "attempts", "games", "played"),
    )
    return [Section("retries", "Retries", paragraphs=(words,), tables=(table, findings_table(found.retries.findings)))]
