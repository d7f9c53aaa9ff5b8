"""An address is a Ray cluster that takes our token, or one sentence within a minute says what is the matter."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import psutil
import pytest

from testbed.play.engines.cluster import address as addresses
from testbed.play.engines.cluster.address import EngineError, check_address

pytest.importorskip("ray")


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"127.0.0.1:{listening.getsockname()[1]}"


@pytest.fixture
def web() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster that asks for a token."""
    environment = os.environ | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64, "RAY_USAGE_STATS_ENABLED": "0"}
    command = [Path(sys.executable).with_name("ray"), "start", "--head", "--block", "--port", "0", "--num-cpus", "0"]
    command += ["--include-dashboard", "false", "--object-store-memory", str(80 << 20)]
    log = tmp_path_factory.mktemp("ray") / "log"
    with log.open("wb") as said:
        process = subprocess.Popen([*map(str, command)], env=environment, stdout=said, stderr=said)
    try:
        while not (told := re.search(r"--address='([^']+)'", log.read_text())):
            assert process.poll() is None, log.read_text()
            threading.Event().wait(0.2)
        yield told[1]
    finally:
        started = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait()
        psutil.wait_procs(started, timeout=30)


@pytest.mark.parametrize("who", ["silent", "web"])
def test_somebody_else_answers(who: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(addresses, "SPEAKS_WITHIN", 5.0)
    where: str = request.getfixturevalue(who)
    with pytest.raises(EngineError) as told:
        check_address(where)
    assert str(told.value) == (
        f"what answers at {where} is no Ray cluster (nothing within 5 s); give the address that "
        "`ray start --head` printed"
    )


@pytest.mark.slow
def test_a_token_is_ours_or_one_sentence(
    locked: str, monkeypatch: pytest.MonkeyPatch, sentence: Callable[..., str], small_file: Path
):
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "a" * 64)
    check_address(locked)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
    assert f"the Ray cluster at {locked} refuses our token" in sentence("run", small_file, "--ray-address", locked)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(EngineError, match="refuses our token: RAY_AUTH_MODE=token, and the cluster's own in"):
        check_address(locked)


def test_no_cluster_on_this_machine(monkeypatch: pytest.MonkeyPatch):
    if any(process.info["name"] == "gcs_server" for process in psutil.process_iter(["name"])):
        pytest.skip("somebody else's runs here")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with pytest.raises(EngineError, match="no Ray cluster runs on this machine, as auto asks for"):
        check_address("auto")
