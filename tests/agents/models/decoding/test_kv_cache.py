"""How many texts are written at a time; what slots keep and lend is tested with whole models (`test_local.py`)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from agents.models.decoding.kv_cache import fitting_rows


@pytest.mark.parametrize(("free_gib", "rows"), [(78, 85), (4, 16), (1000, 128)])
def test_a_gpu_writes_as_many_texts_at_a_time_as_half_its_free_memory_holds(
    free_gib: int, rows: int, monkeypatch: pytest.MonkeyPatch
):
    """A token of Qwen3-8B takes 144 KiB; each text has its own conversation and one that is remembered."""
    config = SimpleNamespace(num_hidden_layers=36, num_key_value_heads=8, num_attention_heads=32, head_dim=128)
    config.get_text_config = lambda decoder: config
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free_gib << 30, 0))
    qwen3: Any = SimpleNamespace(config=config, device=torch.device("cuda"), dtype=torch.bfloat16)
    assert fitting_rows(qwen3, context=1664) == rows
    qwen3.device = torch.device("cpu")
    assert fitting_rows(qwen3, context=1664) == 16
