"""The report of a run: report.html (one file, offline), findings.json, tables/ and figures/, all from tables alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import vl_convert
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from analysis.matrix.comparison.claims import Adaptive
from analysis.matrix.comparison.paper import Paper
from analysis.matrix.comparison.runs import Comparison, compare
from analysis.report.drawing import DrawingError, Renderer, Specification, drawable
from analysis.report.figures.headline import slide
from analysis.report.headline import Cost, Headline
from analysis.report.latex import booktabs
from analysis.report.page import Figure, Section
from analysis.report.sections.headline import comparison_headline, headline
from analysis.report.sections.matrix import compose, compose_comparison
from analysis.report.sections.population import population_sections
from analysis.report.text_matrix import text_matrix
from analysis.results import FORMAT, Results, analyse
from analysis.simulation.published import worst
from analysis.statistics.bootstrap import Resampler
from analysis.tables.population import PopulationTables
from analysis.tables.run import Tables

RESAMPLES = 10_000
_FORMULA = re.compile("[=+\\-@\t\r\n＝＋－＠]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def report(
    tables: Tables,
    out: Path,
    *,
    population: PopulationTables | None = None,
    memories: Mapping[str, Tables] = {},
    given: Mapping[str, Tables] = {},
    paper: Paper | None = None,
    adaptive: Adaptive | None = None,
    cost: Cost | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    margin: float | None = None,
) -> Results:
    """Analyse and write everything under `out`; the same tables and seed give the same numbers.

    `population` is that of a population study, `memories` are the study's other ones and `given` the pools that
    came from elsewhere, by name; values of `paper` stand beside ours; `adaptive` is what a study that looked at its
    data was to decide; `cost` is what the run took, where that was counted. `margin` is the equivalence margin in units
    of return, declared before the data were seen; without one nothing is called equivalent.
    """
    by = Resampler(np.random.default_rng(seed), resamples)
    found = analyse(
        tables, by, margin=margin, population=population, memories=memories, given=given, paper=paper, adaptive=adaptive
    )
    content = {"format": FORMAT, "seed": seed, "resamples": resamples, "level": found.level, "margin": margin}
    content |= {"unfinished": found.unfinished, "missing": found.missing, "summary": found.summary}
    content |= {"warnings": found.warnings, "findings": found.rows(), "cost": None if cost is None else asdict(cost)}
    write_findings(content, out)
    write_tables(found, out / "tables")
    sections = compose(tables, found, seed)
    if population is not None and found.population is not None:
        sections[2:2] = population_sections(population, found.population)
    title = f"Report: {', '.join(sorted(set(tables.episodes['run'])))}"
    subtitle = "Unfinished: every verdict is provisional." if found.unfinished else "A finished run."
    write_page(title, subtitle, sections, out, headline(tables, found, cost))
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
    content = {"format": FORMAT, "seed": seed, "resamples": resamples, "level": by.level, "runs": list(runs)}
    content |= {"places": list(places)}
    content |= {
        "missing": found.missing,
        "refusals": found.refusals,
        "findings": [each.row() for each in found.findings],
    }
    write_findings(content, out)
    sections = compose_comparison(found, by.level, resamples, seed)
    subtitle = "Mean differences in return on common tasks and environment seeds, arm by arm."
    write_page(f"Comparison: {', '.join(runs)}", subtitle, sections, out, comparison_headline(found))
    return found


def write_findings(content: Mapping[str, object], out: Path) -> None:
    """findings.json. It and the tables are written before anything is drawn."""
    out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (out / "findings.json").write_text(text, encoding="utf-8", errors="replace")


def write_tables(found: Results, out: Path) -> None:
    """Every frame of the findings as CSV and Parquet, the matrices as LaTeX (booktabs)."""
    out.mkdir(exist_ok=True)
    for name, frame in {**found.frames(), "findings": pd.json_normalize(found.rows())}.items():
        plain = frame.astype({column: "str" for column in frame.columns if frame[column].dtype == "category"})
        defused(plain).to_csv(out / f"{name}.csv", index=False, errors="replace")
        plain.to_parquet(out / f"{name}.parquet", index=False)
    for measure in ("return", "solved"):
        (out / f"{measure}.tex").write_text(booktabs(text_matrix(found.cells, measure)), encoding="utf-8")
    if len(found.reuse):
        (out / "coverage.tex").write_text(booktabs(text_matrix(found.reuse, "coverage")), encoding="utf-8")


def defused(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with an apostrophe before every text that a spreadsheet would take for a formula; numbers stay numbers.

    After OWASP, "CSV Injection". The Parquet file beside it keeps every text as it is.
    """
    texts = frame.select_dtypes(exclude=["number", "bool"]).columns
    return frame.assign(**{column: frame[column].map(_defused, na_action="ignore") for column in texts})


def _defused(value: object) -> object:
    is_formula = isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value)
    return f"'{value}" if is_formula else value


def write_page(title: str, subtitle: str, sections: Sequence[Section], out: Path, top: Headline | None = None) -> None:
    """report.html, every chart as SVG and PDF, and `top` as a slide; for a chart that cannot be drawn the page has a
    sentence."""
    (out / "figures").mkdir(exist_ok=True)
    drawn: list[Section] = []
    specifications: dict[str, Specification] = {}
    with Renderer() as renderer:
        if top is not None:
            write_slide(title, top, renderer, out)
        for section in sections:
            charts: list[Figure] = []
            warnings: list[str] = list(section.warnings)
            for chart in section.charts:
                try:
                    specifications[chart.id] = write_chart(chart, renderer, out / "figures")
                    charts.append(chart)
                except DrawingError as error:
                    why = f"The chart “{chart.title}” could not be drawn ({error})"
                    warnings.append(f"{why}; its numbers stand in findings.json and the tables.")
            drawn.append(replace(section, charts=tuple(charts), warnings=tuple(warnings)))
    html = page(title, subtitle, drawn, specifications, top)
    (out / "report.html").write_text(html, encoding="utf-8", errors="replace")


def write_slide(title: str, top: Headline, renderer: Renderer, out: Path) -> None:
    """headline.svg and headline.png, 16:9; neither where it cannot be drawn, for the page says the same."""
    with suppress(DrawingError):
        drawing = renderer.draw(drawable(slide(title, top).to_dict()), png=True)
        (out / "headline.svg").write_text(drawing.svg, encoding="utf-8")
        (out / "headline.png").write_bytes(drawing.png)


def write_chart(chart: Figure, renderer: Renderer, out: Path) -> Specification:
    """The chart as SVG and PDF; its specification, for the page. Raises DrawingError."""
    try:
        specification = drawable(chart.chart().to_dict())
    except Exception as error:  # a barrier: whatever is wrong with one chart is no reason to lose the others
        raise DrawingError(" ".join(f"{type(error).__name__}: {error}".split())[:300]) from error
    drawing = renderer.draw(specification)
    (out / f"{chart.id}.svg").write_text(drawing.svg, encoding="utf-8")
    (out / f"{chart.id}.pdf").write_bytes(drawing.pdf)
    return specification


def page(
    title: str,
    subtitle: str,
    sections: Sequence[Section],
    specifications: Mapping[str, Specification],
    top: Headline | None = None,
) -> str:
    """The one self-contained page. Every string of a study is escaped by the template or by JSON."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        subtitle=subtitle,
        sections=sections,
        top=top,
        specs={id: script_json(specification) for id, specification in specifications.items()},
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
