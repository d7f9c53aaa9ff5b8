"""What stands at the top of a page: the matrix with its marks, three sentences, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from analysis.findings import ALPHA, Finding, number
from analysis.matrix.comparison.runs import Comparison
from analysis.matrix.robustness.detectable import MOST_RUNS, runs_needed
from analysis.report.headline import (
    MOST_COLUMNS,
    MOST_ROWS,
    Cell,
    Cost,
    Grid,
    Headline,
    cell_of,
    claims_of,
    shortened,
    signed,
)
from analysis.results import Results
from analysis.statistics.significance import LEAST_FREEDOM
from analysis.tables.run import Tables

GAINS = "Gain: return over that without memory, of the row's pool in the hands of the column."
NAMED = 3
"""Claims that a sentence names; the others it counts."""


def headline(tables: Tables, found: Results, cost: Cost | None = None) -> Headline:
    """The top of a run's report. Without `cost` only the tokens of evaluated episodes are known."""
    declared = _declared(found)
    grids, note = _grids(tables, found)
    claims = claims_of(declared)
    if len(claims) < len(declared):
        note = " ".join(filter(None, [note, f"{len(claims)} of {len(declared)} comparisons are drawn."]))
    return Headline(
        grids=grids,
        claims=claims,
        decided=_decided(declared, found),
        open=_open(declared, found),
        basis=_basis(tables, found, declared),
        cost=(cost or _evaluated(tables)).sentence,
        note=note,
        alarm=shortened(" ".join(filter(None, [found.unfinished, *found.missing]))),
    )


def comparison_headline(found: Comparison) -> Headline:
    """The top of a comparison of runs."""
    declared = found.findings
    runs = [each.n_clusters for each in declared]
    spread = f"{min(runs)}" if min(runs) == max(runs) else f"{min(runs)} to {max(runs)}"
    return Headline(
        grids=(),
        claims=claims_of(declared),
        decided=shortened(_count(declared) + _named(declared)),
        open=shortened(_unsettled([each for each in declared if each.verdict == "undecided"], len(declared))),
        basis=f"{spread} learning runs a comparison, paired on common tasks and environment seeds; Holm over all. It "
        "assumes that the runs differ in nothing but what they are compared for.",
        cost="told in the report of each run.",
        alarm=shortened(" ".join([*found.missing, *found.refusals])),
    )


def _declared(found: Results) -> list[Finding]:
    """What the study declares, in return: contrasts, given pools, other memories."""
    memories = found.memories.findings if found.memories else ()
    chosen = [each for each in found.findings if each.kind in ("contrast", "given") and each.outcome == "return"]
    known = {each.id for each in chosen}
    return [*chosen, *(each for each in memories if each.id not in known)]


def _grids(tables: Tables, found: Results) -> tuple[tuple[Grid, ...], str]:
    """The matrices, and what of them is not shown."""
    if found.population is not None:
        return _policies(found), ""
    grids = [*_memories(found), *_given(found), *_gains(found)]
    shown: list[Grid] = []
    for grid in grids:
        used = sum(len(each.columns) for each in shown)
        if shown and (used + len(grid.columns) > MOST_COLUMNS or grid.compact):
            break
        shown.append(grid)
    left_out = (
        f"{len(shown)} of {len(grids)} matrices are shown; the others follow below." if len(shown) < len(grids) else ""
    )
    cut = f"At most {MOST_ROWS} rows and columns." if any(len(grid.rows) == MOST_ROWS for grid in shown) else ""
    read = GAINS if shown and shown[-1].title.startswith("Gain ") else ""
    return tuple(shown), " ".join(filter(None, [read, left_out, cut]))


def _gains(found: Results) -> list[Grid]:
    """Gain over no memory of every pool for everybody, a matrix per task; over tasks where one agent does it all."""
    cells = [each for each in found.findings if each.kind == "gain" and each.outcome == "return"]
    agents, tasks = (list(dict.fromkeys(each.cell[name] for each in cells)) for name in ("agent", "task"))
    sources = {(each.cell["source_agent"], each.cell["source_task"]) for each in cells}
    if len(sources) < 2:
        return []
    if len(agents) == 1:
        return [_matrix(f"Gain of {agents[0]}", cells, rows="source_task", columns="task")]
    grids: list[Grid] = []
    for task in tasks:
        here = [each for each in cells if each.cell["task"] == task]
        abroad = len({each.cell["source_task"] for each in here}) > 1
        grids.append(
            _matrix(
                f"Gain in {task}", here, rows="source_agent", columns="agent", beside="source_task" if abroad else ""
            )
        )
    return grids


