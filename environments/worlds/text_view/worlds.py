"""An `EnvSpec` for any PettingZoo or Gymnasium environment, given a `TextView` of it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from environments.spec import EnvSpec
from environments.worlds.text_view.view import TextView

if TYPE_CHECKING:  # the catalog is read by commands that never play
    import gymnasium
    from pettingzoo import AECEnv


def aec_world(
    id: str,
    make: Callable[[], AECEnv[Any, Any, Any]],
    view: TextView,
    *,
    seats: int,
    horizon: int,
    reward_range: tuple[float, float],
    family: str = "",
    difficulty: int = 0,
    summary: str = "",
    seeded: bool = True,
    needs: str = "",
    package: str = "pettingzoo",
) -> EnvSpec:
    """The spec of a PettingZoo AEC environment with discrete or continuous actions.

    `make` builds it; its agents become the seats player_0, player_1, … in their order. `horizon` is the most answers of
    a seat, an invalid one before every valid one among them; `reward_range` bounds a seat's return. The family is the
    environment's own (its id) unless said otherwise. `make` raises MissingData where a package or data are not there.
    """

    def make_env() -> Any:
        from environments.games.aec import TextEnv
        from environments.worlds.text_view.game import ArrayGame

        game = partial(ArrayGame, make(), id, view, seats, reward_range)
        return TextEnv(game, id=id, seats=seats, grammar=view.grammar, horizon=horizon, reward_range=reward_range)

    return EnvSpec(
        *(id, make_env, seats, view.grammar, horizon, reward_range, family or id, difficulty, summary, seeded),
        needs=needs,
        package=package,
    )


def gymnasium_world(
    id: str,
    make: Callable[[], gymnasium.Env[Any, Any]],
    view: TextView,
    *,
    horizon: int,
    reward_range: tuple[float, float],
    family: str = "",
    difficulty: int = 0,
    summary: str = "",
    seeded: bool = True,
    needs: str = "",
) -> EnvSpec:
    """The spec of a Gymnasium environment with discrete or continuous actions; all else as for `aec_world`.

    An environment without an end of its own is given one by `gymnasium.make(…, max_episode_steps=N)`.
    """

    def make_seat() -> Any:
        from environments.worlds.text_view.single_seat import SingleSeat

        return SingleSeat(make())

    return aec_world(
        id,
        make_seat,
        view,
        seats=1,
        horizon=horizon,
        reward_range=reward_range,
        family=family,
        difficulty=difficulty,
        summary=summary,
        seeded=seeded,
        needs=needs,
        package="gymnasium",
    )
