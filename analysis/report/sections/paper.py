"""The paper's printed values beside ours."""

from __future__ import annotations

import math

from analysis.findings import number
from analysis.report.page import Section, frame_table
from analysis.results import Results

WORDS = (
    "A value of the paper and ours stand in one row where memory, source, agent and task have the same names. Beside "
    "them stands the model that plays under the agent's name: with another than the paper's, the two have nothing to "
    "do with each other. The paper's ± is in some rows a standard deviation over episodes, in others a standard "
    "error; ours are 95 % intervals over learning runs. Coverage grows with the episodes that a pool is judged by."
)


def paper_sections(found: Results) -> list[Section]:
    """Empty where nothing of the study is printed in a paper that it names."""
    if found.paper is None:
        return []
    printed = [
        f"{number(mean)} ± {number(spread)}" if not math.isnan(spread) else number(mean)
        for mean, spread in zip(found.paper["paper"], found.paper["spread"], strict=True)
    ]
    learned = found.paper["source_agent"].where(found.paper["source_agent"] == "", found.paper["source_agent"] + " / ")
    table = frame_table(
        found.paper.assign(paper=printed, source=learned + found.paper["source_task"]),
        "The paper's values beside ours",
        "memory: skills is the study's own pool; source: who learned it, and where",
        measures=("ours",),
        labels=("measure", "memory", "source", "agent", "model", "task", "table", "paper", "clusters"),
    )
    return [Section("paper", "Beside the paper", paragraphs=(WORDS,), tables=(table,))]
