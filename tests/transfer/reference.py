"""The method a second time: the paper's section 4 and the official code's rules, in plain Python.

Written from the formulas, not from `transfer`: nothing is imported from there, and records are only read. Where the
two disagree, one of them is wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import fmean
from typing import Any

PAPER: dict[str, Any] = {
    "critic": "hindsight",
    "aggregation": "consolidate",
    "gate": "ppo",
    "advantage": "return-to-go",
    "gamma": 1.0,
    "likelihood": "sum",
    "reduction": "per-trajectory",
    "acceptance": "objective",
    "margin": 0.0,
    "clip": 0.2,
    "scorer": "actor",
    "whose": "policy",
    "reasoning": "given",
    "maintenance": "always",
    "evidence": 3,
    "priority": "potential",
    "credit": "step-mean",
    "baseline": "running-mean",
    "alpha": 0.1,
    "batch": 6,
    "candidates": 3,
    "parents": 2,
    "related": 0.5,
    "cooldown": 3,
}
AS_RELEASED = PAPER | {
    "aggregation": "juxtapose",
    "advantage": "per-step-share",
    "likelihood": "per-token-mean",
    "reduction": "per-step",
    "margin": 0.001,
    "scorer": "evolver",
    "whose": "raw",
    "maintenance": "lower-bound",
    "priority": "as-released",
    "credit": "per-call",
    "baseline": "moving-average",
}
PRESETS = {"paper": PAPER, "as-released": AS_RELEASED}

REPEATS = 24
"""Utterances scored twice to measure the noise floor."""
LEAST = 0.5
"""Share of the steps that must have a ratio."""
ZERO = 1e-12
"""What floating point makes of zero."""


# -- steps, returns, advantages -------------------------------------------------------------------------------------


def stretches(steps: Sequence[Any]) -> list[tuple[str | None, int, int]]:
    """(skill, start, stop): cut where the skill changes, and where it is called anew."""
    cuts = [i for i, step in enumerate(steps) if i == 0 or step.started or step.skill != steps[i - 1].skill]
    return [(steps[start].skill, start, stop) for start, stop in pairwise([*cuts, len(steps)])]


def to_go(rewards: Sequence[float], gamma: float) -> list[float]:
    """G_t = Σ_{k≥t} γ^{k−t} r_k."""
    count = len(rewards)
    return [math.fsum(gamma ** (k - t) * rewards[k] for k in range(t, count)) for t in range(count)]


def advantages(
    kind: str, gamma: float, spans: Sequence[tuple[Any, int, int]], baselines: Sequence[float]
) -> list[list[float]]:
    """Â of each step of each (trajectory, start, stop), `baselines` holding R̄ of each."""
    batch = {trajectory.id: trajectory for trajectory, _, _ in spans}
    rewards = {id: [step.reward for step in trajectory.steps] for id, trajectory in batch.items()}
    out: list[list[float]] = []
    for (trajectory, start, stop), baseline in zip(spans, baselines, strict=True):
        own = to_go(rewards[trajectory.id], gamma)
        if kind == "return-to-go":
            values = [own[t] - baseline for t in range(start, stop)]
        elif kind == "per-step-share":
            values = [(trajectory.total - baseline) / len(trajectory.steps)] * (stop - start)
        else:
            level = fmean(each.total for each in batch.values()) - baseline if gamma > 0 else 0.0
            others = [to_go(each, gamma) for each in rewards.values()]
            values = [own[t] - fmean(each[t] for each in others if len(each) > t) + level for t in range(start, stop)]
        out.append(values)
    return out


# -- the clipped surrogate ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    before: float
    after: float
    stderr: float
    clipped: float
    usable: float
    noise: float
    apart: Mapping[str, float]
    """By trajectory: how far its share of ΔJ is from what its weight alone would give."""

    @property
    def change(self) -> float:
        return self.after - self.before


def likelihood(kind: str, tokens: Sequence[float]) -> float:
    return sum(tokens) if kind == "sum" else sum(tokens) / len(tokens)


def log_ratio(old: float, new: float) -> float | None:
    if math.isnan(old) or math.isnan(new) or math.isinf(old) or new == math.inf:
        return None
    return min(10.0, max(-10.0, new - old))


def weights(kind: str, owners: Sequence[str]) -> list[float]:
    """Mean over trajectories of the mean over steps, or mean over steps."""
    if kind == "per-step":
        return [1 / len(owners) for _ in owners]
    return [1 / len(set(owners)) / owners.count(owner) for owner in owners]


def spread(apart: Mapping[str, float]) -> float:
    """Standard error of a sum over independent trajectories, each of whose shares is this far from the expected."""
    n = len(apart)
    return math.sqrt(n / (n - 1) * math.fsum(value**2 for value in apart.values())) if n > 1 else math.nan


def surrogate(
    logs: Sequence[float | None], gains: Sequence[float], owners: Sequence[str], *, reduction: str, clip: float, nats: float
) -> Found:
    """J = Σ w min(ρÂ, clip(ρ)Â) over the steps that have a ratio, and what is to be known of its difference to ρ ≡ 1."""
    usable = [i for i, (log, gain) in enumerate(zip(logs, gains, strict=True)) if log is not None and math.isfinite(gain)]
    if not usable:
        return Found(0.0, 0.0, math.nan, 0.0, 0.0, 0.0, {})
    share = dict(zip(usable, weights(reduction, [owners[i] for i in usable]), strict=True))
    before = after = slopes = 0.0
    clipped = 0
    shift = dict.fromkeys([owners[i] for i in usable], 0.0)
    weight = dict(shift)
    for i in usable:
        ratio, gain = math.exp(logs[i] or 0.0), gains[i]
        bounded = min(1 + clip, max(1 - clip, ratio))
        caps = bounded * gain < ratio * gain
        term = bounded * gain if caps else ratio * gain
        before += share[i] * gain
        after += share[i] * term
        clipped += caps
        slopes += 0.0 if caps else (share[i] * ratio * gain) ** 2
        shift[owners[i]] += share[i] * (term - gain)
        weight[owners[i]] += share[i]
    apart = {owner: shift[owner] - weight[owner] * (after - before) for owner in shift}
    noise = 2 * nats * math.sqrt(slopes)
    return Found(before, after, spread(apart), clipped / len(usable), len(usable) / len(logs), noise, apart)


def panel(found: Sequence[Found]) -> Found:
    """Several scorers: J is their mean; they judge the same trajectories, but their noises are independent."""
    owners = dict.fromkeys(owner for each in found for owner in each.apart)
    apart = {owner: math.fsum(each.apart.get(owner, 0.0) for each in found) / len(found) for owner in owners}
    return Found(
        before=fmean(each.before for each in found),
        after=fmean(each.after for each in found),
        stderr=spread(apart),
        clipped=fmean(each.clipped for each in found),
        usable=min(each.usable for each in found),
        noise=math.sqrt(math.fsum(each.noise**2 for each in found)) / len(found),
        apart=apart,
    )


RULES = {"objective": "PositiveObjective", "improvement": "Improvement", "confident-improvement": "ConfidentImprovement"}


def excess(acceptance: str, margin: float, found: Found) -> float:
    if acceptance == "objective":
        return found.after - margin
    if acceptance == "improvement":
        return found.change - margin
    return -math.inf if math.isnan(found.stderr) else found.change - margin * found.stderr


def outcome(acceptance: str, margin: float, found: Found) -> tuple[str, str]:
    above = excess(acceptance, margin, found)
    why = f"{RULES[acceptance]}: {above:+.4g}"
    if found.usable < LEAST:
        return "undecided", f"only {found.usable:.0%} of the steps have a usable likelihood"
    if found.noise > 0 and abs(above) <= found.noise:
        return "undecided", f"{why} lies within the numerical noise of {found.noise:.2g}"
    return ("accepted" if above > ZERO else "rejected"), why


# -- credit and baselines -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tally:
    gain: float = 0.0
    n: int = 0
    calls: int = 0
    steps: int = 0

    @property
    def value(self) -> float:
        return self.gain / self.n if self.n else self.gain

    def __add__(self, other: Tally) -> Tally:
        return Tally(self.gain + other.gain, self.n + other.n, self.calls + other.calls, self.steps + other.steps)


def follow(kind: str, alpha: float, old: tuple[float, int] | None, returns: Sequence[float]) -> tuple[float, int]:
    """R̄ and its number of episodes after these returns."""
    if old is None:
        return fmean(returns), len(returns)
    mean, n = old
    if kind == "running-mean":
        return (mean * n + math.fsum(returns)) / (n + len(returns)), n + len(returns)
    for value in returns:
        mean = (1 - alpha) * mean + alpha * value
    return mean, n + len(returns)


def credit(kind: str, trajectory: Any, baseline: float) -> dict[str, Tally]:
    """What each skill of a trajectory gained over the baseline."""
    steps = trajectory.steps
    length = len(steps)
    out: dict[str, Tally] = {}
    calls_of_all = sum(1 for step in steps if step.started and step.skill)
    for skill in dict.fromkeys(step.skill for step in steps if step.skill):
        active = [step for step in steps if step.skill == skill]
        calls = sum(1 for step in active if step.started)
        if kind == "step-mean":
            if any(step.reward for step in steps[: length - 1]):
                gain = fmean(step.reward - baseline / length for step in active)
            else:
                gain = (trajectory.total - baseline) / length
            out[skill] = Tally(gain, 1, calls, len(active))
        elif calls:
            out[skill] = Tally((trajectory.total - baseline) * calls / calls_of_all, calls, calls, len(active))
    return out


# -- which skills leave ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """What a rule knows of one skill."""

    id: str
    words: str
    """Its text but for the name, folded."""
    vector: tuple[float, ...]
    score: Tally
    born: int


def leaving(kind: str, evidence: int, skills: Sequence[Held], capacity: int, iteration: int) -> list[tuple[str, str]]:
    """(id, why) of those that go; `iteration` counts the finished ones."""
    surplus = max(0, len(skills) - capacity)
    if kind == "fifo":
        oldest = sorted(skills, key=lambda each: (each.born, each.id))
        return [(each.id, "first in, first out") for each in oldest[:surplus]]
    if kind == "lower-bound":
        return [(id, "lowest confidence bound") for id in _by_bound(skills, iteration)[:surplus]]
    if kind == "over-capacity" and not surplus:
        return []
    return _by_score(evidence, skills, capacity, iteration)


def _by_bound(skills: Sequence[Held], iteration: int) -> list[str]:
    age = {each.id: iteration - each.born for each in skills}
    t = max(1, *age.values())

    def order(each: Held) -> tuple[int, float, str]:
        n = each.score.n
        bound = each.score.value - 0.2 * math.sqrt(math.log(1 + t) / max(1, n))
        if n >= 10 and age[each.id] > 2 and bound < -0.001:
            return 0, bound, each.id
        return (1 if n < 10 else 2 if n < 80 else 3), bound, each.id

    return [each.id for each in sorted(skills, key=order)]


def _by_score(evidence: int, skills: Sequence[Held], capacity: int, iteration: int) -> list[tuple[str, str]]:
    young = {each.id for each in skills if each.score.n < evidence and iteration - each.born <= 3}
    failed = [each for each in skills if each.score.n >= evidence and each.score.value <= ZERO]
    if len(failed) == len(skills):
        spared = sorted(failed, key=lambda each: (each.score.value, each.id))[-1]
        failed = [each for each in failed if each is not spared]
    out = [(each.id, "score ≤ 0") for each in failed]
    left = [each for each in skills if each not in failed]
    for i, one in enumerate(left):
        for other in left[i + 1 :]:
            gone = {id for id, _ in out}
            cosine = math.fsum(a * b for a, b in zip(one.vector, other.vector, strict=True))
            twins = one.words == other.words
            if gone & {one.id, other.id} or not (twins or cosine >= 0.95):
                continue
            if not twins and young & {one.id, other.id}:
                continue
            values = one.score.value, other.score.value
            tied = values[0] == values[1]
            worse = other if values[1] < values[0] or (tied and other.born > one.born) else one
            out.append((worse.id, "same text as another" if twins else f"activation like another's (cosine {cosine:.2f})"))
    gone = {id for id, _ in out}
    left = [each for each in left if each.id not in gone]
    surplus = max(0, len(left) - capacity)
    ranked = sorted(left, key=lambda each: (each.id in young, each.score.value, each.id))
    return out + [(each.id, "lowest score of a full pool") for each in ranked[:surplus]]


# -- Algorithm 1 ----------------------------------------------------------------------------------------------------


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
        return replace(memory, returns=returns, iteration=self.now)

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
        candidates: list[Any] = []
        for nth in range(choices["candidates"]):
            skill = world.candidate(parent, nth, mode, batch[0].rules, direction, used)
            if same_words(skill, parent):
                skip("a candidate repeats its parent")
            elif any(same_words(skill, other) for other in candidates):
                skip("a candidate repeats another")
            else:
                candidates.append(skill)
        for skill in list(candidates):
            if skill.id in memory.skills or skill.id in memory.deaths:
                skip(f"candidate {skill.id} is in the pool or was pruned from it before")
                candidates.remove(skill)
            else:
                payload = {"mode": mode, "skill": words(skill)}
                self.note("candidate", skill.id, [id], names, payload)
        flat = [
            (each, start, stop, mean)
            for each, cuts, mean in zip(batch, spans, means, strict=True)
            for _, start, stop in cuts
        ]
        verdicts = self.judge(parent, candidates, flat)
        for skill, verdict in zip(candidates, verdicts, strict=True):
            self.note("verdict", skill.id, [id], names, verdict)
        passed = [(skill, verdict) for skill, verdict in zip(candidates, verdicts, strict=True) if verdict["outcome"] == "accepted"]
        if not passed:
            return None, [each["outcome"] for each in verdicts]
        skill, verdict = max(passed, key=lambda pair: pair[1]["J"] or 0.0)
        self.note("admitted", skill.id, [id], names, {"mode": mode, "J": verdict["J"], "delta_J": verdict["delta_J"]})
        return skill, [each["outcome"] for each in verdicts]

    def judge(
        self, parent: Any, candidates: Sequence[Any], flat: Sequence[tuple[Any, int, int, float]]
    ) -> list[dict[str, Any]]:
        choices, world = self.choices, self.scenario
        blank = dict.fromkeys(
            ("J", "J_before", "delta_J", "stderr", "noise", "noise_nats", "clipped", "usable", "rebuilt")
        )
        if choices["gate"] == "none":
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
                    surrogate(logs, gains, owners, reduction=choices["reduction"], clip=choices["clip"], nats=floors[-1])
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
                }
            )
        return out

    def floor(self, model: str, parent: Any, places: Sequence[Any], styles: Sequence[Any], old: Sequence[float]) -> float:
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
