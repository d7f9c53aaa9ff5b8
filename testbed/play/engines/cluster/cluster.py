"""`Cluster`: Ray's machines, joined or started here, and what one may ask of them."""

from __future__ import annotations

import importlib
import logging
import os
import signal
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

from testbed.config.conduct.engine import EngineConfig
from testbed.play.engines.cluster.address import EngineError, check_address
from testbed.play.engines.cluster.placement import Resources

STORE = 256 << 20
"""Bytes for objects on a machine that we start: ours are texts of some kilobytes."""


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
            check_address(address)
            how = {"address": address, **quiet}
            del how["include_dashboard"]
        try:
            self.ray.init(**how)
        except Exception as error:
            where = f"the Ray cluster at {address} cannot be joined" if address else "Ray cannot be started here"
            raise EngineError(f"{where}: {_first_line(error)}") from error

    def machines(self) -> list[Resources]:
        """What each machine has that is alive."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    def strangers(self) -> list[str]:
        """Addresses of machines other than this one."""
        mine = self.ray.util.get_node_ip_address()
        return sorted({node["NodeManagerAddress"] for node in self.ray.nodes() if node["Alive"]} - {mine})

    def free(self) -> Resources:
        """What nobody uses, of all machines together."""
        return self.ray.available_resources()

    @property
    def failures(self) -> type[Exception]:
        """What is raised for an actor, a machine or an object that is gone."""
        return self._exceptions.RayError

    def leave(self) -> None:
        """With a cluster that was started here it ends, and all its processes."""
        if self._ours:
            self.ray.shutdown()


def _import() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise EngineError("the engine \"ray\" needs Ray: pip install 'procmem[ray]'") from None


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
