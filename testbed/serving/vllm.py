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
from dataclasses import dataclass
from pathlib import Path

import httpx

from agents.models.weights import folders

ROOT = Path(__file__).parents[2]
KV_CACHE_GIB = 2
PATIENCE = 1800.0
"""Seconds until a server that was started must be ready."""
_SLEEP_TIMEOUT = 600.0


class ServeError(RuntimeError):
    """A server could not be started; one sentence that says where to look."""


@dataclass(frozen=True)
class Launch:
    """How one server is started."""

    name: str
    port: int
    max_model_len: int = 4096
    dtype: str = "bfloat16"
    gpu_memory: float = 0.9
    """Share of each of its GPUs' memory."""
    gpus: tuple[int, ...] = ()
    """Those that it sees; all where none is named."""
    cores: tuple[int, int] = (0, 1)
    """Where no GPU is: it is this one of so many servers, which have cores of their own as far as there are enough."""
    sleeps: bool = False
    extra: tuple[str, ...] = ()

    def command(self, python: Path) -> list[str]:
        """Raises WeightsError where the weights cannot be had, ServeError where vLLM has no such models."""
        folder = folders.path(self.name)
        if folders.is_encoder_decoder(folder):
            raise ServeError(
                f"{self.name} is an encoder-decoder, and vLLM serves none that write text; without serve and base_url "
                "it runs in process"
            )
        command = [str(python), "-P", "-m", "vllm.entrypoints.openai.api_server"]
        command += ["--model", str(folder), "--served-model-name", self.name]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        # The model's generation_config must not change how we sample; cached tokens are to be counted.
        command += ["--generation-config", "vllm", "--enable-prompt-tokens-details"]
        # As in process: xgrammar, and no spaces to get lost in between the parts of a JSON document.
        command += ["--structured-outputs-config", '{"backend": "xgrammar", "disable_any_whitespace": true}']
        command += ["--max-model-len", str(self.max_model_len), "--dtype", self.dtype]
        # Compilation does not pay on a CPU.
        command += ["--enforce-eager"] if on_cpu(python) else ["--gpu-memory-utilization", f"{self.gpu_memory:.2f}"]
        return [*command, *(["--enable-sleep-mode"] if self.sleeps else []), *self.extra]

    def environment(self) -> dict[str, str]:
        """Loopback only, nothing reported to anyone."""
        cores, (index, servers) = sorted(os.sched_getaffinity(0)), self.cores
        share = cores[index::servers] if servers <= len(cores) else cores
        return os.environ | {
            "HF_HUB_OFFLINE": "1",
            "VLLM_NO_USAGE_STATS": "1",
            "DO_NOT_TRACK": "1",
            "VLLM_CPU_KVCACHE_SPACE": str(KV_CACHE_GIB),
            "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, share)),
            # Sleeping is asked for at endpoints that vLLM has in development mode alone.
            **({"VLLM_SERVER_DEV_MODE": "1"} if self.sleeps else {}),
            **({"CUDA_VISIBLE_DEVICES": ",".join(map(str, self.gpus))} if self.gpus else {}),
        }


class VllmServer:
    """One vLLM process that holds one model."""

    def __init__(self, launch: Launch) -> None:
        """Raises ServeError where there is no vLLM, WeightsError where the model's weights cannot be had."""
        self.name = name = launch.name
        self.url = f"http://127.0.0.1:{launch.port}/v1"
        self.log = folders.home() / "logs" / f"vllm-{name.replace('/', '--')}-{launch.port}.log"
        command = launch.command(vllm_python())
        self.log.parent.mkdir(parents=True, exist_ok=True)
        guard = [sys.executable, "-P", str(Path(__file__).with_name("supervise.py"))]
        with self.log.open("wb") as log:
            self._guard = subprocess.Popen(
                [*guard, *command],
                env=launch.environment(),
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

    def sleep(self, level: int) -> None:
        """Leave the GPU's memory. Raises ServeError where vLLM does not."""
        self._tell(f"/sleep?level={level}")

    def wake(self, level: int) -> None:
        """Come back from sleep of that level; after 2 the weights are read anew, or it would answer nonsense."""
        if level == 1:
            self._tell("/wake_up")
            return
        self._tell("/wake_up?tags=weights")
        self._tell("/collective_rpc", {"method": "reload_weights"})
        self._tell("/wake_up?tags=kv_cache")
        self._tell("/reset_prefix_cache")

    def _tell(self, path: str, body: object = None) -> None:
        self.check()
        try:
            url = f"{self.url.removesuffix('/v1')}{path}"
            httpx.post(url, json=body, timeout=_SLEEP_TIMEOUT, trust_env=False).raise_for_status()
        except httpx.HTTPError as error:
            raise ServeError(f"vLLM with {self.name} did not do {path.partition('?')[0]}: {error}") from error

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
    patience: float = PATIENCE,
    report: Callable[[str], None] = lambda what: None,
) -> Generator[list[VllmServer]]:
    """Serve models (catalog names, folders or Hugging Face ids), one process each, until the block is left.

    Ports count up from `port`, or are any free ones. `patience` is how long (seconds) to wait until all are ready.
    Raises ServeError, or WeightsError where a model's weights cannot be had.
    """
    ports = free_ports(len(names), port)
    servers: list[VllmServer] = []
    try:
        for index, name in enumerate(names):
            place = Launch(name, ports[index], max_model_len, dtype, 0.9 / len(names), cores=(index, len(names)))
            servers.append(VllmServer(place))
        wait_until_ready(servers, patience, report)
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


def on_cpu(python: Path) -> bool:
    """vLLM for CPUs is a distribution of its own."""
    return any(python.parents[1].glob("lib/python*/site-packages/vllm_cpu-*.dist-info"))


def free_ports(count: int, first: int | None = None) -> list[int]:
    """Ports that nobody listens on, counted up from `first` where one is given. Raises ServeError."""
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


def wait_until_ready(
    servers: Sequence[VllmServer], patience: float = PATIENCE, report: Callable[[str], None] = lambda what: None
) -> None:
    """Returns when all answer. Raises ServeError when one has stopped, or is not ready within `patience` seconds."""
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
