"""`check_address`: whether a Ray cluster answers there, said within a minute."""

from __future__ import annotations

import socket
import subprocess
import sys

ANSWERS_WITHIN = 5.0
"""Seconds in which a cluster's address has to take a connection."""
SPEAKS_WITHIN = 60.0
"""Seconds in which whoever took it has to speak as Ray does; to start a Python and load Ray is a part of them."""


class EngineError(RuntimeError):
    """The engine that a study asks for is not to be had; one sentence with the remedy."""


def check_address(address: str) -> None:
    """Ray itself waits for minutes, for ever, or ends the process. Raises EngineError."""
    if address == "local":
        return
    if address != "auto":
        _check_connection(address)
    _check_status(address)


def _check_connection(address: str) -> None:
    if "://" in address:
        raise EngineError(
            f"{address} is an address of Ray Client, which cannot be awaited; run the command on a machine of the "
            "cluster, and give its host:port, or auto"
        )
    host, colon, port = address.rpartition(":")
    if not (colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise EngineError(
            f"{address!r} is no address of a Ray cluster: write host:port, such as 10.0.0.1:6379, or auto"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), ANSWERS_WITHIN).close()
    except OSError as error:
        raise EngineError(
            f"nobody answers at {address} ({error.strerror or error}); start the cluster with `ray start --head`, or "
            "leave the address out to start one here"
        ) from None


def _check_status(address: str) -> None:
    """By `ray status` in a process of its own: what Ray's client does in ours cannot be interrupted."""
    command = [sys.executable, "-P", "-m", "ray.scripts.scripts", "status", "--address", address]
    try:
        asked = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SPEAKS_WITHIN, check=False
        )
    except subprocess.TimeoutExpired:
        said = f"nothing within {SPEAKS_WITHIN:g} s"
    else:
        if asked.returncode == 0:
            return
        said = next((line for line in reversed(asked.stderr.splitlines()) if line.strip()), "nothing")
    if "InvalidAuthToken" in said or "AuthenticationError" in said:
        raise EngineError(
            f"the Ray cluster at {address} refuses our token: RAY_AUTH_MODE=token, and the cluster's own in "
            "~/.ray/auth_token, RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN"
        )
    if address == "auto":
        raise EngineError(
            f"no Ray cluster runs on this machine, as auto asks for ({_short(said)}); start it with `ray start`, or "
            "leave the address out"
        )
    raise EngineError(
        f"what answers at {address} is no Ray cluster ({_short(said)}); give the address that "
        "`ray start --head` printed"
    )


def _short(said: str) -> str:
    """Without the name of the exception's class."""
    return said.removeprefix("ray.exceptions.").partition(": ")[2].strip(" .")[:200] or said.strip()[:200]
