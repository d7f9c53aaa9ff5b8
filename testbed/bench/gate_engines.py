"""Other ways to score the same utterances, for the gate's bench to be held against."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from agents.models.model import Likelihood, Utterance
from agents.models.tokens.template import ChatTemplate
from testbed.bench.machine import free_memory

SHAPES: dict[str, dict[str, Any]] = {
    "gemma-2-9b": {
        "model_type": "gemma2",
        "vocab_size": 256_000,
        "hidden_size": 3584,
        "intermediate_size": 14336,
        "num_hidden_layers": 42,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 256,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
        "max_position_embeddings": 8192,
    },
    "qwen3-8b": {
        "model_type": "qwen3",
        "vocab_size": 151_936,
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_hidden_layers": 36,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "max_position_embeddings": 40960,
        "tie_word_embeddings": False,
    },
}
"""Published sizes of models whose weights cannot be had everywhere; speed does not depend on the weights."""


def random_weights(shape: str, dtype: torch.dtype, device: torch.device) -> PreTrainedModel:
    """A model of one of `SHAPES` that has learned nothing."""
    config = AutoConfig.for_model(**SHAPES[shape])
    with device:
        return AutoModelForCausalLM.from_config(config, dtype=dtype).eval()


def fitting_batch(model: PreTrainedModel, tokens: int, most: int) -> int:
    """The largest power of two up to `most` of sequences whose full logits, thrice held, fit into free memory."""
    head: Any = model.get_output_embeddings()
    each = 3 * tokens * head.weight.shape[0] * head.weight.element_size()
    room = free_memory(model.device) * 0.8
    batch = most
    while batch > 1 and batch * each > room:
        batch //= 2
    return batch


class FullLogits:
    """Batches in the order given, padded on the right, logits at every position: the official code's scoring function.

    Its operations: forward with mask, contiguous copy of the shifted logits, cross-entropy at every position.
    (https://github.com/Miracle1207/Skill-Pro, Skills/loss.py; tokens are ours, so that the results can be compared.)
    """

    def __init__(self, model: PreTrainedModel, template: ChatTemplate, batch: int) -> None:
        self._model, self._template, self._batch = model, template, batch

    @torch.inference_mode()
    def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        out: list[Likelihood] = []
        for start in range(0, len(utterances), self._batch):
            items = [self._template.tokenize(u) for u in utterances[start : start + self._batch]]
            rows = [torch.tensor(item.ids) for item in items]
            ids = pad_sequence(rows, batch_first=True).to(self._model.device)
            mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True).to(self._model.device)
            logits: torch.Tensor = self._model(input_ids=ids, attention_mask=mask if len(rows) > 1 else None).logits
            shifted = logits[:, :-1].contiguous()
            losses = F.cross_entropy(shifted.view(-1, shifted.shape[-1]), ids[:, 1:].reshape(-1), reduction="none")
            losses = losses.view(len(items), -1)
            for row, item in zip(losses, items, strict=True):
                out.append(Likelihood(tuple((-row[item.start - 1 : item.stop - 1]).tolist())))
        return out
