"""TextWorld-Express's games, played by a Java of its own, in a process of its own (see `answering.py`).

`{"make": GAME, "settings": TEXT, "seed": N, "fold": "train"}` answers with the opening of that game, the `task` in its
words and the `walkthrough`; `{"play": COMMAND}` with what that led to: the game's `text`, its `score` as a share,
whether it is `won` or `lost`, and the admissible `commands`. Imports nothing of ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any

LIBRARY = "TextWorld-Express"
JAVA = ("-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""One game needs little; without these each Java takes a share of the machine, and a thread for every processor."""


class Engine:
    """The library's Java interface without the library's Python, which would open it to everybody on this machine."""

    def __init__(self) -> None:
        gateway = import_module("py4j.java_gateway")
        constants = import_module("textworld_express.constants")
        try:
            port, token = gateway.launch_gateway(
                classpath=constants.JAR_PATH,
                cwd=constants.BASEPATH,
                javaopts=list(JAVA),
                die_on_exit=True,
                enable_auth=True,
            )
        except ValueError:  # where a port should come, there was nothing
            raise RuntimeError("its Java did not start; it needs Java 8 or later: try `java -version`") from None
        parameters = gateway.GatewayParameters(port=port, auth_token=token, auto_field=True)
        self._java: Any = gateway.JavaGateway(gateway_parameters=parameters)
        self._game: Any = self._java.jvm.textworldexpress.runtime.PythonInterface()

    def answer(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if "make" in request:
            return self.make(request["make"], request["settings"], request["seed"], request["fold"])
        return self.play(request["play"])

    def make(self, game: str, settings: str, seed: int, fold: str) -> dict[str, Any]:
        if complaint := self._game.load(game, settings):
            raise ValueError(complaint)
        opening = seen(json.loads(self._game.generateNewGameJSON(seed, fold, True)))
        walkthrough = list(self._game.getGoldActionSequence())
        return {**opening, "task": self._game.getTaskDescription(), "walkthrough": walkthrough}

    def play(self, command: str) -> dict[str, Any]:
        return seen(json.loads(self._game.stepJSON(command)))


def seen(state: dict[str, Any]) -> dict[str, Any]:
    return {
        "text": state["observation"].strip(),
        "score": max(0.0, float(state["score"])),  # some games say -1 where one has failed
        "won": bool(state["tasksuccess"]),
        "lost": bool(state["taskfailure"]),
        "commands": sorted(set(state["validActions"])),
    }
