"""The page of a matrix study, and that of a comparison of runs."""

from __future__ import annotations

from analysis.matrix.comparison.runs import Comparison
from analysis.report.methods import methods
from analysis.report.page import PageTable, Section, frame_table
from analysis.report.sections.findings import findings_sections, findings_table, forest
from analysis.report.sections.looks import looks_sections
from analysis.report.sections.memories import memories_sections
from analysis.report.sections.paper import paper_sections
from analysis.report.sections.returns import returns_section
from analysis.report.sections.skills import learning_sections, reuse_sections, transfer_sections
from analysis.results import Results
from analysis.simulation.published import published
from analysis.tables.run import Tables


def compose(tables: Tables, found: Results, seed: int) -> list[Section]:
    """The sections of the page, in order; a section without data is left out."""
    sections = [
        _basis(tables, found),
        Section("summary", "What is and is not shown", points=found.summary, warnings=found.warnings),
        *looks_sections(found),
        *paper_sections(found),
        *memories_sections(found),
        returns_section(found),
        *findings_sections(found),
        *transfer_sections(found),
        *reuse_sections(found),
        *learning_sections(found),
        Section("methods", "Methods", (methods(found.level, found.resamples, seed),), tables=(_calibration(),)),
    ]
    if tables.transcripts:
        words = ("A sample of episodes as they were played, not chosen by result.",)
        sections.append(Section("transcripts", "Sampled episodes", paragraphs=words, transcripts=tables.transcripts))
    if tables.versions:
        rows = tuple((str(key), str(value)) for key, value in tables.versions.items())
        table = PageTable("Versions and digests", ("what", "version or digest"), rows)
        sections.append(Section("versions", "Versions and digests", tables=(table,)))
    return sections


def compose_comparison(found: Comparison, level: float, resamples: int, seed: int) -> list[Section]:
    """The sections of a comparison of runs."""
    sentences = tuple(each.sentence for each in found.findings)
    chart = forest("comparison", "Differences between runs", list(found.findings))
    return [
        Section("summary", "What is and is not shown", points=sentences, warnings=(*found.missing, *found.refusals)),
        Section("findings", "Findings", charts=(chart,), tables=(findings_table(found.findings),)),
        Section("methods", "Methods", (methods(level, resamples, seed),), tables=(_calibration(),)),
    ]


def _basis(tables: Tables, found: Results) -> Section:
    """What it is, whether it is finished, what is missing: before any verdict."""
    episodes = tables.episodes
    studies, runs = (", ".join(sorted(set(episodes[name]))) for name in ("study", "run"))
    answered = int(episodes["error"].isna().sum())
    state = found.unfinished or (
        "The study is finished: every planned episode is there."
        if len(tables.plan)
        else "No plan came with the tables."
    )
    words = f"Study {studies}, run {runs}: {answered:,} answered episodes in {len(found.cells):,} cells."
    table = frame_table(
        found.attendance,
        "Episodes by arm",
        "planned by the study; answered; failed for technical reasons; owed: never played",
        measures=("missing_share",),
        labels=("arm", "planned", "answered", "failed", "owed"),
    )
    paragraphs, warnings = ((words,), (state,)) if found.unfinished else ((words, state), ())
    return Section("basis", "What this rests on", paragraphs, warnings=(*warnings, *found.missing), tables=(table,))


def _calibration() -> PageTable:
    rows = tuple(
        (row.method, row.kind, row.world, str(row.clusters), f"{row.rate:.1%}", f"{row.low:.1%} to {row.high:.1%}")
        for row in published()
        if row.promised
    )
    note = (
        "nominal 95 % coverage of intervals, 5 % rejections of tests; Monte-Carlo 95 % CI; simulated, not from this run"
    )
    header = ("method", "kind", "world", "clusters", "rate", "Monte-Carlo CI")
    return PageTable("Calibration of the methods used", header, rows, note)