def _matrix(title: str, cells: Sequence[Finding], *, rows: str, columns: str, beside: str = "") -> Grid:
    def row(found: Finding) -> str:
        return f"{found.cell[rows]} · {found.cell[beside]}" if beside else found.cell[rows]

    known = {(row(each), each.cell[columns]): cell_of(each) for each in cells}
    heads = sorted({column for _, column in known})[:MOST_ROWS]
    names = sorted({name for name, _ in known}, key=lambda name: (name not in heads, name))[:MOST_ROWS]
    return Grid(title, tuple(heads), tuple((name, tuple(known.get((name, head)) for head in heads)) for name in names))


def _memories(found: Results) -> list[Grid]:
    """Each memory against none, the study's pool against each, and each where it was not learned."""
    if found.memories is None or not found.memories.findings:
        return []
    pairs = {tuple(each.subject.split(" − ")): each for each in found.memories.findings if each.outcome == "return"}
    names = list(dict.fromkeys(str(name) for name in found.memories.table["memory"]))
    pool = names[0]
    wanted = {
        "− none": lambda name: (name, "no memory"),
        f"{pool} − it": lambda name: (pool, name),
        "elsewhere − none": lambda name: (f"{name} transferred", "no memory"),
    }
    rows: list[tuple[str, tuple[Cell | None, ...]]] = []
    for name in names[:MOST_ROWS]:
        cells = [pairs.get(pair(name)) for pair in wanted.values()]
        if any(each is not None for each in cells):
            rows.append((name, tuple(None if each is None else cell_of(each) for each in cells)))
    return [Grid("Memories: difference in return", tuple(wanted), tuple(rows))] if rows else []


def _given(found: Results) -> list[Grid]:
    """Each given pool against no memory, in every cell."""
    cells = [
        each
        for each in found.findings
        if each.kind == "given"
        and each.outcome == "return"
        and each.cell
        and each.subject.partition(" − ")[2].startswith("no memory")
    ]
    if not cells:
        return []
    one_task = len({each.cell["task"] for each in cells}) == 1
    known: dict[tuple[str, str], Cell] = {}
    for each in cells:
        agent, task = each.cell["agent"], each.cell["task"]
        known[each.subject.partition(" − ")[0], agent if one_task else f"{agent} · {task}"] = cell_of(each)
    heads, names = ([*dict.fromkeys(key[k] for key in known)][:MOST_ROWS] for k in (1, 0))
    rows = tuple((name, tuple(known.get((name, head)) for head in heads)) for name in names)
    return [Grid("Given pools: gain over no memory", tuple(heads), rows)]


def _policies(found: Results) -> tuple[Grid, ...]:
    """What each policy earned when it was evaluated, and against what it was compared."""
    judged = {
        each.id.split(":")[2].split("-")[0]: each
        for each in found.findings
        if each.kind == "contrast" and each.outcome == "return"
    }
    rows: list[tuple[str, tuple[Cell | None, ...]]] = []
    for row in found.arms.to_dict("records")[:MOST_ROWS]:
        arm, value = str(row["arm"]), float(row["return"])
        words = f"{number(value)} [{number(float(row['return_low']))}, {number(float(row['return_high']))}]"
        compared = next((each for each in judged.values() if each.subject.split(" − ")[0] == arm), None)
        rows.append((arm, (Cell(None, number(value, 2), words), None if compared is None else cell_of(compared))))
    return (Grid("Policies: evaluated return, and against the reference", ("return", "difference"), tuple(rows)),)


def _decided(declared: Sequence[Finding], found: Results) -> str:
    if not declared:
        return found.summary[0]
    cells = [each for each in found.findings if each.kind == "gain" and each.outcome == "return"]
    settled = sum(each.verdict != "undecided" for each in cells)
    beside = f" Of {len(cells)} cells, {settled} are decided." if len(cells) > 1 and not len(found.looks) else ""
    provisional = "Provisionally, " if found.unfinished else ""
    return shortened(provisional + _count(declared) + _named(declared) + beside)


def _count(declared: Sequence[Finding]) -> str:
    settled = sum(each.verdict != "undecided" for each in declared)
    assumed = sum(bool(each.assumes) for each in declared)
    some = f" ({assumed} on an assumption)" if assumed else ""
    return f"{settled or 'none'} of {len(declared)} declared comparisons{some}"


def _named(declared: Sequence[Finding]) -> str:
    parts: list[str] = []
    for verdict in ("better", "worse", "equivalent"):
        chosen = [each for each in declared if each.verdict == verdict]
        if chosen:
            parts.append(f"{verdict}: {_listed(f'{each.subject} ({signed(each.estimate)})' for each in chosen)}")
    return f": {'; '.join(parts)}." if parts else "."


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _open(declared: Sequence[Finding], found: Results) -> str:
    undecided = [each for each in declared if each.verdict == "undecided"]
    if len(found.looks):
        return shortened(_unsettled_sequentially(undecided, found.looks))
    return shortened(_unsettled(undecided, len(declared)))


