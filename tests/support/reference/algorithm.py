"""The method a second time: the paper's section 4 and the official code's rules, in plain Python.

Written from the formulas, not from `transfer`: nothing is imported from there, and records are only read. Where the
two disagree, one of them is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Any

from tests.support.reference.gate import (
    Found,
    advantages,
    likelihood,
    log_ratio,
    outcome,
    panel,
    stretches,
    surrogate,
)
from tests.support.reference.maintenance import Held, Tally, credit, follow, leaving

REPEATS = 24
"""Utterances scored twice to measure the noise floor."""


@dataclass(frozen=True)
class Memory:
    """All that learning knows between two iterations."""

    skills: Mapping[str, Any]
    capacity: int
    iteration: int = 0
    scores: Mapping[str, Tally] = field(default_factory=dict)
    baselines: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    buffer: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    cooldowns: Mapping[str, int] = field(default_factory=dict)
    born: Mapping[str, int] = field(default_factory=dict)
    deaths: Mapping[str, float] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    returns: tuple[float, ...] = ()
    extra: int = 0

    def score(self, id: str) -> Tally:
        return self.scores.get(id, Tally())

    @property
    def pool(self) -> list[str]:
        return sorted(self.skills)


def parents(choices: Mapping[str, Any], memory: Memory) -> list[str]:
    """impact × gap × evidence (paper 4.2), or the official code's priority."""
    now = memory.iteration + 1
    ready = [id for id in memory.pool if len(memory.buffer.get(id, ())) >= choices["batch"]]
    urgency: dict[str, float] = {}
    if choices["priority"] == "potential":
        ready = [id for id in ready if memory.cooldowns.get(id, 0) <= now]
        known = [memory.score(id).value for id in memory.pool if memory.score(id).n]
        for id in ready:
            score = memory.score(id)
            width = max(known) - min(known) if known else 0.0
            gap = max(0.1, (max(known) - score.value) / width if width > 0 else 0.0)
            urgency[id] = gap * (1 - math.exp(-score.calls / 50)) * (1 - math.exp(-score.n / 30))
    else:
        best = max((memory.score(id).value for id in memory.pool if memory.score(id).calls >= 15), default=0.0)
        for id in ready:
            score = memory.score(id)
            gap = max(0.0, best - score.value)
            if score.calls < 15 or gap <= 0.01:
                urgency[id] = 0.0
            elif memory.cooldowns.get(id, 0) > now:
                urgency[id] = -0.01
            else:
                age = memory.iteration - memory.born.get(id, 0)
                use = (1 - math.exp(-score.calls / 50)) * (1 - math.exp(-score.calls / 30))
                urgency[id] = use * gap * math.exp(-age / 8)
    return sorted(ready, key=lambda id: (-urgency[id], id))[: choices["parents"]]


