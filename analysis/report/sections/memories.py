"""The study's memories side by side: who helps, and what each costs."""

from __future__ import annotations

from analysis.report.page import Section, frame_table
from analysis.report.sections.findings import findings_table, forest
from analysis.results import Results


def memories_sections(found: Results) -> list[Section]:
    """Side by side, where the study has a memory but its pool; their influence, where it was measured; retries."""
    return [*_side_by_side(found), *_influence(found), *_retries(found)]


def _side_by_side(found: Results) -> list[Section]:
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
    return [side_by_side]


def _influence(found: Results) -> list[Section]:
    """Empty where it was not measured."""
    if found.influence is None:
        return []
    words = (
        "At each step whose prompt held units: the log-likelihood of the move that was made, less that of the same "
        "move had the units not stood there, by the model that acted. 0: what was shown changed nothing. Above 0: it "
        "was heeded, which is not to say that it helped: a misleading unit has influence, too. What was thought aloud "
        "before a move stands in both prompts, so that what units did by way of a thought is not counted here."
    )
    table = frame_table(
        found.influence,
        "Influence of what memories showed",
        "nats per exposed step [95 % CI over learning runs; of a given memory over environment seeds]; events and "
        "exposed steps ÷ all steps; measured: share of the exposed steps; error: root mean square in nats, of one "
        "step's likelihood scored again against that with which its move was drawn",
        measures=("influence", "events_per_step", "exposed_per_step", "measured", "error"),
        labels=("memory", "arm", "n", "clusters"),
    )
    return [Section("influence", "Influence of memories", paragraphs=(words,), tables=(table,))]


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
