"""The output layer, a slice at a time, equals the whole vocabulary at once."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from agents.models.model import ModelError
from agents.models.scoring.readout import Readout
from agents.models.tokens.masks import Predictions

WIDTH = 6


def model(vocabulary: int, *, bias: bool = False, **config: object):
    torch.manual_seed(0)
    text = SimpleNamespace(**config)
    head = nn.Linear(WIDTH, vocabulary, bias=bias)
    return SimpleNamespace(
        name_or_path="tiny",
        config=SimpleNamespace(get_text_config=lambda decoder: text if decoder else None),
        get_output_embeddings=lambda: head,
        head=head,
    )


def bits_of(allowed: Tensor) -> Tensor:
    """(n, vocabulary) booleans as int32 words of 32 tokens."""
    rows, width = allowed.shape
    padded = torch.zeros(rows, -(-width // 32) * 32, dtype=torch.int64)
    padded[:, :width] = allowed.long()
    words = (padded.view(rows, -(-width // 32), 32) << torch.arange(32)).sum(-1)
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def expected(logits: Tensor, targets: Tensor, temperatures: Tensor, allowed: Tensor | None) -> Tensor:
    scores = logits / temperatures[:, None]
    if allowed is not None:
        scores = scores.masked_fill(~allowed, -math.inf)
    found = scores.log_softmax(-1).gather(1, targets[:, None])[:, 0]
    return found.nan_to_num(nan=-math.inf, neginf=-math.inf)


@pytest.mark.parametrize(("rows", "vocabulary"), [(0, 70), (5, 70), (1030, 33), (4, 8192), (9, 20_001)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("softcap", [None, 0.5])
@pytest.mark.parametrize("masked", [False, True])
def test_slices_equal_the_whole(rows, vocabulary, bias, softcap, masked):
    made = model(vocabulary, bias=bias, final_logit_softcapping=softcap)
    torch.manual_seed(1)
    hidden = torch.randn(rows, WIDTH) * 3
    targets = torch.randint(vocabulary, (rows,))
    targets[:2] = torch.tensor([0, vocabulary - 1])[:rows]
    temperatures = 0.5 + torch.rand(rows)
    allowed = torch.rand(rows, vocabulary) < 0.3 if masked else None
    if allowed is not None:
        allowed[torch.arange(0, rows, 2), targets[::2]] = True  # the others are forbidden, as it happens
        allowed[3:4] = False  # nothing at all is allowed
    logits = made.head(hidden).detach()
    if softcap is not None:
        logits = torch.tanh(logits / softcap) * softcap
    predictions = Predictions(targets, temperatures, None if allowed is None else bits_of(allowed))
    found = Readout(made).logprobs(hidden, predictions.to(torch.device("cpu"))).detach()
    assert found.shape == (rows,)
    assert torch.allclose(found, expected(logits, targets, temperatures, allowed), atol=1e-5)


def test_weights_of_half_precision_are_multiplied_in_float32():
    made = model(50)
    exact = made.head.weight.detach().bfloat16()
    made.head.weight = nn.Parameter(exact)
    hidden = torch.randn(3, WIDTH)
    predictions = Predictions(torch.tensor([1, 2, 3]), torch.ones(3), None)
    found = Readout(made).logprobs(hidden, predictions)
    whole = (hidden @ exact.float().t()).log_softmax(-1)
    assert found.dtype == torch.float32
    assert torch.allclose(found, whole[torch.arange(3), torch.tensor([1, 2, 3])], atol=1e-6)


@pytest.mark.parametrize("config", [{"logit_scale": 0.5}, {"logits_scaling": 4.0}])
def test_scaled_logits_are_refused_by_name(config):
    with pytest.raises(ModelError, match=f"tiny scales its logits .{next(iter(config))}."):
        Readout(model(5, **config))


def test_scales_of_one_are_none_and_no_head_is_refused():
    assert Readout(model(5, logit_scale=1, logits_scaling=1.0)).vocabulary == 5
    headless = model(5)
    headless.get_output_embeddings = lambda: None
    with pytest.raises(ModelError, match="tiny"):
        Readout(headless)
