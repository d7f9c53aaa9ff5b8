"""The report of a run: report.html (one file, offline), findings.json, tables/ and figures/, all from tables alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import altair as alt
import numpy as np
import pandas as pd
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from . import figures
from .contrasts import DECLARED, Contrast
from .findings import Finding, number, p_text
from .latex import booktabs
from .matrix import TextMatrix, text_matrix
from .results import Findings, analyse
from .tables import Tables, Transcript

FORMAT = 1
"""Version of findings.json."""


@dataclass(frozen=True)
class Figure:
    """A chart with its file name and what it shows, in words."""

    id: str
    title: str
    caption: str
    chart: alt.Chart | alt.LayerChart | alt.FacetChart | alt.VConcatChart


@dataclass(frozen=True)
class PageTable:
    """A table of text on the page."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    open: bool = False


@dataclass(frozen=True)
class Section:
    """One part of the page. Everything in it is text; the template escapes it."""

    id: str
    title: str
    paragraphs: tuple[str, ...] = ()
    points: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    charts: tuple[Figure, ...] = ()
    tables: tuple[PageTable, ...] = ()
    transcripts: tuple[Transcript, ...] = field(default=())


def report(
    tables: Tables,
    out: Path,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    margin: float | None = None,
    declared: Sequence[Contrast] = DECLARED,
) -> Findings:
    """Analyse and write everything under `out`; the same tables and seed give the same numbers.

    `margin` is the equivalence margin in units of return, declared before the data were seen; without one nothing is
    called equivalent.
    """
    found = analyse(tables, np.random.default_rng(seed), resamples=resamples, margin=margin, declared=declared)
    sections = compose(tables, found, seed)
    out.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "seed": seed, "resamples": resamples, "level": found.level}
    content |= {"summary": found.summary, "warnings": found.warnings, "findings": found.rows()}
    (out / "findings.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    write_tables(found, out / "tables")
    charts = [chart for section in sections for chart in section.charts]
    (out / "figures").mkdir(exist_ok=True)
    for chart in charts:
        (out / "figures" / f"{chart.id}.svg").write_text(
            vl_convert.vegalite_to_svg(chart.chart.to_dict()), encoding="utf-8"
        )
    (out / "report.html").write_text(page(tables, found, sections), encoding="utf-8")
    return found


def compose(tables: Tables, found: Findings, seed: int) -> list[Section]:
    """The sections of the page, in order."""
    declared = [each for each in found.findings if each.kind == "contrast"]
    cellwise = [each for each in found.findings if each.kind != "contrast"]
    returns = text_matrix(found.cells, "return")
    sections = [
        Section("summary", "What is and is not shown", points=found.summary, warnings=found.warnings),
        Section(
            "returns",
            "Returns",
            charts=(Figure("returns", "Returns", returns.note, figures.heatmap(found.cells, "return", "Return")),),
            tables=(
                _matrix_table("Returns", returns, True),
                *(_cells_table(found.cells, m) for m in ("solved", "invalid")),
            ),
        ),
    ]
    if declared or cellwise:
        charts = [_forest("contrasts", "Declared contrasts", [each for each in declared if each.outcome == "return"])]
        charts += [
            _forest(kind, f"{kind.capitalize()} of each cell", [e for e in cellwise if e.kind == kind])
            for kind in ("gain", "regret")
        ]
        sections.append(
            Section(
                "findings", "Findings", charts=tuple(c for c in charts if c), tables=(_findings_table(found.findings),)
            )
        )
    if len(found.reuse):
        sections.append(_reuse_section(found))
    if tables.transcripts:
        sections.append(Section("transcripts", "Sampled episodes", transcripts=tables.transcripts))
    sections.append(Section("methods", "Methods", paragraphs=(methods(found, seed),)))
    if tables.versions:
        rows = tuple((key, value) for key, value in tables.versions.items())
        sections.append(
            Section("versions", "Versions and digests", tables=(PageTable("Versions", ("what", "version"), rows),))
        )
    return sections


def page(tables: Tables, found: Findings, sections: list[Section]) -> str:
    """The one self-contained page. Every string of a study is escaped by the template or by JSON."""
    environment = Environment(loader=PackageLoader("analysis", "."), autoescape=True, undefined=StrictUndefined)
    charts = [chart for section in sections for chart in section.charts]
    studies = ", ".join(sorted(set(tables.episodes["study"])))
    return environment.get_template("page.html.j2").render(
        title=f"Report: {', '.join(sorted(set(tables.episodes['run'])))}",
        subtitle=f"Study {studies}: {len(tables.episodes)} episodes in {len(found.cells)} cells.",
        sections=sections,
        specs={chart.id: script_json(chart.chart.to_dict()) for chart in charts},
        library=Markup(library()),  # noqa: S704
        footer=f"{found.level:.0%} intervals from {found.resamples} resamples of whole learning runs.",
    )


def script_json(value: object) -> Markup:
    """JSON that cannot leave its script element: no <, > or & survives, nor a line separator."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))  # noqa: S704


@lru_cache(maxsize=1)
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, safe inside a script element."""
    return vl_convert.javascript_bundle().replace("</script", "<\\/script")


def methods(found: Findings, seed: int) -> str:
    """A paragraph ready to paste."""
    return (
        "The independent unit is the learning run: all episodes that share a learned pool form one cluster. Arms are "
        "compared on common environment seeds; differences are averaged over seeds within a learning run, every run "
        f"weighing the same. Intervals are {found.level:.0%} studentised cluster-bootstrap intervals ({found.resamples} "
        "resamples of whole learning runs, random seed "
        f"{seed}) from five learning runs on and Student's t intervals on learning-run means below. Differences are tested "
        "by two-sided sign-flip permutation of learning runs (exact up to 32), below six runs by a t test, whose verdict "
        "is always given as undecided. Declared contrasts are adjusted together by Holm's method, cells by Benjamini and "
        "Hochberg's. Equivalence needs a margin declared beforehand and two one-sided t tests at .05. Episodes lost to "
        "technical failures are missing data. Coverage of the pool is compared with its exact expectation under a "
        "uniformly random selector with the same number of selections."
    )


def write_tables(found: Findings, out: Path) -> None:
    """cells, reuse, invocations and findings as CSV, Parquet and LaTeX (booktabs)."""
    out.mkdir(exist_ok=True)
    frames = {"cells": found.cells, "reuse": found.reuse, "invocations": found.invocations}
    flat = pd.json_normalize(found.rows())
    frames["findings"] = flat
    for name, frame in frames.items():
        plain = frame.astype({column: "str" for column in frame.columns if frame[column].dtype == "category"})
        plain.to_csv(out / f"{name}.csv", index=False)
        plain.to_parquet(out / f"{name}.parquet", index=False)
    for measure in ("return", "solved"):
        (out / f"{measure}.tex").write_text(booktabs(text_matrix(found.cells, measure)), encoding="utf-8")
    if len(found.reuse):
        (out / "coverage.tex").write_text(booktabs(text_matrix(found.reuse, "coverage")), encoding="utf-8")


def _reuse_section(found: Findings) -> Section:
    measures = ("coverage", "expected", "corrected", "standardised", "per_episode", "per_step", "memory_tokens")
    note = (
        "Three rates side by side. Coverage: share of the stored units used at least once; expected: by a random selector "
        "with as many selections; corrected: 0 at chance, 1 when all is used; standardised: at a common number of "
        "selections per stored unit. Per episode: episodes with a skill call. Per step: steps under a skill."
    )
    shown = found.reuse[found.reuse["arm"].astype("str") != "seed"] if len(found.reuse) else found.reuse
    charts = [Figure("coverage", "Coverage of the pool", note, figures.heatmap(found.reuse, "coverage", "Coverage"))]
    bars = found.invocations[found.invocations["arm"].astype("str").isin(["self", "transfer"])]
    if len(bars) and len(shown):
        words = "How calls are spread over skills, per evaluated agent and task."
        charts.append(Figure("invocations", "Invocations", words, figures.invocations(bars, "Skill invocations")))
    tables = tuple(_cells_table(found.reuse, measure) for measure in measures)
    return Section("reuse", "Reuse", paragraphs=(note,), charts=tuple(charts), tables=tables)


def _forest(name: str, title: str, found: list[Finding]) -> Figure:
    caption = "Differences with 95 % intervals; colour and shape give the verdict after adjustment."
    return Figure(name, title, caption, figures.forest(found, title))


def _matrix_table(title: str, matrix: TextMatrix, opened: bool = False) -> PageTable:
    return PageTable(title, matrix.header, matrix.rows, matrix.note, opened)


def _cells_table(cells: pd.DataFrame, measure: str) -> PageTable:
    return _matrix_table(measure.replace("_", " ").capitalize(), text_matrix(cells, measure))


def _findings_table(found: Sequence[Finding]) -> PageTable:
    header = ("comparison", "where", "outcome", "estimate", "95 % CI", "p", "adjusted p", "family", "effect size", "episodes", "learning runs", "verdict", "in words")  # fmt: skip
    rows = tuple(
        (
            each.subject, " / ".join(part for part in list(each.cell.values())[1:] if part), each.outcome, number(each.estimate),
            f"{number(each.low)} to {number(each.high)}", p_text(each.p), p_text(each.p_adjusted),
            f"{each.family} ({each.adjustment})", number(each.effect_size, 2), str(each.n_episodes), str(each.n_clusters),
            each.verdict, each.sentence,
        )
        for each in found
    )  # fmt: skip
    return PageTable("All findings", header, rows, "Differences with 95 % CI; p values two-sided", True)
