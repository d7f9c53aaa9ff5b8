"""What others plug in, well and badly: games and models that studies name "tests.support.third_party:…"."""

from __future__ import annotations

import math
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agents.models.model import Completion, Likelihood, Model, ModelCard, ModelUnavailable, PromptRefused, Request
from agents.selection import Selection
from environments.games.game import MissingData
from environments.games.rounds import RoundGame, round_game
from environments.grammar import Choices
from environments.spec import EnvSpec

SIDES = Choices(("[heads]", "[tails]"))


class Coin(RoundGame):
    """One flip to call; raises what its class says."""

    rules = "I flip a coin. Call it: [heads] or [tails]."
    rounds = 2
    grammar = SIDES

    def deal(self, rng: Any) -> None:
        self.side = ("heads", "tails")[int(rng.integers(2))]

    def question(self, round: int) -> str:
        return "Your call?"

    def answer(self, round: int, move: str) -> tuple[str, float]:
        return f"It was {self.side}.", 0.5 * (move == self.side)


class Fragile(Coin):
    def answer(self, round: int, move: str) -> tuple[str, float]:
        if self.side == "tails":
            raise RuntimeError("the coin\nrolled away")
        return super().answer(round, move)


def _spec(id: str, kind: type[RoundGame]) -> EnvSpec:
    return round_game(id, kind, rounds=2, grammar=SIDES, family="Coin", difficulty=0, summary="Call two flips.")


COIN = _spec("Coin-v0", Coin)


def fragile() -> EnvSpec:
    """Half of its games raise in the middle."""
    return _spec("Fragile-v0", Fragile)


def _changed(make: Any, **fields: Any) -> EnvSpec:
    known = {name: getattr(COIN, name) for name in EnvSpec.__slots__}
    return EnvSpec(**{**known, "make": make, **fields})


def unmakeable() -> EnvSpec:
    def make() -> Any:
        raise FileNotFoundError("no coin in the purse")

    return _changed(make, id="Unmakeable-v0")


def coin_again() -> EnvSpec:
    return COIN


def misnamed() -> EnvSpec:
    """Calls its seat by another name than a study does."""

    def make() -> Any:
        env = COIN.make()
        env.possible_agents = ["somebody"]
        return env

    return _changed(make, id="Misnamed-v0")


def priceless() -> EnvSpec:
    """Pays what is no number."""

    def make() -> Any:
        env = COIN.make()
        last = env.last

        def unpriced(observe: bool = True) -> Any:
            observation, _, *rest = last()
            return observation, math.nan, *rest

        env.last = unpriced  # type: ignore[method-assign]
        return env

    return _changed(make, id="Priceless-v0")


def generous() -> EnvSpec:
    """Pays more than it says."""

    def make() -> Any:
        env = COIN.make()
        last = env.last

        def overpaid(observe: bool = True) -> Any:
            observation, _, *rest = last()
            return observation, 1e308, *rest

        env.last = overpaid  # type: ignore[method-assign]
        return env

    return _changed(make, id="Generous-v0")


def endless() -> EnvSpec:
    """Says that a game has one move, and goes on."""
    return _changed(COIN.make, id="Endless-v0", horizon=1)


def stuck() -> EnvSpec:
    """Waits for ever at its second move."""

    def make() -> Any:
        env = COIN.make()
        moves = iter((env.step,))

        def wait(action: Any) -> None:
            next(moves, lambda _: threading.Event().wait())(action)

        env.step = wait  # type: ignore[method-assign]
        return env

    return _changed(make, id="Stuck-v0", patience=0.3)


def _at_its_first_move(id: str, happens: Callable[[], object], **fields: Any) -> EnvSpec:
    def make() -> Any:
        env = COIN.make()
        step = env.step

        def surprise(action: Any) -> None:
            happens()
            step(action)

        env.step = surprise  # type: ignore[method-assign]
        return env

    return _changed(make, id=id, **fields)


def fatal() -> EnvSpec:
    """Takes its process along."""
    return _at_its_first_move("Fatal-v0", lambda: os.kill(os.getpid(), signal.SIGKILL))


