"""The adaptive matrix: learning runs are added in batches, and after each the study looks at what is still open.

Everything a look depends on is in the past, so its verdicts hold (`analysis.statistics.sequential`). What it decided
stands in `events.jsonl` before anything is played because of it; a resumed run goes by what stands there.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd

from analysis.matrix.comparison.claims import Adaptive, Claim, Standing
from analysis.matrix.comparison.prospects import Prospect, prospect
from analysis.tables.run import EPISODES, READING, Ranges, check_episodes
from testbed.config.conduct.adaptive import AdaptiveConfig
from testbed.config.study import StudyConfig
from testbed.play.lab import Lab
from testbed.play.seeds import stream
from testbed.records.keys import LearnerKey
from testbed.records.lines import ClaimState, EventLine, Line, LookLine
from testbed.records.trial import EVIDENCE, Episode
from testbed.reports.plan import adaptive_plan, first_batch
from testbed.reports.rows.episodes import episode_row
from testbed.reports.rows.reader import Reader, Rows, read_records
from testbed.studies.given import Taken, given_cells, take_in
from testbed.studies.learn import learn_all, sources
from testbed.studies.matrix import cells, evaluate_all
from testbed.studies.schedule import Cell
from transfer.memory.events.course import Spent
from transfer.memory.learner import AnyLearner
from transfer.memory.pool import SkillPool

_log = logging.getLogger(__name__)


async def run_adaptive(lab: Lab, learners: Mapping[str, AnyLearner], seed_pool: SkillPool) -> None:
    """Play a batch, look, and go on with what the look asks for, until it asks for nothing."""
    config = lab.players.config
    adaptive = adaptive_plan(config, lab.players.tasks)
    assert adaptive is not None
    given = await take_in(lab)
    known = {claim.key: claim for claim in adaptive.claims}
    ranges = {task: spec.reward_range for task, spec in lab.players.tasks.items()}
    recorded = lab.run.looks()
    last = first_batch(config, adaptive)
    while last.then:
        claims = [known[key] for key in last.then]
        await play_batch(lab, learners, seed_pool, given, claims, range(last.runs, last.until))
        if last.look < len(recorded):
            last = recorded[last.look]
            continue
        spent = Tally()
        read_records(lab.run, [spent])
        last = look(config, adaptive, spent, ranges, last)
        lab.run.commit_look(last)
        _log.info("look %d after %d learning runs: %s", last.look, last.runs, last.why)


async def play_batch(
    lab: Lab,
    learners: Mapping[str, AnyLearner],
    seed_pool: SkillPool,
    given: Taken,
    claims: Sequence[Claim],
    runs: range,
) -> None:
    """Learn what these claims need learned, and play the cells that serve any of them."""
    if any(claim.learned for claim in claims):
        memories = await learn_all(lab, learners, seed_pool, runs)
    else:  # no cell that is played holds a learned pool: these only say where the others stand
        memories = dict.fromkeys(sources(lab, runs), seed_pool)
    every = chain(cells(lab, memories, seed_pool), given_cells(lab, given, runs))
    await evaluate_all(lab, (cell for cell in every if any(serves(cell, claim) for claim in claims)))


def serves(cell: Cell, claim: Claim) -> bool:
    """Whether a claim needs the cell."""
    return claim.needs(cell.arm, cell.agent, cell.task, cell.memory or "")


class Place(NamedTuple):
    """A cell in every learning run, but for its source: what is played or left out as one."""

    arm: str
    agent: str
    task: str
    pool: str


class Tally(Reader):
    """Returns of what was evaluated, and the tokens that everything took."""

    def __init__(self) -> None:
        self._rows: dict[str, Rows] = {}
        self._tokens: Counter[Place] = Counter()
        self._runs: dict[Place, set[int]] = {}
        self._learning = self._evidence = 0
        self._learned: set[int] = set()

    def event(self, order: int, line: Line) -> None:
        if isinstance(line, EventLine) and isinstance(line.event, Spent):
            self._learning += line.event.prompt_tokens + line.event.completion_tokens
            self._learned.add(LearnerKey.of(line.learner).learning_run)

    def episode(self, episode: Episode) -> None:
        trial = episode.trial
        steps = (step for seat in episode.seats.values() for step in seat.steps)
        tokens = sum(step.prompt_tokens + step.completion_tokens for step in steps)
        if trial.phase == "learn":
            if trial.arm == EVIDENCE:
                self._evidence += tokens
            else:
                self._learning += tokens
                self._learned.add(trial.learning_run)
            return
        place = Place(trial.arm, trial.agent, trial.task, trial.memory or "")
        self._tokens[place] += tokens
        self._runs.setdefault(place, set()).add(trial.learning_run)
        row = {"study": "matrix", "run": "run", **episode_row(episode)}
        self._rows.setdefault(place.pool, Rows((*EPISODES, *READING))).add(row)
        if trial.arm == "none":
            self._rows.setdefault(NONE, Rows((*EPISODES, *READING))).add(row)

    @property
    def tokens(self) -> int:
        return self._learning + self._evidence + self._tokens.total()

    def episodes(self) -> dict[str, pd.DataFrame]:
        """Checked tables of the study ("") and of each given pool with the arm without memory."""
        frames = {name: rows.frame() for name, rows in self._rows.items()}
        bare = frames.pop(NONE, None)
        return {
            name: check_episodes(frame if not name else pd.concat([frame, bare], ignore_index=True))
            for name, frame in frames.items()
        }

    def cost(self, claims: Collection[Claim]) -> float:
        """Tokens of one more learning run for these claims, at the mean of those so far."""
        served = [place for place in self._tokens if any(claim.needs(*place) for claim in claims)]
        learning = self._learning / max(1, len(self._learned)) if any(claim.learned for claim in claims) else 0.0
        return learning + sum(self._tokens[place] / len(self._runs[place]) for place in served) or 1.0


NONE = "without memory"
"""Where the rows of that arm lie, which no given pool can be called."""


def look(config: StudyConfig, adaptive: Adaptive, spent: Tally, ranges: Ranges, last: LookLine) -> LookLine:
    """What the data say now, and what is played next. What was settled by a look stays so."""
    plan = config.adaptive
    assert plan is not None
    number, runs = last.look + 1, last.until
    standings = adaptive.standings(spent.episodes(), ranges)
    settled = {state.claim: state for state in last.claims if state.state != "open"}
    unsettled = [each for each in standings if each.claim.key not in settled and each.state == "open"]
    prospects = {
        each.claim: _prospect(config, plan, adaptive, each, len(unsettled), runs, number) for each in unsettled
    }
    more = runs < config.learning_runs
    futile = {claim for claim, each in prospects.items() if more and each.chance < plan.futility}
    states = [
        settled.get(each.claim.key) or _state(each, prospects.get(each.claim), each.claim in futile)
        for each in standings
    ]
    still = {claim: each.growth for claim, each in prospects.items() if claim not in futile}
    chosen = next_claims(still, spent.cost) if plan.tokens is not None else list(still)
    over = _over(still, runs, config.learning_runs, spent.tokens, plan.tokens)
    until = runs if over else min(runs + plan.look, config.learning_runs)
    names = ", ".join(claim.key for claim in chosen)
    return LookLine(
        look=number,
        runs=runs,
        tokens=spent.tokens,
        claims=tuple(states),
        then=() if over else tuple(claim.key for claim in chosen),
        until=until,
        why=over or f"open: {len(still)} of {len(states)} claims; learning runs up to {until} for {names}",
    )


def _over(still: Mapping[Claim, float], runs: int, most_runs: int, tokens: int, most_tokens: int | None) -> str:
    """Why the study ends; "" where it goes on."""
    if not still:
        return "every claim is settled or given up"
    if runs >= most_runs:
        return f"all {most_runs} learning runs are played; claims still open: {len(still)}"
    if most_tokens is not None and tokens >= most_tokens:
        return f"the budget of {most_tokens:,} tokens is spent; claims still open: {len(still)}"
    return ""


def next_claims(growth: Mapping[Claim, float], cost: Callable[[Collection[Claim]], float]) -> list[Claim]:
    """The claims that together gain most evidence per token: the best, and each that makes the whole no poorer."""
    chosen: list[Claim] = []
    rest = dict(growth)

    def rate(claims: Sequence[Claim]) -> float:
        return sum(growth[claim] for claim in claims) / cost(claims)

    while rest:
        best = max(rest, key=lambda claim: rate([*chosen, claim]))
        if chosen and rate([*chosen, best]) < rate(chosen):
            break
        chosen.append(best)
        del rest[best]
    return [claim for claim in growth if claim in chosen]


def _prospect(
    config: StudyConfig,
    plan: AdaptiveConfig,
    adaptive: Adaptive,
    standing: Standing,
    family: int,
    runs: int,
    number: int,
) -> Prospect:
    a_run = config.evaluation_episodes if standing.claim.pool else 1
    return prospect(
        standing.data,
        adaptive.rule,
        batch=plan.look * a_run,
        most=(config.learning_runs - runs) * a_run,
        family=family,
        rng=stream(config.seed, "look", number, standing.claim.key),
    )


def _state(standing: Standing, found: Prospect | None, futile: bool) -> ClaimState:
    known = standing.evidence
    return ClaimState(
        claim=standing.claim.key,
        n=known.n,
        mean=_finite(known.mean),
        log_e=float(np.log(min(known.e_peak, 1e300))),
        low=_finite(known.lower),
        high=_finite(known.upper),
        state="futile" if futile else standing.state,
        chance=None if found is None else found.chance,
    )


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
