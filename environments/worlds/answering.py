"""What a game process runs: `python answering.py ENGINE.py` asks the `Engine` of that file, and speaks JSON lines.

A request is a line of its standard input, which goes to `Engine.answer`; the answer is a line of its standard output,
`{"error": "…"}` where something went wrong. It ends when its input does. Started by its path, as engines are: nothing
of ours is imported, so that a process has the library it plays by, and nothing else that may disturb it.
"""

from __future__ import annotations

import json
import os
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

LONGEST_ERROR = 400


def load(path: Path) -> ModuleType:
    """The file of an engine, with its class `Engine` and the name of its LIBRARY."""
    spec = spec_from_file_location("engine", path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    # The library may print; answers have the pipe for themselves.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    module = load(Path(sys.argv[1]))
    engine: Any = None
    for line in sys.stdin:
        try:
            engine = engine or module.Engine()
            answer = engine.answer(json.loads(line))
        except Exception as error:
            told = " ".join(f"{module.LIBRARY} failed ({type(error).__name__}: {error})".split())
            answer = {"error": told[:LONGEST_ERROR]}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
