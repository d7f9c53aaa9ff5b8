"""Writing with encoder-decoder models (T5 and its kin): one text after the other, plainly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, EncoderDecoderCache, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from agents.models.decoding.decoder import explained
from agents.models.decoding.sequence import TokenSequence
from agents.models.model import ModelError


class EncoderDecoderWriter:
    """The encoder reads a sequence's `source` once; what the decoder has made of it and of its own words is kept."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model: Any = model
        self._waiting: list[TokenSequence] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    @property
    def memory(self) -> int:
        """Nothing is remembered from call to call."""
        return 0

    def add(self, sequence: TokenSequence) -> None:
        self._waiting.append(sequence)

    def step(self) -> None:
        """Write one sequence from beginning to end."""
        sequence = self._waiting.pop(0)
        if sequence.future.cancelled():
            return
        try:
            self._write(sequence)
        except Exception as error:
            sequence.settle(explained(error, self._model))
        else:
            sequence.settle()

    def fail(self, error: Exception) -> None:
        for sequence in self._waiting:
            sequence.settle(error)
        self._waiting.clear()

    def forget(self) -> None:
        """There is nothing to forget."""

    def release(self, session: str) -> None:
        """There is nothing to release."""

    @torch.inference_mode()
    def _write(self, sequence: TokenSequence) -> None:
        if not sequence.source:
            raise ModelError(f"{self._model.name_or_path} was given an empty prompt")
        device = self._model.device
        read: Tensor = self._model.get_encoder()(
            input_ids=torch.tensor([sequence.source], device=device)
        ).last_hidden_state
        kept = EncoderDecoderCache(DynamicCache(), DynamicCache())
        while pending := sequence.pending:
            tokens = torch.tensor([sequence.tokens[pending.start : pending.stop]], device=device)
            output = self._model(
                encoder_outputs=BaseModelOutput(last_hidden_state=read),
                decoder_input_ids=tokens,
                past_key_values=kept,
                use_cache=True,
            )
            scores: Tensor = output.logits[0].float()
            normalisers: list[float] = scores.logsumexp(-1).tolist()
            sequence.ready = pending.stop
            for position, row, normaliser in zip(pending, scores.cpu().numpy(), normalisers, strict=True):
                sequence.read(position, row, normaliser)
