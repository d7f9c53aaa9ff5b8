"""The report of a run: report.html (one file, offline), findings.json, tables/ and figures/, all from tables alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .audit import FORMAT
from .bootstrap import Resampler
from .contrasts import Contrast
from .latex import booktabs
from .matrix import text_matrix
from .published import worst
from .results import Findings, analyse
from .sections import Figure, Section, compose
from .tables import Tables


def report(
    tables: Tables,
    out: Path,
    *,
    resamples: int = 10_000,
    seed: int = 0,
    margin: float | None = None,
    declared: Sequence[Contrast] | None = None,
) -> Findings:
    """Analyse and write everything under `out`; the same tables and seed give the same numbers.

    `margin` is the equivalence margin in units of return, declared before the data were seen; without one nothing is
    called equivalent.
    """
    found = analyse(tables, Resampler(np.random.default_rng(seed), resamples), margin=margin, declared=declared)
    sections = compose(tables, found, seed)
    out.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "seed": seed, "resamples": resamples, "level": found.level, "margin": margin}
    content |= {"summary": found.summary, "warnings": found.warnings, "findings": found.rows()}
    (out / "findings.json").write_text(json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8")
    write_tables(found, out / "tables")
    write_figures([chart for section in sections for chart in section.charts], out / "figures")
    (out / "report.html").write_text(page(tables, found, sections), encoding="utf-8")
    return found


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


def page(tables: Tables, found: Findings, sections: list[Section]) -> str:
    """The one self-contained page. Every string of a study is escaped by the template or by JSON."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    charts = [chart for section in sections for chart in section.charts]
    studies = ", ".join(sorted(set(tables.episodes["study"])))
    return environment.get_template("page.html.j2").render(
        title=f"Report: {', '.join(sorted(set(tables.episodes['run'])))}",
        subtitle=f"Study {studies}: {len(tables.episodes)} episodes in {len(found.cells)} cells.",
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
