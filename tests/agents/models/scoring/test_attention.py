"""One call's attention against dense softmax."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from transformers import AttentionInterface

from agents.models.model import ModelError
from agents.models.scoring.attention import ATTENTION, Economy, _attend, _attend_capped, _repeat


def heads(rows: int, seed: int, dtype: torch.dtype = torch.float32, many: int = 2) -> torch.Tensor:
    return torch.randn(1, many, rows, 8, generator=torch.Generator().manual_seed(seed)).to(dtype)


def dense(query, key, value, mask, scaling, softcap=None):
    rows, keys = query.shape[2], key.shape[2]
    if mask is None:
        mask = torch.arange(keys)[None] <= torch.arange(rows)[:, None] + keys - rows
    scores = query @ key.transpose(2, 3) * scaling
    if softcap is not None:
        scores = torch.tanh(scores / softcap) * softcap
    weights = torch.where(mask, scores.float(), -math.inf).softmax(-1)
    return weights.to(query.dtype) @ value


@pytest.mark.parametrize("lead", [0, 1, 5, 6, 30])
@pytest.mark.parametrize("softcap", [None, 0.7])
@pytest.mark.parametrize("masked", [False, True])
def test_a_call_is_dense_attention(lead: int, softcap: float | None, masked: bool):
    query, key, value = heads(5, 0), heads(5 + lead, 1), heads(5 + lead, 2)
    mask = None
    if masked:
        mask = torch.rand(5, 5 + lead, generator=torch.Generator().manual_seed(3)) < 0.5
        mask[:, 0] = True
    attend = _attend if softcap is None else _attend_capped(softcap)
    found = attend(query, key, value, mask, 1.3)
    assert torch.allclose(found, dense(query, key, value, mask, 1.3, softcap), atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_capped_attention_in_several_parts(masked: bool):
    rows = 2 * Economy.of(torch.device("cpu")).rows + 7
    query, key, value = heads(rows, 0), heads(rows + 3, 1), heads(rows + 3, 2)
    mask = torch.ones(rows, rows + 3, dtype=torch.bool).tril(1) if masked else None
    found = _attend_capped(2.0)(query, key, value, mask, 0.5)
    assert found.shape == query.shape
    assert torch.allclose(found, dense(query, key, value, mask, 0.5, 2.0), atol=1e-6)


def test_capped_attention_weighs_in_float32():
    query, key, value = (heads(300, seed, torch.bfloat16) for seed in range(3))
    found = _attend_capped(2.0)(query, key, value, None, 0.5)
    assert found.dtype == torch.bfloat16
    expected = dense(query[:, :, 256:], key, value, None, 0.5, 2.0)
    assert torch.equal(found[:, :, 256:], expected)


def test_what_is_dear_depends_on_the_device():
    assert Economy.of(torch.device("cpu")) == (2_000, 256)
    assert Economy.of(torch.device("cuda")) == (1_000_000, 2048)


def test_grouped_heads_are_repeated_in_place():
    x = heads(3, 0, many=2)
    assert torch.equal(_repeat(x, 6), torch.repeat_interleave(x, 3, dim=1))
    assert _repeat(x, 2) is x


def test_attention_sinks_are_refused():
    attend = AttentionInterface()[ATTENTION]
    x = heads(3, 0)
    with pytest.raises(ModelError, match=r"^models with attention sinks cannot be scored as a prefix tree; serve the"):
        attend(SimpleNamespace(layer_idx=0), x, x, x, None, tree=None, scaling=1.0, s_aux=torch.zeros(2))
