"""Run a module or a program that ends when its parent does, however that ends: its standard input closes.

python -P attended.py -m MODULE ARGUMENTS…   or   python -P attended.py PROGRAM ARGUMENTS…
"""

from __future__ import annotations

import os
import runpy
import sys
import threading


def _leave_with_parent() -> None:
    while os.read(0, 4096):
        continue
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    if sys.argv[1] == "-m":
        sys.argv = sys.argv[2:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = sys.argv[1:]
        runpy.run_path(sys.argv[0], run_name="__main__")
