"""`procmem play`: a person takes a seat, under the grammar that models play under."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.columns import Columns
from rich.padding import Padding
from rich.panel import Panel

from testbed.cli.study_file import open_working_folder
from testbed.cli.terminal import output, plain, say, tell

if TYPE_CHECKING:
    from agents.agent import SkillAgent
    from environments.games.watchdog import Watched
    from environments.grammar import Grammar
    from environments.spec import EnvSpec

Answer = Callable[[str, str, str, "Grammar"], str]
"""The move of another seat, from its name, the rules, what it sees and its legal moves."""


def play(
    environment: Annotated[str, typer.Argument(metavar="ENV", help="A game's id, or package.module:NAME of your own.")],
    seed: Annotated[int, typer.Option(min=0, help="Which game: the same seed is the same game.")] = 0,
    seat: Annotated[int, typer.Option(min=0, help="Your seat, counted from 0.")] = 0,
    opponent: Annotated[
        str, typer.Option(help="Who sits in the other seats: any model that a study may name.")
    ] = "scripted:random",
) -> None:
    """Play a seat of a game yourself, to see what a model sees. Nothing is recorded.

    Where the legal moves can be listed, answer with a move or its number. Ctrl-C, or the end of the input, leaves.

    Examples: `procmem play Mastermind-v0 --seed 3` · `procmem play ConnectFour-v0 --seat 1`
    """
    from environments.games.watchdog import Watched
    from testbed.config.plugins import find_environment
    from testbed.config.study import ConfigError

    if ":" in environment:
        open_working_folder()
    spec = find_environment(environment)
    if seat >= spec.seats:
        raise ConfigError(f"--seat {seat}: the last seat of {spec.id} is {spec.seats - 1}")
    with _blaming(spec):
        env = Watched(spec)
    try:
        with _others(spec, opponent, seed) as answer:
            _play(spec, env, f"player_{seat}", seed, answer)
    except EOFError:
        say("\nYou have left the game.")
    except KeyboardInterrupt:
        say("\nYou have left the game.")
        raise typer.Exit(130) from None
    finally:
        env.close()


@contextmanager
def _others(spec: EnvSpec, opponent: str, seed: int) -> Generator[Answer]:
    """Players for the other seats; their model works in a thread of its own, so that Ctrl-C finds a person's move."""
    from anyio.from_thread import start_blocking_portal

    from agents.agent import SkillAgent
    from agents.decision import Observation
    from agents.guide import NoGuide
    from environments import grammar as grammars
    from testbed.config.agent import AgentConfig
    from testbed.play.models import build_model
    from testbed.play.seeds import stream

    if spec.seats == 1:
        yield lambda seat, rules, text, grammar: ""
        return
    if not opponent.startswith("scripted:"):
        tell(f"Loading {opponent} …")
    with start_blocking_portal() as portal:
        model = portal.call(build_model, AgentConfig(name="opponent", model=opponent), 1)
        players: dict[str, SkillAgent] = {}

        def answer(seat: str, rules: str, text: str, grammar: Grammar) -> str:
            if seat not in players:
                players[seat] = SkillAgent(seat, model, NoGuide(), stream(seed, "play", seat), session=seat)
            observation = Observation(text=text, rules=rules, grammar=grammars.dump(grammar))
            return portal.call(players[seat].decide, observation).action

        try:
            yield answer
        finally:
            portal.call(model.close)


def _play(spec: EnvSpec, env: Watched, mine: str, seed: int, answer: Answer) -> None:
    from environments.games.game import GameError
    from environments.games.payment import check_return, check_reward

    console = output()
    console.rule(plain(f"{spec.id}, game {seed}" + (f": you are {mine}" if spec.seats > 1 else "")))
    with _blaming(spec):
        env.reset(seed=seed)
    total, told, over = 0.0, False, False
    for seat in env.agent_iter():
        with _blaming(spec):
            observation, reward, terminated, truncated, info = env.last()
            text = "" if observation is None else str(observation["text"])
            check_reward(spec, seat, reward)
        total += reward if seat == mine else 0.0
        if terminated or truncated:
            if seat == mine:
                over = True
                console.print(_theirs(text))
                check_return(spec, mine, total)
                _print_end(spec, total, info)
            _step(spec, env, None)
            continue
        grammar = info.get("grammar", spec.grammar)
        if seat != mine:
            _step(spec, env, answer(seat, info["rules"], text, grammar))
            continue
        if not told:
            console.print(Panel(plain(info["rules"]), title="rules", title_align="left", style="dim"))
            told = True
        console.print(_theirs(text))
        _step(spec, env, _ask(grammar))
    if not over:
        raise GameError(f"{spec.id} let {mine} go without saying that its game was over")


def _step(spec: EnvSpec, env: Watched, action: str | None) -> None:
    with _blaming(spec):
        env.step(action)


@contextmanager
def _blaming(spec: EnvSpec) -> Generator[None]:
    """Whatever a game raises becomes a sentence that names it."""
    from environments.games.game import GameError, MissingData
    from testbed.records.trial import one_line

    try:
        yield
    except (GameError, MissingData):
        raise
    except Exception as error:
        raise GameError(f"{spec.id} crashed: {one_line(error)}") from error


def _theirs(text: str) -> Padding:
    """What a game says: indented, so that no line of it passes for one of ours."""
    return Padding(plain(text), (0, 0, 0, 2), expand=False)


def _print_end(spec: EnvSpec, total: float, info: Mapping[str, Any]) -> None:
    low, high = spec.reward_range
    won = "solved" if info.get("solved") else "not solved"
    output().print(plain(f"You earned {total:g} (between {low:g} and {high:g} in this game): {won}.", style="bold"))


def _ask(grammar: Grammar) -> str:
    """A legal move, asked for until there is one. Raises EOFError at the end of the input."""
    from environments.grammar import Choices

    options = grammar.options if isinstance(grammar, Choices) else ()
    if options:
        numbered = [plain(f"{number}  {option}") for number, option in enumerate(options, start=1)]
        output().print(Columns(numbered, padding=(0, 3), column_first=True))
    while True:
        try:
            typed = input("> ").strip()
        except UnicodeDecodeError:
            tell("That is no text in this terminal's encoding.")
            continue
        if options and typed.isdecimal() and 1 <= int(typed) <= len(options):
            return options[int(typed) - 1]
        if grammar.accepts(typed):
            return typed
        tell(_objection(grammar, typed))


def _objection(grammar: Grammar, typed: str) -> str:
    """Why a text is no move."""
    import numpy as np

    from environments.grammar import Choices, JsonSchema, Regex
    from environments.sampling import sample

    match grammar:
        case Choices(options):
            return f"{typed!r} is neither one of these moves nor a number from 1 to {len(options)}."
        case Regex(pattern):
            form = f"of the form {pattern}"
        case JsonSchema(schema):
            form = f"a JSON document of the schema {schema}"
    return f"{typed!r} is not {form}; this would be: {sample(grammar, np.random.default_rng(0))}"
