"""A GPU that is too small for a model is told before anything is loaded. The GPU here is a fake with a size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from agents.models import local
from agents.models.local import LocalModel
from agents.models.weights import checkpoint
from agents.models.weights.room import check_room, telling
from agents.models.weights.wheels import WeightsError
from tests.support import tiny

GPU = torch.device("cuda")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A GPU with so many bytes free of 8 GiB."""
    return lambda free: monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 8 << 30))


def test_weights_have_to_fit(gpu: Any):
    gpu(3 << 30)
    check_room(3 << 29, "m", torch.bfloat16, GPU)
    with pytest.raises(WeightsError, match=r"m needs 6.0 GiB .* in float32, and cuda has 3.0 of 8.0 GiB free; choose"):
        check_room(3 << 29, "m", torch.float32, GPU)
    check_room(1 << 50, "m", torch.float32, torch.device("cpu"))


def test_nothing_is_loaded_that_does_not_fit(gpu: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    words = tiny.tokenizer()
    tiny.model("llama", words).save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    monkeypatch.setattr(local, "_device", lambda wanted: GPU)
    monkeypatch.setattr(checkpoint, "AutoConfig", None)
    gpu(1000)
    with pytest.raises(WeightsError, match="GiB of GPU memory for its weights in bfloat16"):
        LocalModel.load(tmp_path, name="m", precision="bfloat16")


def test_what_does_not_fit_in_the_end_is_a_sentence():
    with (
        pytest.raises(WeightsError, match="m does not fit beside what lies in the memory of cuda already"),
        telling("m", GPU),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB …")
