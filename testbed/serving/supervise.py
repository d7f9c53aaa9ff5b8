"""Runs a command that must not outlive its starter, whatever ends that one: `python guard.py COMMAND…`.

The starter holds the other end of standard input. When that closes, be it by kill -9, the command and all its
children get SIGTERM and, PATIENCE seconds later, SIGKILL. Where this process itself is killed, the command is, too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading

PATIENCE = 10.0
_PR_SET_PDEATHSIG = 1


def main(command: list[str]) -> int:
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509  (no thread runs yet)
    )
    threading.Thread(target=_end_with_stdin, args=(process,), daemon=True).start()
    code = process.wait()
    _signal(process, signal.SIGKILL)  # whatever of its children is left
    return code


def _die_with_parent() -> None:
    """prctl(2): the kernel kills the child when its parent ends, however that ends. Linux alone has it."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end_with_stdin(process: subprocess.Popen[bytes]) -> None:
    sys.stdin.buffer.read()
    _signal(process, signal.SIGTERM)
    try:
        process.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
