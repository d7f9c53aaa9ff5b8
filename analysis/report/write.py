"""The report of a run: report.html (one file, offline), findings.json, tables/ and figures/, all from tables alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.matrix.comparison import Comparison, compare
from analysis.report.latex import booktabs
from analysis.report.page import Figure, Section
from analysis.report.sections.matrix import compose, compose_comparison
from analysis.report.sections.population import population_sections
from analysis.report.text_matrix import text_matrix
from analysis.results import FORMAT, Findings, analyse
from analysis.simulation.published import worst
from analysis.statistics.bootstrap import Resampler
from analysis.tables.population import Annals
from analysis.tables.run import Tables

RESAMPLES = 10_000


def report(
    tables: Tables,
    out: Path,
    *,
    annals: Annals | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    margin: float | None = None,
) -> Findings:
    """Analyse and write everything under `out`; the same tables and seed give the same numbers.

    `annals` are those of a population study. `margin` is the equivalence margin in units of return, declared before the
    data were seen; without one nothing is called equivalent.
    """
    by = Resampler(np.random.default_rng(seed), resamples)
    found = analyse(tables, by, margin=margin, annals=annals)
    sections = compose(tables, found, seed)
    if annals is not None and found.population is not None:
        sections[2:2] = population_sections(annals, found.population)
    title = f"Report: {', '.join(sorted(set(tables.episodes['run'])))}"
    subtitle = "Unfinished: every verdict is provisional." if found.unfinished else "A finished run."
    content = {"format": FORMAT, "seed": seed, "resamples": resamples, "level": found.level, "margin": margin}
    content |= {"unfinished": found.unfinished, "missing": found.missing, "summary": found.summary}
    content |= {"warnings": found.warnings, "findings": found.rows()}
    _write(out, content, page(title, subtitle, sections), sections)
    write_tables(found, out / "tables")
    return found


def report_comparison(
    runs: Mapping[str, Tables],
    out: Path,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
    places: Sequence[str] = (),
) -> Comparison:
    """Compare named runs and write the page and findings.json under `out`. Raises CompareError with the reasons.

    `places`: where each run lies, seen from `out`, for an audit.
    """
    by = Resampler(np.random.default_rng(seed), resamples)
    found = compare(runs, by)
    sections = compose_comparison(found, by.level, resamples, seed)
    content = {"format": FORMAT, "seed": seed, "resamples": resamples, "level": by.level, "runs": list(runs)}
    content |= {"places": list(places)}
    content |= {"refusals": found.refusals, "findings": [each.row() for each in found.findings]}
    subtitle = "Mean differences in return on common tasks and environment seeds, arm by arm."
    _write(out, content, page(f"Comparison: {', '.join(runs)}", subtitle, sections), sections)
    return found


def _write(out: Path, content: Mapping[str, object], html: str, sections: Sequence[Section]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "findings.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    write_figures([chart for section in sections for chart in section.charts], out / "figures")
    (out / "report.html").write_text(html, encoding="utf-8")


def write_figures(charts: Sequence[Figure], out: Path) -> None:
    """Every chart as SVG and PDF."""
    out.mkdir(exist_ok=True)
    for chart in charts:
        svg = vl_convert.vegalite_to_svg(chart.chart.to_dict())
        (out / f"{chart.id}.svg").write_text(svg, encoding="utf-8")
        (out / f"{chart.id}.pdf").write_bytes(vl_convert.svg_to_pdf(svg))


def write_tables(found: Findings, out: Path) -> None:
    """Every frame of the findings as CSV and Parquet, the matrices as LaTeX (booktabs)."""
    out.mkdir(exist_ok=True)
    for name, frame in {**found.frames(), "findings": pd.json_normalize(found.rows())}.items():
        plain = frame.astype({column: "str" for column in frame.columns if frame[column].dtype == "category"})
        plain.to_csv(out / f"{name}.csv", index=False)
        plain.to_parquet(out / f"{name}.parquet", index=False)
    for measure in ("return", "solved"):
        (out / f"{measure}.tex").write_text(booktabs(text_matrix(found.cells, measure)), encoding="utf-8")
    if len(found.reuse):
        (out / "coverage.tex").write_text(booktabs(text_matrix(found.reuse, "coverage")), encoding="utf-8")


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """The one self-contained page. Every string of a study is escaped by the template or by JSON."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    charts = [chart for section in sections for chart in section.charts]
    return environment.get_template("page.html.j2").render(
        title=title,
        subtitle=subtitle,
        sections=sections,
        specs={chart.id: script_json(chart.chart.to_dict()) for chart in charts},
        library=Markup(library()),
        footer=worst(),
    )


def script_json(value: object) -> Markup:
    """JSON that cannot leave its script element: no <, > or & survives, nor a line separator."""
    text = json.dumps(value, ensure_ascii=True, default=str)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@lru_cache(maxsize=1)
def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, safe inside a script element."""
    return vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;").replace("</script", "<\\/script")
