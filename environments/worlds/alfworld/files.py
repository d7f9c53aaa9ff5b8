"""Where ALFWorld's game files are, and which one a seed means."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from environments.games.game import MissingData

Split = Literal["train", "valid_seen", "valid_unseen"]
SPLITS: tuple[Split, ...] = ("train", "valid_seen", "valid_unseen")
KINDS: Mapping[str, str] = {
    "put": "pick_and_place_simple",
    "examine": "look_at_obj_in_light",
    "clean": "pick_clean_then_place_in_recep",
    "heat": "pick_heat_then_place_in_recep",
    "cool": "pick_cool_then_place_in_recep",
    "puttwo": "pick_two_obj_and_place",
}
"""ALFWorld's six task types, by our short names."""
DATA = "json_2.1.1"
GAME = "game.tw-pddl"


class GameFile(NamedTuple):
    path: Path
    kind: str
    """One of KINDS."""

    @property
    def name(self) -> str:
        """Split, task and trial: the same on every machine."""
        return "/".join(self.path.parts[-4:-1])


def game_files(split: Split, kind: str | None = None) -> Mapping[str, tuple[GameFile, ...]]:
    """The games of a split by kind, sorted by name; those of one kind, or all. Raises MissingData, in one sentence."""
    folder = root() / DATA / split
    found = {each: files for each, files in _listed(folder).items() if kind in (None, each)}
    if not found:
        raise MissingData(
            f"ALFWorld has no {f'{kind} games' if kind else 'games'} in {folder}: fetch them by `pip install alfworld` "
            f"and `alfworld-download`, or set ALFWORLD_DATA to the folder that holds {DATA}"
        )
    return found


def root() -> Path:
    """ALFWORLD_DATA, or where `alfworld-download` puts the games if it is not set."""
    return Path(os.environ.get("ALFWORLD_DATA") or Path.home() / ".cache" / "alfworld")


@lru_cache(maxsize=16)
def _listed(folder: Path) -> Mapping[str, tuple[GameFile, ...]]:
    by_task = {task: kind for kind, task in KINDS.items()}
    games: dict[str, list[GameFile]] = {}
    for path in sorted(folder.glob(f"*/*/{GAME}")):
        kind = by_task.get(path.parts[-3].partition("-")[0])  # a folder is called by its task type first
        if kind is not None:
            games.setdefault(kind, []).append(GameFile(path, kind))
    return {kind: tuple(games[kind]) for kind in KINDS if kind in games}


def in_turn(games: Mapping[str, tuple[GameFile, ...]], seed: int) -> GameFile:
    """The game that a seed means where games are taken in turn: every N seeds that follow one another, two apart as
    those of an evaluation are, are all N games once. Their order is drawn, the same for everybody."""
    files = sorted((file for of_kind in games.values() for file in of_kind), key=lambda file: file.name)
    order = np.random.default_rng(len(files)).permutation(len(files))
    return files[int(order[seed // 2 % len(files)])]


def choose(games: Mapping[str, tuple[GameFile, ...]], seed: int) -> GameFile:
    """The game that a seed means: each kind with equal chance, then each of its files.

    ALFWorld's own order is that of `os.walk`, which differs between file systems.
    """
    rng = np.random.default_rng(seed)
    files = games[list(games)[int(rng.integers(len(games)))]]
    return files[int(rng.integers(len(files)))]
