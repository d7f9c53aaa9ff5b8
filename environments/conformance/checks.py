"""What an environment promises, each promise as a function that checks it."""

from __future__ import annotations

import contextlib
import io
import random
import warnings
from collections.abc import Callable, Generator, Mapping
from functools import cached_property
from itertools import islice, zip_longest
from typing import Any

import numpy as np
from gymnasium import spaces
from pettingzoo.test import api_test, seed_test

from environments import grammar as grammars
from environments.conformance.playthrough import Playthrough, play_randomly, random_moves
from environments.games.watchdog import Watched
from environments.grammar import Choices, JsonSchema, Regex
from environments.sampling import sample
from environments.spec import EnvSpec

EPISODES = 10
GARBAGE = (
    "",
    "I do not know.",
    "[🙂 ☃]",
    "\x00\u202e\n\t[",
    "[" + "9" * 50_000 + "]",
    "[" * 50_000,
    "[Offer: " + " " * 50_000,
)
_EXPECTED_WARNINGS = ("is not a NumPy array", "probably should be gymnasium.spaces.box or gymnasium.spaces.discrete")


class CheckFailed(AssertionError):
    """A promise is not kept; the text says which and how."""


class Subject:
    """The environment under test, and the random episodes that several checks look at."""

    def __init__(self, spec: EnvSpec) -> None:
        self.spec = spec

    def make(self) -> Watched:
        """A fresh environment, every answer of which has to come in time."""
        return Watched(self.spec)

    @property
    def limit(self) -> int:
        """More turns than any episode may have."""
        return self.spec.seats * (self.spec.horizon + 2)

    @cached_property
    def plays(self) -> list[Playthrough]:
        env = self.make()
        return [play_randomly(env, seed, self.limit) for seed in range(EPISODES)]


def _require(kept: bool, otherwise: str) -> None:
    if not kept:
        raise CheckFailed(otherwise)


def _description(subject: Subject) -> str:
    spec, env = subject.spec, subject.make()
    low, high = spec.reward_range
    _require(bool(spec.id) and spec.horizon >= 1, "the spec needs an id and a horizon of at least 1")
    _require(low < high, f"the reward range {low} to {high} is empty")
    env.reset(seed=0)
    _require(len(env.possible_agents) == spec.seats, f"{len(env.possible_agents)} seats, not {spec.seats}")
    for seat in env.possible_agents:
        space = env.observation_space(seat)
        _require(
            isinstance(space, spaces.Dict) and isinstance(space.spaces.get("text"), spaces.Text),
            'observation spaces are to be Dict({"text": Text(...)})',
        )
        _require(isinstance(env.action_space(seat), spaces.Text), "action spaces are to be Text")
        info = env.infos[seat]
        _require(isinstance(info.get("rules"), str) and bool(info["rules"]), "infos hold no rules")
        _require(isinstance(info.get("grammar"), Regex | Choices | JsonSchema), "infos hold no grammar")
        _require(info.get("invalid") == 0, "infos do not start with 0 invalid moves")
        _require(grammars.load(grammars.dump(info["grammar"])) == info["grammar"], "the grammar cannot be recorded")
        _require(env.observe(seat) == env.observe(seat), "observing twice gives two answers")
    return f"{spec.seats} seat{'s' * (spec.seats > 1)}, horizon {spec.horizon}, returns {low:g} to {high:g}"


def _api(subject: Subject) -> str:
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        api_test(subject.make(), num_cycles=subject.limit)
    texts = {str(warning.message) for warning in caught}
    odd = sorted(text for text in texts if not any(known in text for known in _EXPECTED_WARNINGS))
    return f"passed, with warnings: {'; '.join(odd)}" if odd else "passed"


def _seeds(subject: Subject) -> str:
    with contextlib.redirect_stdout(io.StringIO()):
        seed_test(subject.make, num_cycles=subject.limit)
    return "passed"


def _repeatable(subject: Subject) -> str:
    """Two copies in turn, and the global generators disturbed between them."""
    with _global_state_kept():
        for seed in (3, 4):
            pair = [subject.make(), subject.make()]
            for disturbance, env in enumerate(pair):
                _disturb(disturbance)
                env.reset(seed=seed)
            first, second = (random_moves(env, np.random.default_rng(seed)) for env in pair)
            for turn, (one, other) in zip(range(subject.limit), zip_longest(first, second), strict=False):
                _disturb(turn)
                _require(one == other, f"with seed {seed} two copies differ at turn {turn}")
    return "two copies stepped in turn agree"


def _varied(subject: Subject) -> str:
    games = len({_answered_alike(subject, seed) for seed in range(EPISODES)})
    if subject.spec.seeded:
        _require(games > 1, f"{EPISODES} seeds gave the same game; if that is meant, the spec should say seeded=False")
    else:
        _require(games == 1, f"{EPISODES} seeds gave {games} games, yet the spec says seeded=False")
    return f"{EPISODES} seeds, {games} different game{'s' * (games > 1)}"


def _answered_alike(subject: Subject, seed: int) -> tuple[tuple[str, float], ...]:
    """What game number `seed` says and pays to a player who answers every seed alike."""
    env = subject.make()
    env.reset(seed=seed)
    for text in subject.spec.examples:
        env.step(text)
    moves = random_moves(env, np.random.default_rng(0))
    return tuple((move.observation, move.reward) for move in islice(moves, subject.limit))