def _unsettled(undecided: Sequence[Finding], comparisons: int) -> str:
    """What is undecided, and what it would take."""
    if not undecided:
        return "nothing that was declared."
    told = [f"{each.subject} ({_would_take(each, comparisons)})" for each in undecided]
    return f"{_listed(told)}."


def _would_take(found: Finding, comparisons: int) -> str:
    if not math.isfinite(found.estimate):
        return "no data"
    return f"{signed(found.estimate)}; {_obstacle(found) or _size_needed(found, comparisons)}"


def _obstacle(found: Finding) -> str:
    """What stands in the way of a verdict whatever the size of the difference; "" where nothing does."""
    if found.withheld:
        return f"the test decides but is not relied on: {found.withheld.split(',')[0]}"
    if found.offered < LEAST_FREEDOM - 1e-6:
        if found.n_clusters > LEAST_FREEDOM:
            return f"a verdict needs {LEAST_FREEDOM:.0f} degrees of freedom, there are {found.offered:.1f}"
        return f"a verdict needs {LEAST_FREEDOM + 1:.0f} {found.cluster}s, there are {found.n_clusters}"
    return "" if found.error > 0 else f"all {found.cluster}s gave the same"


def _size_needed(found: Finding, comparisons: int) -> str:
    needed = runs_needed(found.error, found.freedom, found.n_clusters, found.estimate, alpha=ALPHA / comparisons)
    if needed is None:
        return f"more than {MOST_RUNS:,} {found.cluster}s, if the difference is as small as it looks"
    more = max(needed, found.n_clusters + 1)
    return f"some {more} {found.cluster}s instead of {found.n_clusters}, if it is as large as it looks"


def _unsettled_sequentially(undecided: Sequence[Finding], looks: pd.DataFrame) -> str:
    last = looks.groupby("claim", sort=False).tail(1)
    states = last["state"].value_counts()
    futile, still = int(states.get("futile", 0)), int(states.get("open", 0))
    if not undecided:
        return "nothing that was declared."
    named = _listed(f"{each.subject} ({signed(each.estimate)} after {each.n_clusters})" for each in undecided)
    why = [f"{futile} given up, for the budget would hardly have settled them"] if futile else []
    chances = last.loc[last["state"] == "open", "chance"].dropna()
    likely = (
        f", the likeliest with a predicted chance of {chances.max():.0%}".replace("%", " %") if len(chances) else ""
    )
    why += [f"{still} open when the budget ended{likely}"] if still else []
    return f"{named}: {'; '.join(why)}." if why else f"{named}."


def _basis(tables: Tables, found: Results, declared: Sequence[Finding]) -> str:
    episodes = tables.episodes
    answered = int(episodes["error"].isna().sum())
    runs = int(episodes["learning_run"].nunique())
    given = found.memories is not None and any(each.kind == "given" for each in declared)
    base = (
        f"{_counted(runs, 'learning run')}, the unit, and {answered:,} answered episodes of "
        f"{_counted(episodes['agent'].nunique(), 'agent')} in {_counted(episodes['task'].nunique(), 'task')}"
    )
    parts = [f"{base}."]
    if len(found.looks):
        count = int(found.looks["look"].nunique())
        parts.append(
            f"It looked at its data {'once' if count == 1 else f'{count} times'} and chose what to play next; its "
            "verdicts hold at every look, and means of what stopped early lie too far from zero."
        )
    if given:
        parts.append("What is said of a given pool holds for this very pool, on further environment seeds.")
    assumed = {each.assumes for each in declared if each.assumes}
    if assumed:
        parts.append("The assumption: that no kind of pool that ruins went unmet.")
    if any(each.verdict == "equivalent" for each in declared):
        parts.append(f"Equivalent is what lies within ±{found.margin:g}, declared beforehand.")
    parts.append(_believed(found))
    return shortened(" ".join(parts))


def _believed(found: Results) -> str:
    test = "e-Holm" if any(each.adjustment == "e-Holm" for each in found.findings) else "Holm"
    return f"It assumes independent learning runs; {found.level:.0%} intervals, {test} over what is declared.".replace(
        "%", " %"
    )


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'s' * (number != 1)}"


def _evaluated(tables: Tables) -> Cost:
    spent = tables.episodes[["prompt_tokens", "completion_tokens"]].sum().sum()
    return Cost(int(spent), covers="of evaluated episodes; the rest was not counted")
