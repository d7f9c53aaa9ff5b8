"""From hidden states to log-probabilities: the vocabulary in float32, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from agents.models.model import ModelError

_ROWS, _ENTRIES = 1024, 8192
"""Predictions and vocabulary entries whose logits are held at a time: 32 MB. Entries are a multiple of 32."""


@dataclass(frozen=True)
class Predictions:
    """Tokens to be predicted, one per row. `targets` (n,) are their ids, `temperatures` (n,) the policy's.

    `bits` (n, ⌈vocabulary/32⌉) int32 are the tokens that a grammar allows, all of them where there is none.
    None: no row has a grammar.
    """

    targets: Tensor
    temperatures: Tensor
    bits: Tensor | None

    def __getitem__(self, rows: slice) -> Predictions:
        bits = None if self.bits is None else self.bits[rows]
        return Predictions(self.targets[rows], self.temperatures[rows], bits)

    def to(self, device: torch.device) -> Predictions:
        bits = None if self.bits is None else self.bits.to(device)
        return Predictions(self.targets.to(device), self.temperatures.to(device), bits)

    def logprobs(self, logits: Iterable[tuple[int, Tensor]]) -> Tensor:
        """log p (n,) of the targets in nats, from slices of the vocabulary: (first entry, float32 (n, entries))."""
        normaliser = torch.full_like(self.temperatures, -torch.inf)
        chosen = torch.full_like(self.temperatures, -torch.inf)
        for first, raw in logits:
            scores = self._policy(first, raw)
            normaliser = torch.logaddexp(normaliser, scores.logsumexp(-1))
            inside = (self.targets >= first) & (self.targets < first + scores.shape[1])
            column = (self.targets - first).clamp(0, scores.shape[1] - 1)
            chosen = torch.where(inside, scores.gather(1, column[:, None])[:, 0], chosen)
        return torch.where(chosen == -torch.inf, chosen, chosen - normaliser)  # where nothing is allowed both are −inf

    def _policy(self, first: int, scores: Tensor) -> Tensor:
        scores = scores / self.temperatures[:, None]
        if self.bits is None:
            return scores
        words = self.bits[:, first // 32 : first // 32 + -(-scores.shape[1] // 32), None]
        allowed = (words >> torch.arange(32, device=words.device)) & 1
        return scores.masked_fill(allowed.flatten(1)[:, : scores.shape[1]] == 0, -torch.inf)


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
