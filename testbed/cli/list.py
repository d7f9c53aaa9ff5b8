"""`procmem list`."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.table import Table

from testbed.cli.terminal import output, plain, say_json

UNBOUNDED = 10_000
"""A pipe has no width: there each name has a line of its own."""


@dataclass(frozen=True)
class Listing:
    """Names that a study may use, each with what is worth knowing before one chooses."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _environments() -> Listing:
    from environments.registry import ENVIRONMENTS

    columns = ("name", "seats", "family", "difficulty", "horizon", "needs", "summary")
    return Listing(
        columns,
        tuple(
            (spec.id, str(spec.seats), spec.family, str(spec.difficulty), str(spec.horizon), spec.needs, spec.summary)
            for spec in ENVIRONMENTS.values()
        ),
    )


def _models() -> Listing:
    from agents.models.scripted import POLICIES
    from agents.models.weights.catalog import MODELS

    weights = [(source.name, source.kind, source.licence) for source in MODELS.values()]
    scripted = [(f"scripted:{name}", _first_line(policy), "") for name, policy in POLICIES.items()]
    return Listing(("name", "what it is", "licence"), (*weights, *scripted))


def _selectors() -> Listing:
    from agents.selection import SELECTORS

    return _described(SELECTORS)


def _terminations() -> Listing:
    from agents.options import TERMINATIONS

    return _described(TERMINATIONS)


def _learners() -> Listing:
    from transfer.registry import LEARNERS

    return _described(LEARNERS)


def _memories() -> Listing:
    from transfer.memories.kinds import MEMORIES

    return Listing(("name", "paper and official code"), tuple((name, kind.source) for name, kind in MEMORIES.items()))


def _exchanges() -> Listing:
    from transfer.exchange.policies import EXCHANGES

    return _described(EXCHANGES)


def _admissions() -> Listing:
    from transfer.exchange.policies import ADMISSIONS

    return _described(ADMISSIONS)


def _poisons() -> Listing:
    from transfer.contamination.poison import POISONS

    return _described(POISONS)


def _studies() -> Listing:
    from testbed.studies.run import STUDIES

    return _described(STUDIES)


SENTENCES = {
    "similarity": "the skill whose activation is nearest to what is seen, by embeddings",
    "model": "the acting model names one, or none",
    "likelihood": "the name that the acting model finds likeliest, or none",
    "top-k-value": "of the most similar ones the best by a lower bound of its value",
    "random": "any skill with equal chance",
    "none": "no skill, ever",
    "judgement": "the acting model says when a skill has done its work",
    "age": "every skill is kept to its greatest age; costs no call",
    "nppo": "Non-Parametric PPO: gradients in words, candidates, a gate, scores",
    "nppo-without-gradient": "NP-PPO whose evolver reads a neutral summary",
    "nppo-without-gate": "NP-PPO that admits every candidate",
    "nppo-without-score": "NP-PPO that drops the oldest skill, not the worst",
    "fixed": "the pool stays as it is",
    "keep-best": "drops the worst skills and invents none",
    "notes": "rewrites notes by what paid, without a language model",
    "best-answer": "notes the one answer that paid most, without a language model",
    "isolated": "nobody gives anything",
    "commons": "all members share one pool",
    "ring": "each gives to the next",
    "star": "a hub gives to all others, and they to it",
    "broadcast": "the best of the round gives to all others",
    "migration": "a cycle through all, drawn anew each third round",
    "tournament": "the best of each drawn group gives to the rest of it",
    "pairs": "members drawn into pairs give to each other",
    "graph": "a graph of your own says who gives to whom",
    "trust": "whatever is given may be used at once",
    "gate": "each receiver's own PPO gate judges what it is given",
    "wrong-procedure": "the host's best skill with its moves exchanged for one another",
    "over-wide": "claims every situation and never lets go",
    "ignore-rules": "tells its user to break the rules",
    "learn": "learns every pool and stops there",
    "matrix": "learns every pool, then plays it everywhere, beside the arms of comparison",
    "population": "rounds of learning and sharing, then everybody's evaluation",
}
"""What each name of ours does. A name without a sentence is told by its docstring."""


def _described(known: Mapping[str, object]) -> Listing:
    return Listing(
        ("name", "what it does"),
        tuple((name, SENTENCES.get(name) or _first_line(each)) for name, each in known.items()),
    )


def _first_line(thing: object) -> str:
    return (inspect.getdoc(thing) or "").partition("\n")[0]


LISTS: dict[str, Callable[[], Listing]] = {
    "environments": _environments,
    "models": _models,
    "selectors": _selectors,
    "terminations": _terminations,
    "learners": _learners,
    "memories": _memories,
    "exchanges": _exchanges,
    "admissions": _admissions,
    "poisons": _poisons,
    "studies": _studies,
}


def names(
    kind: Annotated[str, typer.Argument(help=f"One of: {', '.join(LISTS)}.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the names alone, as a JSON list.")] = False,
) -> None:
    """List what a study may name, and what each is. Example: `procmem list environments`"""
    from testbed.config.study import ConfigError

    if kind not in LISTS:
        raise ConfigError(f"list: unknown {kind!r}; there are: {', '.join(LISTS)}")
    listing = LISTS[kind]()
    if as_json:
        say_json([row[0] for row in listing.rows])
    else:
        console = output()
        if not console.is_terminal:
            console.width = UNBOUNDED
        console.print(_table(listing))


def _table(listing: Listing) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in listing.columns:
        right = name in ("seats", "difficulty", "horizon")
        table.add_column(name, justify="right" if right else "left", overflow="fold", no_wrap=name == "name")
    for row in listing.rows:
        table.add_row(*map(plain, row))
    return table
