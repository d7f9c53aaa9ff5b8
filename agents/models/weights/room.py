"""`check_room`: whether a GPU has room for a model's weights, asked before they are loaded."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

import torch

from agents.models.weights.wheels import WeightsError

_GIB = 2**30
_REMEDY = 'choose a smaller model or device = "cpu", or serve it by vLLM over several GPUs (serve.tensor_parallel)'


def check_room(numbers: int, name: str, dtype: torch.dtype, device: torch.device) -> None:
    """Raises WeightsError where weights of so many numbers are more than what is free on a GPU."""
    if device.type != "cuda":
        return
    need = numbers * dtype.itemsize
    precision = str(dtype).removeprefix("torch.")
    free, total = torch.cuda.mem_get_info(device)
    if need > free:
        raise WeightsError(
            f"{name} needs {need / _GIB:.1f} GiB of GPU memory for its weights in {precision}, and {device} has "
            f"{free / _GIB:.1f} of {total / _GIB:.1f} GiB free; {_REMEDY}"
        )


@contextmanager
def telling(name: str, device: torch.device) -> Generator[None]:
    """WeightsError where a GPU has no room in the end: others fill it meanwhile, or results of a pass do."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise WeightsError(
            f"{name} does not fit beside what lies in the memory of {device} already; {_REMEDY}"
        ) from error
