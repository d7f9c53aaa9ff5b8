"""`Cluster`: Ray's machines, joined or started here, and what one may ask of them."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import socket
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from testbed.config.conduct.engine import EngineConfig

ANSWERS_WITHIN = 5.0
"""Seconds in which a cluster's address has to take a connection."""
STORE = 256 << 20
"""Bytes for objects on a machine that we start: ours are texts of some kilobytes."""


class EngineError(RuntimeError):
    """The engine that a study asks for is not to be had; one sentence with the remedy."""


class Cluster:
    """While it is joined, actors can be placed on it. One per process."""

    def __init__(self, config: EngineConfig) -> None:
        """Join the cluster at the address of `config` or of RAY_ADDRESS; where there is none, start one here.

        Raises EngineError where Ray is not installed, nobody answers, or the cluster is of another kind.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anybody
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        with _own_signals():  # Ray takes SIGTERM for itself
            self.ray = _import()
            logging.getLogger("ray").setLevel(logging.ERROR)  # importing it sets another
            self._ours = not self.ray.is_initialized()
            if self._ours:
                self._join(config.address or os.environ.get("RAY_ADDRESS"))
        self._exceptions = importlib.import_module("ray.exceptions")

    def _join(self, address: str | None) -> None:
        quiet = {"include_dashboard": False, "log_to_driver": False, "configure_logging": False}
        if address is None:
            how: Mapping[str, Any] = {"address": "local", "object_store_memory": STORE, **quiet}
        else:
            _check(address)
            how = {"address": address, **quiet}
            del how["include_dashboard"]
        try:
            self.ray.init(**how)
        except Exception as error:
            where = f"the Ray cluster at {address} cannot be joined" if address else "Ray cannot be started here"
            raise EngineError(f"{where}: {_first_line(error)}") from error

    def resources(self) -> Mapping[str, float]:
        """What all machines have together, by Ray's names: "CPU", "GPU"."""
        return self.ray.cluster_resources()

    def most_processors(self) -> float:
        """Those of the largest machine."""
        return max((node["Resources"].get("CPU", 0.0) for node in self.ray.nodes() if node["Alive"]), default=0.0)

    @property
    def failures(self) -> type[Exception]:
        """What is raised for an actor, a machine or an object that is gone."""
        return self._exceptions.RayError

    @property
    def unavailable(self) -> type[Exception]:
        """What is raised for an actor that is being started again."""
        return self._exceptions.ActorUnavailableError

    def cause(self, error: Exception) -> Exception | None:
        """The exception that an actor's own code raised; None where `error` is of Ray."""
        return error.cause if isinstance(error, self._exceptions.RayTaskError) else None  # pyright: ignore[reportAttributeAccessIssue]

    def leave(self) -> None:
        """With a cluster that was started here it ends, and all its processes."""
        if self._ours:
            self.ray.shutdown()


def _import() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise EngineError("the engine \"ray\" needs Ray: pip install 'procmem[ray]'") from None


def _check(address: str) -> None:
    """Ray itself waits for minutes, or ends the process, where nobody answers. Raises EngineError."""
    if address in ("auto", "local"):
        return
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


@contextmanager
def _own_signals() -> Generator[None]:
    """What is done at Ctrl-C and SIGTERM stays as it was before."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