def halves(batch: Sequence[Any], size: int) -> list[Any]:
    """The best and the worst, in the order they were played; the middle one of an odd size is a bad one."""
    order = sorted(batch, key=lambda each: each.total)
    chosen = [*order[: size - size // 2], *(order[-(size // 2) :] if size // 2 else [])]
    return [each for each in batch if any(each is other for other in chosen)]


@dataclass
class Iteration:
    """One iteration of Algorithm 1 in a scenario that knows every answer of every model (see `scenario.py`)."""

    choices: Mapping[str, Any]
    scenario: Any
    events: list[tuple[Any, ...]] = field(default_factory=list)
    asked: int = 0
    """Episodes of duels, and the games that were met in them."""
    met: int = 0

    def note(self, kind: str, skill: str = "", parents: Any = (), trajectories: Any = (), payload: Any = None) -> None:
        self.events.append((kind, self.now, skill, tuple(parents), tuple(trajectories), payload or {}))

    def run(self, memory: Memory, fresh: Sequence[Any]) -> Memory:
        self.now = memory.iteration + 1
        if not memory.iteration:
            for id in memory.pool:
                skill = memory.skills[id]
                self.events.append(("seeded", 0, id, tuple(skill.parents), (), {"skill": words(skill)}))
        memory = self.observe(memory, fresh)
        chosen = parents(self.choices, memory)
        memory = self.settle(memory, [(id, *self.evolve(memory, id)) for id in chosen])
        totals = [each.total for each in fresh if math.isfinite(each.total)]
        returns = (*memory.returns, fmean(totals)) if totals else memory.returns
        return replace(memory, returns=returns, iteration=self.now, extra=memory.extra + self.asked)

    def observe(self, memory: Memory, fresh: Sequence[Any]) -> Memory:
        good = [
            each
            for each in fresh
            if each.steps and math.isfinite(each.total) and all(math.isfinite(step.reward) for step in each.steps)
        ]
        for each in fresh:
            if not any(each is other for other in good):
                self.note("skipped", trajectories=[each.id], payload={"why": "no steps or a non-finite reward"})
        baselines = dict(memory.baselines)
        for task in dict.fromkeys(each.task for each in good):
            returns = [each.total for each in good if each.task == task]
            mean, n = follow(self.choices["baseline"], self.choices["alpha"], baselines.get(task), returns)
            baselines[task] = mean, n
            self.note("baseline", payload={"task": task, "mean": mean, "n": n})
        scores, buffer = dict(memory.scores), dict(memory.buffer)
        for each in good:
            for id, tally in credit(self.choices["credit"], each, baselines[each.task][0]).items():
                if id in memory.skills:
                    scores[id] = scores.get(id, Tally()) + tally
                    buffer[id] = (*buffer.get(id, ()), each.id)
        for id in memory.pool:
            if id in scores:
                score = scores[id]
                payload = {"gain": score.gain, "n": score.n, "calls": score.calls, "steps": score.steps}
                self.note("scored", id, payload=payload | {"value": score.value})
        return replace(memory, baselines=baselines, scores=scores, buffer=buffer)

    def evolve(self, memory: Memory, id: str) -> tuple[Any, list[str]]:
        """The offspring that is admitted, if any, and the outcome of every verdict."""
        choices, world, parent = self.choices, self.scenario, memory.skills[id]
        stored = [world.stored[name] for name in memory.buffer[id] if name in world.stored]
        batch = halves(stored, choices["batch"])
        names = [each.id for each in batch]

        def skip(why: str) -> None:
            self.note("skipped", id, trajectories=names, payload={"why": why})

        if len(batch) < choices["batch"]:
            skip("too few of its trajectories can be recalled")
            return None, []
        spans = [[cut for cut in stretches(each.steps) if cut[0] == id] for each in batch]
        means = [memory.baselines[each.task][0] for each in batch]
        gradients: list[dict[str, Any]] = []
        for each, cuts, mean in zip(batch, spans, means, strict=True):
            gradient = world.gradient(choices["critic"], parent, each, len(cuts), mean)
            if isinstance(gradient, str):
                skip(gradient)
                continue
            gradients.append(gradient)
            self.note("gradient", id, trajectories=[each.id], payload=gradient)
        if not gradients:
            skip("none of its trajectories gave a usable gradient")
            return None, []
        related = [each for each in gradients if each["is_related"]]
        refine = len(related) / len(gradients) >= choices["related"]
        mode = "REFINE" if refine else "DISCOVER"
        used = related if refine and related else gradients
        direction = world.direction(choices["aggregation"], parent, used)
        self.note("aggregate", id, trajectories=names, payload={"mode": mode, "related": len(related)} | direction)
        drafts = [
            world.candidate(parent, nth, mode, batch[0].rules, direction, used) for nth in range(choices["candidates"])
        ]
        candidates = self.sift(memory, parent, mode, drafts, names)
        flat = [
            (each, start, stop, mean)
            for each, cuts, mean in zip(batch, spans, means, strict=True)
            for _, start, stop in cuts
        ]
        verdicts = self.race(parent, candidates, self.judge(parent, candidates, flat))
        for skill, verdict in zip(candidates, verdicts, strict=True):
            self.note("verdict", skill.id, [id], names, verdict)
        passed = [
            (skill, verdict)
            for skill, verdict in zip(candidates, verdicts, strict=True)
            if verdict["outcome"] == "accepted"
        ]
        if not passed:
            return None, [each["outcome"] for each in verdicts]
        skill, verdict = max(passed, key=lambda pair: pair[1]["J"] or 0.0)
        self.note("admitted", skill.id, [id], names, {"mode": mode, "J": verdict["J"], "delta_J": verdict["delta_J"]})
        return skill, [each["outcome"] for each in verdicts]

    def sift(self, memory: Memory, parent: Any, mode: str, drafts: Sequence[Any], names: Sequence[str]) -> list[Any]:
        """The drafts that are new; repetitions are named first, then what was known before."""
        candidates: list[Any] = []
        for skill in drafts:
            if same_words(skill, parent):
                self.note("skipped", parent.id, (), names, {"why": "a candidate repeats its parent"})
            elif any(same_words(skill, other) for other in candidates):
                self.note("skipped", parent.id, (), names, {"why": "a candidate repeats another"})
            else:
                candidates.append(skill)
        for skill in list(candidates):
            if skill.id in memory.skills or skill.id in memory.deaths:
                why = f"candidate {skill.id} is in the pool or was pruned from it before"
                self.note("skipped", parent.id, (), names, {"why": why})
                candidates.remove(skill)
            else:
                self.note("candidate", skill.id, [parent.id], names, {"mode": mode, "skill": words(skill)})
        return candidates

    def judge(
        self, parent: Any, candidates: Sequence[Any], flat: Sequence[tuple[Any, int, int, float]]
    ) -> list[dict[str, Any]]:
        choices, world = self.choices, self.scenario
        blank = dict.fromkeys(
            ("J", "J_before", "delta_J", "stderr", "noise", "noise_nats", "clipped", "usable", "rebuilt", "text_only")
        )
        if choices["gate"] in ("none", "race"):
            return [blank | {"outcome": "accepted", "why": "no gate"} for _ in candidates]
        gains = [
            value
            for values in advantages(
                choices["advantage"], choices["gamma"], [span[:3] for span in flat], [span[3] for span in flat]
            )
            for value in values
        ]
        if not any(value and not math.isnan(value) for value in gains):
            return [blank | {"outcome": "undecided", "why": "every return equals the baseline"} for _ in candidates]
        places = [(each, t) for each, start, stop, _ in flat for t in range(start, stop)]
        styles = [world.style(each, start, parent) for each, start, stop, _ in flat for _ in range(start, stop)]
        rebuilt = fmean(float(world.style(each, start, parent)[1]) for each, start, _, _ in flat)
        owners = [each.id for each, _ in places]
        found: dict[str, list[Found]] = {skill.id: [] for skill in candidates}
        floors: list[float] = []
        for model in world.scorers(choices["scorer"]):

            def law(skill: Any, model: str = model) -> list[float]:
                return [
                    likelihood(choices["likelihood"], world.tokens(choices, model, skill, each, t, style))
                    for (each, t), (style, _) in zip(places, styles, strict=True)
                ]

            old = law(parent)
            floors.append(self.floor(model, parent, places, styles, old))
            for skill in candidates:
                logs = [log_ratio(a, b) for a, b in zip(old, law(skill), strict=True)]
                found[skill.id].append(
                    surrogate(
                        logs, gains, owners, reduction=choices["reduction"], clip=choices["clip"], nats=floors[-1]
                    )
                )
        nats = math.sqrt(fmean(each**2 for each in floors))
        out: list[dict[str, Any]] = []
        for skill in candidates:
            whole = panel(found[skill.id])
            decision, why = outcome(choices["acceptance"], choices["margin"], whole)
            out.append(
                {
                    "outcome": decision,
                    "why": why,
                    "J": whole.after,
                    "J_before": whole.before,
                    "delta_J": whole.change,
                    "stderr": None if math.isnan(whole.stderr) else whole.stderr,
                    "noise": whole.noise,
                    "noise_nats": nats,
                    "clipped": whole.clipped,
                    "usable": whole.usable,
                    "rebuilt": rebuilt,
                    "text_only": sum(each.steps[t].tokens is None for each, t in places),
                }
            )
        return out

    def race(self, parent: Any, candidates: Sequence[Any], verdicts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Duels on common games until one is admitted: the likeliest first, the unlikely not at all."""
        choices, final = self.choices, [dict(each) for each in verdicts]
        if choices["gate"] not in ("race", "likelihood+race"):
            return final
        order = list(range(len(candidates)))
        if choices["gate"] == "likelihood+race":
            for i, each in enumerate(final):
                measured = each["delta_J"] is not None and each["stderr"] is not None
                if measured and each["delta_J"] + choices["screen"] * each["stderr"] < 0:
                    why = f"does not race: ΔJ {each['delta_J']:+.3g} is surely below 0"
                    each |= {"outcome": "rejected", "why": why}
                    order.remove(i)
            order.sort(key=lambda i: math.inf if final[i]["delta_J"] is None else -final[i]["delta_J"])
        home: dict[int, tuple[int, float, str]] = {}
        opponent = parent if choices["duel_opponent"] == "parent" else None
        won = False
        for i in order:
            if won:
                final[i] |= {
                    "outcome": "undecided",
                    "why": "did not race: another was admitted before its turn",
                }
                continue
            duel = self.duel(opponent, candidates[i], home)
            parents = [parent.id] if opponent is not None else []
            self.note("duel", candidates[i].id, parents, duel.pop("trajectories"), duel)
            final[i] |= {"outcome": duel["outcome"], "why": duel["why"]}
            won = duel["outcome"] == "accepted"
        return final

    def duel(self, parent: Any, candidate: Any, home: dict[int, tuple[int, float, str]]) -> dict[str, Any]:
        """`home`: the opponent's games so far, by their place among the duel's: number, return, id."""
        choices, world = self.choices, self.scenario
        differences: list[float] = []
        names: list[str] = []
        numbers: list[int] = []
        outcome, before = "", self.asked
        e, low, high = 1.0, None, None
        for first in range(0, choices["duel_pairs"], choices["duel_look"]):
            batch = range(first, min(first + choices["duel_look"], choices["duel_pairs"]))
            for place in batch:
                if place not in home and self.asked < world.budget:
                    home[place] = (self.met, *world.game(parent, self.met))
                    self.met += 1
                    self.asked += 1
            ready = [place for place in batch if place in home][: world.budget - self.asked]
            self.asked += len(ready)
            for place in ready:
                number, was, opponent = home[place]
                got, own = world.game(candidate, number)
                differences.append(got - was)
                names += [opponent, own]
                numbers.append(number)
                e, low, high = world.weight(choices["duel_test"], differences, choices["duel_level"])
                if e >= 1 / choices["duel_level"]:
                    outcome = "accepted"
                elif high < choices["duel_margin"]:
                    outcome = "rejected"
                if outcome:
                    break
            if outcome or not ready:
                break
        asked, played = 1 / choices["duel_level"], self.asked - before
        why = {
            "accepted": f"e = {e:.3g} ≥ {asked:.3g}",
            "rejected": f"gain below {high or 0:.3g}, asked {choices['duel_margin']:g}",
            "": f"e = {e:.3g} < {asked:.3g}, its games are spent",
        }[outcome]
        return {
            "trajectories": names,
            "env_seeds": numbers,
            "differences": differences,
            "e_value": e,
            "low": low,
            "high": high,
            "level": choices["duel_level"],
            "margin": choices["duel_margin"],
            "outcome": outcome or "undecided",
            "why": f"duel: {why}, after {len(numbers)} pairs" if numbers else "duel: no games could be played",
            "episodes": played,
            "tokens": played * sum(world.TOKENS),
        }

    def floor(
        self, model: str, parent: Any, places: Sequence[Any], styles: Sequence[Any], old: Sequence[float]
    ) -> float:
        """Root mean square difference between two scorings of up to 24 of the parent's utterances, evenly spread."""
        count, last = min(REPEATS, len(places)), len(places) - 1
        step = last / (count - 1) if count > 1 else 0.0
        chosen = sorted({int(i * step) for i in range(count - 1)} | {last if count > 1 else 0})
        apart: list[float] = []
        for i in chosen:
            each, t = places[i]
            again = self.scenario.again(self.choices, model, parent, each, t, styles[i][0])
            value = likelihood(self.choices["likelihood"], again)
            if math.isfinite(value) and math.isfinite(old[i]):
                apart.append(value - old[i])
        return math.sqrt(fmean(each**2 for each in apart)) if apart else 0.0

    def settle(self, memory: Memory, evolved: Sequence[tuple[str, Any, list[str]]]) -> Memory:
        buffer, cooldowns, born = dict(memory.buffer), dict(memory.cooldowns), dict(memory.born)
        outcomes = dict(memory.outcomes)
        skills = {id: memory.skills[id] for id in memory.pool}
        for id, offspring, decisions in evolved:
            for decision in decisions:
                outcomes[decision] = outcomes.get(decision, 0) + 1
            keep = self.choices["batch"] // 2
            buffer[id] = () if offspring else buffer[id][len(buffer[id]) - keep :]
            if offspring:
                cooldowns[id] = self.now + self.choices["cooldown"]
                skills.setdefault(offspring.id, offspring)
                born.setdefault(offspring.id, self.now)
        held = [
            Held(id, folded(skill), self.scenario.vector(skill.activation), memory.score(id), born.get(id, 0))
            for id, skill in skills.items()
        ]
        deaths = dict(memory.deaths)
        for id, why in leaving(
            self.choices["maintenance"], self.choices["evidence"], held, memory.capacity, memory.iteration
        ):
            score = memory.score(id)
            self.note("pruned", id, payload={"why": why, "score": score.value, "n": score.n})
            if score.n:
                deaths[id] = score.value
            del skills[id]
        return replace(
            memory,
            skills=skills,
            buffer={id: kept for id, kept in buffer.items() if id in skills and kept},
            cooldowns={id: until for id, until in cooldowns.items() if id in skills},
            born={id: since for id, since in born.items() if id in skills},
            deaths=deaths,
            outcomes=outcomes,
        )


def words(skill: Any) -> dict[str, str]:
    return {
        "name": skill.name,
        "activation": skill.activation,
        "procedure": skill.procedure,
        "termination": skill.termination,
    }


def folded(skill: Any) -> str:
    return " ".join(f"{skill.activation} {skill.procedure} {skill.termination}".casefold().split())


def same_words(one: Any, other: Any) -> bool:
    return folded(one) == folded(other)
