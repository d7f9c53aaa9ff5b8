"""From hidden states to log-probabilities: the vocabulary in float32, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from agents.models.model import ModelError
from agents.models.tokens.masks import Predictions

_ROWS, _ENTRIES = 1024, 8192
"""Predictions and vocabulary entries whose logits are held at a time: 32 MB. Entries are a multiple of 32."""


class Readout:
    """A model's output layer, applied to chosen rows only.

    A bfloat16 logit of 20 is known to 1/16: the last product of all, rounded, would be the largest part of the
    error. So it is computed in float32 from the weights as they are, whatever the model's precision.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        """Raises ModelError for a model that does more to its logits than multiply and soft-cap."""
        head: Any = model.get_output_embeddings()
        config: Any = model.config.get_text_config(decoder=True)
        scaled = [name for name in ("logit_scale", "logits_scaling") if getattr(config, name, None) not in (None, 1)]
        if head is None or scaled:
            raise ModelError(f"{model.name_or_path} scales its logits ({', '.join(scaled)}); serve the model instead")
        self._weight: Tensor = head.weight
        self._bias: Tensor | None = head.bias
        self._softcap: float | None = getattr(config, "final_logit_softcapping", None)

    @property
    def vocabulary(self) -> int:
        return self._weight.shape[0]

    def logprobs(self, hidden: Tensor, predictions: Predictions) -> Tensor:
        """log p (n,) of each prediction from the hidden state (n, width) before it."""
        parts = [
            predictions[rows].logprobs(self._logits(hidden[rows]))
            for rows in (slice(start, start + _ROWS) for start in range(0, len(hidden), _ROWS))
        ]
        return torch.cat([hidden.new_empty(0, dtype=torch.float32), *parts])

    def _logits(self, hidden: Tensor) -> Iterator[tuple[int, Tensor]]:
        for first in range(0, self.vocabulary, _ENTRIES):
            weight = self._weight[first : first + _ENTRIES]
            if weight.is_cuda and weight.dtype != torch.float32:
                scores = torch.mm(hidden.to(weight.dtype), weight.t(), out_dtype=torch.float32)
            else:
                scores = hidden.float() @ weight.float().t()
            if self._bias is not None:
                scores += self._bias[first : first + _ENTRIES]
            if self._softcap is not None:
                scores = torch.tanh(scores / self._softcap) * self._softcap
            yield first, scores
