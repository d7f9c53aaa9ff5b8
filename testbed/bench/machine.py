"""What a computation may be held against: its floating-point operations, the machine's matmul peak, and memory."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import psutil
import torch
import torch.nn.functional as F
from torch import nn
from transformers import PreTrainedModel

from agents.models.scoring.prefix_tree import PrefixTree

T = TypeVar("T")


def timed(device: torch.device, call: Callable[[], T]) -> tuple[T, float]:
    """What `call` returns, and the seconds until the device had done all of it."""
    _wait(device)
    start = time.perf_counter()
    value = call()
    _wait(device)
    return value, time.perf_counter() - start


def floating_point_operations(model: PreTrainedModel, tree: PrefixTree, predictions: int) -> float:
    """What scoring a tree takes at least: projections of every distinct token, attention to what it sees, and logits.

    A multiply-add counts as two. Causal attention counts the keys that are seen, not the square around them; norms,
    activations and softmax are left out, as is usual.
    """
    config: Any = model.config.get_text_config(decoder=True)
    linears = [module for module in model.get_decoder().modules() if isinstance(module, nn.Linear)]
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    seen = sum(
        float(np.minimum(tree.positions + 1, window or len(tree.positions)).sum()) for window in _windows(config)
    )
    head: Any = model.get_output_embeddings()
    return (
        2.0 * len(tree) * sum(linear.weight.numel() for linear in linears)
        + 4.0 * config.num_attention_heads * width * seen
        + 2.0 * predictions * head.weight.numel()
    )


def matmul_peak(model: PreTrainedModel, rows: int, rounds: int = 5) -> float:
    """FLOP/s that the matrix products of the model's own layers reach by themselves, `rows` tokens at a time.

    The best of `rounds` for each shape, weighted as the shapes occur in the model.
    """
    found = [module for module in model.get_decoder().modules() if isinstance(module, nn.Linear)]
    occurrences = Counter(tuple(linear.weight.shape) for linear in found)
    operations = seconds = 0.0
    with torch.inference_mode():
        for shape, count in occurrences.items():
            weight = next(linear.weight for linear in found if tuple(linear.weight.shape) == shape)
            x = torch.randn(rows, shape[1], device=weight.device).to(weight.dtype)
            best = min(timed(weight.device, lambda x=x, w=weight: F.linear(x, w))[1] for _ in range(rounds + 1))
            operations += count * 2.0 * rows * weight.numel()
            seconds += count * best
    return operations / seconds


@dataclass
class PeakMemory:
    bytes: int = 0


@contextmanager
def peak_memory(device: torch.device) -> Generator[PeakMemory]:
    """The most memory held while it is open: the device's own on CUDA, else this process's resident set."""
    peak = PeakMemory()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device)
        return
    done, process = threading.Event(), psutil.Process()

    def watch() -> None:
        while not done.wait(0.01):
            peak.bytes = max(peak.bytes, process.memory_info().rss)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        done.set()
        watcher.join()
        peak.bytes = max(peak.bytes, process.memory_info().rss)


def free_memory(device: torch.device) -> int:
    """Bytes that may still be taken on the device."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return psutil.virtual_memory().available


def _windows(config: Any) -> list[int | None]:
    """How many tokens back each layer sees; None: all."""
    kinds: list[str] = getattr(config, "layer_types", None) or ["full_attention"] * config.num_hidden_layers
    window: int | None = getattr(config, "sliding_window", None)
    return [window if kind == "sliding_attention" else None for kind in kinds]


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
