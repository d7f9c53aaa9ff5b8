"""`TurnDesk`: other processes of a machine ask its fleet's servers, in the turns that the fleet's own process keeps."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from agents.models.model import ModelUnavailable
from testbed.config.agent import AgentConfig
from testbed.serving.fleet import Fleet, identity
from testbed.serving.vllm import ServeError

_WAITING = 10_000
"""Questions that may stand in line to be let in."""


@dataclass(frozen=True)
class Guests:
    """`Served`: a fleet as another process of its machine sees it; it can be sent there."""

    urls: Mapping[str, str]
    in_turn: frozenset[str]
    """Models that take turns with others, by `identity`."""
    socket: str
    """Path of the desk's."""

    def url(self, agent: AgentConfig) -> str:
        return self.urls[identity(agent)]

    def turn(self, agent: AgentConfig) -> Callable[[], AbstractAsyncContextManager[None]]:
        if agent.serve is None or identity(agent) not in self.in_turn:
            return nullcontext
        return partial(_turn, self.socket, identity(agent))

    def queue(self, agent: AgentConfig) -> str:
        return identity(agent) if agent.serve is not None and identity(agent) in self.in_turn else ""


@asynccontextmanager
async def _turn(socket: str, model: str) -> AsyncGenerator[None]:
    """Raises ModelUnavailable where the desk is gone."""
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
        writer.write(model.encode() + b"\n")
        if not await reader.readline():
            raise ConnectionResetError("it closed")
    except OSError as error:
        raise ModelUnavailable(f"the process that started {model.partition(' ')[0]} is gone: {error}") from error
    try:
        yield
    finally:
        writer.close()


class TurnDesk:
    """A Unix socket for this user alone: a connection says which model, is answered once the model is awake, and holds
    its turn until it is closed, by whoever opened it or by that process's death."""

    def __init__(self, guests: Guests, server: asyncio.Server | None) -> None:
        self.guests = guests
        self._server = server

    @classmethod
    async def open(cls, fleet: Fleet, elsewhere: Sequence[str] = ()) -> TurnDesk:
        """There is no socket where nobody takes turns. `elsewhere` are other machines whose processes would ask, too.

        Raises ServeError where there are any: servers listen on loopback alone.
        """
        if fleet.berths and elsewhere:
            raise ServeError(
                "`serve` starts servers on 127.0.0.1, which this machine alone can reach, and the cluster has others "
                f"({', '.join(elsewhere)}); start the servers by procmem serve or Ray Serve, and name base_url"
            )
        urls = {key: fleet.address(key) for key in fleet.berths}
        in_turn = frozenset(key for key in fleet.berths if fleet.turns(key) is not None)
        if not in_turn:
            return cls(Guests(urls, in_turn, ""), None)
        socket = str(Path(tempfile.mkdtemp(prefix="procmem-")) / "turns")
        server = await asyncio.start_unix_server(partial(_serve, fleet), socket, backlog=_WAITING)
        return cls(Guests(urls, in_turn, socket), server)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            shutil.rmtree(Path(self.guests.socket).parent)


async def _serve(fleet: Fleet, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        model = (await reader.readline()).decode().rstrip("\n")
        if model not in fleet.berths or (turns := fleet.turns(model)) is None:
            return
        async with turns.of(model):
            writer.write(b"\n")
            await reader.read()
    except OSError:  # whoever asked has died
        pass
    finally:
        writer.close()