def deaf() -> EnvSpec:
    """Waits for ever where no alarm reaches it, as code in C may."""

    def wait() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        threading.Event().wait()

    return _at_its_first_move("Deaf-v0", wait, patience=0.3)


def talkative() -> EnvSpec:
    """Prints."""
    return _at_its_first_move("Talkative-v0", lambda: print("NOT A RESULT"))


def unfurnished() -> EnvSpec:
    """Needs what no machine has."""

    def make() -> Any:
        raise MissingData("Unfurnished-v0 needs a table: buy one")

    return _changed(make, id="Unfurnished-v0")


def deserting() -> EnvSpec:
    """Drops its seat in place of ending its game."""

    def make() -> Any:
        env = COIN.make()
        step = env.step

        def desert(action: Any) -> None:
            step(action)
            if any(env.terminations.values()):
                env.agents = []

        env.step = desert  # type: ignore[method-assign]
        return env

    return _changed(make, id="Deserting-v0")


def surrogates() -> EnvSpec:
    """Says what no file can hold."""

    def make() -> Any:
        env = COIN.make()
        env.observe = lambda agent: {"text": "half a character: \ud83d"}  # type: ignore[method-assign]
        return env

    return _changed(make, id="Surrogates-v0")


class FakeModel(Model):
    """Says what `say` gives; a fake, for these tests alone."""

    def __init__(self, name: str = "fake") -> None:
        self.name = name
        self.calls = 0

    @property
    def card(self) -> ModelCard:
        return ModelCard(self.name, "fake", "fake", os.environ.get("FAKE_WEIGHTS", "0"), "exact", 4096)

    def say(self, request: Request) -> str:
        return ""

    async def generate(self, request: Request) -> Completion:
        self.calls += 1
        return Completion(self.say(request), 1, 1)

    async def score(self, utterances: Any) -> list[Likelihood]:
        return [Likelihood((-1.0,) * len(utterance.text)) for utterance in utterances]

    def count(self, text: str) -> int:
        return len(text.split())

    async def close(self) -> None:
        pass


class Silent(FakeModel):
    """Answers nothing."""


class Garbage(FakeModel):
    """Answers anything but what it was asked for."""

    ANSWERS = ("", "\ud83d half", "[[[[[", "\x00\x1b[31m", "[999999999999]", "🤖" * 2000, "[bold]{rules}[/]", "\n\n")

    def say(self, request: Request) -> str:
        return self.ANSWERS[self.calls % len(self.ANSWERS)]


class Gone(FakeModel):
    """Does not answer while the file named by FAKE_GONE exists, from its 20th call on."""

    def say(self, request: Request) -> str:
        if self.calls > 20 and Path(os.environ["FAKE_GONE"]).exists():
            raise ModelUnavailable("fake at http://127.0.0.1:9/v1 does not answer: connection refused.")
        return "[10]"


class Away(FakeModel):
    """Does not answer its first FAKE_AWAY calls."""

    def say(self, request: Request) -> str:
        if self.calls <= int(os.environ.get("FAKE_AWAY", "0")):
            raise ModelUnavailable("fake at http://127.0.0.1:9/v1 does not answer.")
        return "[heads]"


class Refusing(FakeModel):
    """Refuses one request in eight, and the same ones whenever they are made."""

    def say(self, request: Request) -> str:
        if request.sampling.seed % 8 == 1:
            raise PromptRefused("the content filter refuses this prompt")
        return "[heads]"


class Broken(FakeModel):
    """Raises what nobody expects."""

    def say(self, request: Request) -> str:
        raise ZeroDivisionError("a bug of the model")


def must_not_be_loaded() -> Model:
    raise AssertionError("a model was loaded although the study names things that are not there")


class Last:
    """The last skill, always."""

    async def select(self, state: Any, skills: Any, rng: Any) -> Selection:
        return Selection(skills[-1])


class AtOnce:
    """Every skill ends after one step."""

    async def done(self, skill: Any, state: Any) -> tuple[bool, int]:
        return True, 0


def last(model: Any, embedder: Any, values: Any) -> Last:
    return Last()


def at_once(model: Any) -> AtOnce:
    return AtOnce()


NOT_A_FACTORY = 3