def _illegal(subject: Subject) -> str:
    refused = 0
    for text in GARBAGE:
        env = subject.make()
        env.reset(seed=0)
        seat = env.agent_selection
        before = env.observe(seat)
        env.step(text)
        if env.infos[seat]["invalid"]:
            refused += 1
            _require(env.observe(seat) != before, f"{text[:20]!r} is refused, but the seat is not told")
        for _ in range(subject.limit):
            if not env.agents:
                break
            over = env.terminations[env.agent_selection] or env.truncations[env.agent_selection]
            env.step(None if over else text)
        _require(not env.agents, f"answering {text[:20]!r} for ever does not end the episode")
    _stumble_on(subject)
    return f"{refused} of {len(GARBAGE)} garbage texts refused with feedback" + (
        ", the others taken as moves" if refused < len(GARBAGE) else ""
    )


def _stumble_on(subject: Subject) -> None:
    """One illegal answer before every legal one: still the episode ends, within its horizon and its reward range."""
    low, high = subject.spec.reward_range
    env = subject.make()
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    totals = dict.fromkeys(env.possible_agents, 0.0)
    for turn, seat in zip(range(subject.limit), env.agent_iter(), strict=False):
        _, reward, terminated, truncated, info = env.last()
        totals[seat] += float(reward)
        text = GARBAGE[1] if turn % 2 == 0 else sample(info["grammar"], rng)
        env.step(None if terminated or truncated else text)
    _require(not env.agents, "stumbling before every move, a player gets beyond the horizon")
    _require(all(low - 1e-9 <= total <= high + 1e-9 for total in totals.values()), f"stumbling pays {totals}")


def _ends(subject: Subject) -> str:
    spec = subject.spec
    longest = 0
    for play in subject.plays:
        _require(not play.running, f"still running after {len(play.moves)} turns")
        left = [seat for index in range(spec.seats) if (seat := f"player_{index}") not in play.ends]
        _require(not left, f"{', '.join(left)} left the game without being told that it was over")
        for seat, info in play.ends.items():
            _require(isinstance(info.get("solved"), bool), "infos do not say at the end whether it was solved")
            _require(isinstance(info.get("reason"), str), "infos give no reason for the end")
            longest = max(longest, play.decisions(seat))
    _require(longest <= spec.horizon, f"a seat took {longest} decisions, the horizon is {spec.horizon}")
    cut = sum(play.truncated for play in subject.plays)
    return f"at most {longest} of {spec.horizon} decisions" + (f", {cut} of {EPISODES} episodes cut off" if cut else "")


def _rewards(subject: Subject) -> str:
    low, high = subject.spec.reward_range
    totals = [play.total(seat) for play in subject.plays for seat in play.ends]
    _require(all(low - 1e-9 <= total <= high + 1e-9 for total in totals), f"returns {totals} leave {low} to {high}")
    return f"returns {min(totals):.2f} to {max(totals):.2f}, mean {np.mean(totals):.2f}"


def _grammar(subject: Subject) -> str:
    spec = subject.spec
    made = illegal = 0
    for play in subject.plays:
        for move in play.moves:
            if move.action is not None:
                _require(move.grammar.accepts(move.action), f"drew {move.action!r}, which it does not accept")
                made += 1
        illegal += sum(info["invalid"] for info in play.ends.values())
    for text in spec.examples:
        env = subject.make()
        env.reset(seed=0)
        seat = env.agent_selection
        _require(env.infos[seat]["grammar"].accepts(text), f"the grammar does not accept the example {text!r}")
        env.step(text)
        _require(env.infos[seat]["invalid"] == 0, f"the game does not accept the example {text!r}")
    _require(illegal < made or bool(spec.examples), f"the game refused all {made} moves drawn from the grammar")
    return f"{made - illegal} of {made} moves drawn from the grammar were legal"


def _untouched(subject: Subject) -> str:
    with _global_state_kept():
        _disturb(11)
        before = _global_state()
        env = subject.make()
        _require(_global_state() == before, "make() changes the global random state")
        play_randomly(env, 0, subject.limit)
        env.close()
        _require(_global_state() == before, "playing changes the global random state")
    return "random and numpy.random as before"


def _global_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)
    return random.getstate(), name, np.asarray(keys).tobytes(), *rest


def _disturb(number: int) -> None:
    random.seed(number)
    np.random.seed(number)


@contextlib.contextmanager
def _global_state_kept() -> Generator[None]:
    python, numpy = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


CHECKS: Mapping[str, Callable[[Subject], str]] = {
    "describes itself": _description,
    "PettingZoo api_test": _api,
    "PettingZoo seed_test": _seeds,
    "same seed, same game": _repeatable,
    "other seeds, other games": _varied,
    "illegal moves": _illegal,
    "ends within its horizon": _ends,
    "rewards in range": _rewards,
    "grammar": _grammar,
    "global randomness untouched": _untouched,
}
"""Each check returns what it found, and raises `CheckFailed` (or whatever the environment raises) where it fails."""
