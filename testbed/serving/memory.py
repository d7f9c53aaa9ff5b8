"""The memory that servers may fill: of every GPU, or of this machine."""

from __future__ import annotations

import shutil
import subprocess

from testbed.serving.vllm import ServeError


def memories() -> list[float]:
    """GiB of every GPU; of this machine, where it has none."""
    try:
        return gpus()
    except ServeError:
        return available("MemTotal")


def available(what: str = "MemAvailable") -> list[float]:
    """GiB of this machine's memory."""
    with open("/proc/meminfo", encoding="ascii") as lines:
        sizes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return [sizes[what] / 2**20]


def gpus() -> list[float]:
    """GiB of every GPU. Raises ServeError where there is none."""
    asked = shutil.which("nvidia-smi")
    if asked is None:
        raise ServeError("`serve` found no GPU (nvidia-smi is not there); vLLM for CPUs is set up by: make vllm")
    told = subprocess.run(
        [asked, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=False,
    )
    sizes = [float(line) / 1024 for line in told.stdout.split("\n") if line.strip().replace(".", "").isdigit()]
    if not sizes:
        raise ServeError(f"`serve` found no GPU: nvidia-smi says {(told.stdout + told.stderr).strip()[:200]!r}")
    return sizes
