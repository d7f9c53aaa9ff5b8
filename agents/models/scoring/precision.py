"""Computing more precisely than the weights are stored."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def computing_in(model: nn.Module, dtype: torch.dtype) -> Generator[None]:
    """Within it the weights stand in `dtype`, beside the stored ones; afterwards they are the stored ones again.

    Takes memory for a second copy where the stored type is another. Enter it outside of inference mode.
    """
    stored = [
        (weight, weight.data)
        for weight in (*model.parameters(), *model.buffers())
        if weight.is_floating_point() and weight.dtype.itemsize < dtype.itemsize
    ]
    try:
        for weight, data in stored:
            weight.data = data.to(dtype)
        yield
    finally:
        for weight, data in stored:
            weight.data = data
