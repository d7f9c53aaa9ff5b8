"""What else a result depends on, beside the study file; and what it means when that is another after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from testbed.config.study import StudyConfig
from testbed.records.append_only import StoreError
from testbed.records.trial import Episode

Card = Mapping[str, str | int]
"""Of a model (`ModelCard`), or of whatever else has weights."""

CONTEXT = "context"
STEP_LIMIT = "step limit"


class Versions(BaseModel):
    """Written once, when a run is begun. Fields and keys that came later are empty in older runs, and not compared."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    packages: Mapping[str, str]
    """Of this program, too: "procmem", with a digest of its source."""
    models: Mapping[str, Card]
    """Per agent: its ModelCard."""
    prompts: str
    """Digest of the wording."""
    games: Mapping[str, Card] = {}
    """Per task: the STEP_LIMIT of the game that is evaluated, and the version of a package of somebody else's."""
    opponents: Mapping[str, Card] = {}
    """Per task: the ModelCard of who sits in the background seats."""
    embedder: Card = {}
    servers: Mapping[str, Mapping[str, str | int | bool | None]] = {}
    """Per served agent: what a probe found at the beginning that its server can and cannot do."""
    evolver_prompts: str = ""
    """Digest of the wording that learners ask in."""

    @property
    def code(self) -> dict[str, str | int]:
        """Every package by its version, those of the games among them."""
        games = (item for card in self.games.values() for item in card.items() if item[0] != STEP_LIMIT)
        return {**self.packages, **dict(games)}


def judge_restart(
    run: Path, begun: Versions, now: Versions, config: StudyConfig, stored: Callable[[], Iterable[tuple[int, Episode]]]
) -> list[str]:
    """What may matter for what follows, in sentences.

    Raises StoreError where the run would become another one. `stored` reads the episodes so far.
    """
    refused, notices = list(refused_changes(begun, now)), list[str]()
    for name, (was, has) in changed_contexts(begun, now).items():
        change = f"the context of agent {name}'s model (it was {was} tokens and is {has})"
        if _cuts_prompts(name, config, has, stored()):
            refused.append(f"{change}, by which prompts were or would be cut,")
        else:
            notices.append(f"{change} has changed; no prompt so far was cut by either")
    if refused:
        raise StoreError(f"{run}: {', '.join(refused)} has changed since this run was begun; choose another --out")
    if packages := changed_packages(begun, now):
        notices.append(
            f"begun with other versions of packages than are installed now: {', '.join(packages)}; "
            "numbers may differ in what follows"
        )
    return notices


def refused_changes(begun: Versions, now: Versions) -> Iterator[str]:
    """What makes a run another one: other weights or another manner of theirs, or other words."""
    for name, card in now.models.items():
        if _differs(begun.models.get(name), card):
            yield f"the model of agent {name}"
    for task, card in now.games.items():
        if begun.games.get(task, card).get(STEP_LIMIT) != card.get(STEP_LIMIT):
            yield f"the step limit of {task}"
    for task, card in now.opponents.items():
        if begun.opponents and _differs(begun.opponents.get(task), card):
            yield f"the opponent's model of {task}"
    if begun.embedder and _differs(begun.embedder, now.embedder):
        yield "the embedder"
    if begun.prompts != now.prompts:
        yield "the wording of the prompts"
    if begun.evolver_prompts and begun.evolver_prompts != now.evolver_prompts:
        yield "the wording that learners ask in"


def changed_packages(begun: Versions, now: Versions) -> list[str]:
    """Such as "numpy 2.2 (now 2.3)": packages of which another version is installed than when the run was begun."""
    used = now.code
    return [
        f"{name} {version} (now {used.get(name, 'none')})"
        for name, version in begun.code.items()
        if used.get(name) != version
    ]


def changed_contexts(begun: Versions, now: Versions) -> dict[str, tuple[int, int]]:
    """Agents whose model has another context than when the run was begun: what it was, what it is, in tokens."""
    return {
        name: (int(begun.models[name][CONTEXT]), int(card[CONTEXT]))
        for name, card in now.models.items()
        if name in begun.models
        and CONTEXT in begun.models[name]
        and CONTEXT in card
        and begun.models[name][CONTEXT] != card[CONTEXT]
    }


def _cuts_prompts(agent: str, config: StudyConfig, context: int, stored: Iterable[tuple[int, Episode]]) -> bool:
    """Whether any prompt so far was cut, or would not fit into so many tokens with its answer."""
    answer = max((each.max_tokens for each in config.agents if each.name == agent), default=0)
    members = {name for name, kind in config.members.items() if kind == agent} | {agent}
    return any(
        step.dropped_turns > 0 or step.prompt_tokens + answer > context
        for _, episode in stored
        for seat in episode.seats.values()
        if seat.agent in members
        for step in seat.steps
    )


def _differs(begun: Card | None, now: Card) -> bool:
    """The context is judged by what it does (`changed_contexts`); what was not recorded then says nothing."""
    return begun is None or any(begun[key] != now.get(key) for key in begun if key != CONTEXT)
