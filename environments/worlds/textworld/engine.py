"""TextWorld games, generated and played in a process of its own (see `answering.py`).

`{"make": CHALLENGE, "settings": …, "seed": N, "folder": F}` answers with the opening of that game, which is compiled
into F unless it is there; `{"play": COMMAND}` with what that led to: the game's `text`, its `score` as a share, whether
it is `won` or `lost`, the admissible `commands`, and the `walkthrough` from there. Imports nothing of ours.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

LIBRARY = "TextWorld"
CHALLENGES = {"coin": "textworld.challenges.tw_coin_collector", "cooking": "textworld.challenges.tw_cooking"}
_PROMPT = re.compile(r"\n>[ ]*(-= .*)?\s*\Z")
"""Where the interpreter waits for the next command, and its status line."""
_EPILOGUE = re.compile(r"\s*\*\*\* The End \*\*\*.*\Z", re.DOTALL)
_BLANKS = re.compile(r"\n\s*\n\s*")


class Engine:
    """One game at a time."""

    _env: Any = None

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if "make" in request:
            return self.make(request["make"], request["settings"], request["seed"], request["folder"])
        return self.play(request["play"])

    def make(self, challenge: str, settings: dict[str, Any], seed: int, folder: str) -> dict[str, Any]:
        path = Path(folder) / f"{challenge}-{'-'.join(map(str, settings.values()))}-{seed}.z8"
        if not path.exists():
            compile_game(challenge, settings, seed, path)
        textworld = import_module("textworld")
        infos = textworld.EnvInfos(
            won=True, lost=True, score=True, max_score=True, admissible_commands=True, policy_commands=True,
            objective=True,
        )  # fmt: skip
        if self._env is not None:
            self._env.close()
        self._env = textworld.start(str(path), infos)
        state = self._env.reset()
        text = cleaned(state.feedback)
        return self._seen(state, text[max(0, text.find(cleaned(state.objective)[:20])) :])  # no title page

    def play(self, command: str) -> dict[str, Any]:
        state, _, _ = self._env.step(command)
        return self._seen(state, cleaned(state.feedback))

    def _seen(self, state: Any, text: str) -> dict[str, Any]:
        return {
            "text": text,
            "score": state.score / state.max_score,
            "won": bool(state.won),
            "lost": bool(state.lost),
            "commands": list(state.admissible_commands),
            "walkthrough": list(state.policy_commands or ()),
        }


def compile_game(challenge: str, settings: dict[str, Any], seed: int, path: Path) -> None:
    """Generate the game, compile it, and put it in its place when it is whole."""
    options = import_module("textworld").GameOptions()
    options.seeds = seed
    options.grammar.only_last_action = True  # else a coin game begins by telling the whole way
    with tempfile.TemporaryDirectory(dir=path.parent) as workshop:
        options.path = str(Path(workshop) / path.name)
        made = settings | ({"recipe_seed": seed, "split": None} if challenge == "cooking" else {})
        module = import_module(f"{CHALLENGES[challenge]}.{CHALLENGES[challenge].rpartition('tw_')[2]}")
        import_module("textworld.generator").compile_game(module.make(made, options), options)
        for ending in (".json", ".z8"):
            os.replace(Path(options.path).with_suffix(ending), path.with_suffix(ending))


def cleaned(text: str) -> str:
    """A game's words without the interpreter's."""
    return _BLANKS.sub("\n", _EPILOGUE.sub("", _PROMPT.sub("", text))).strip()
