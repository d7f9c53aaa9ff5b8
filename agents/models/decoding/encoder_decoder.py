"""Writing with encoder-decoder models (T5 and its kin): one text after the other, plainly."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from agents.models.decoding.decoder import explained
from agents.models.decoding.sequence import Draft
from agents.models.model import ModelError


class EncoderDecoderWriter:
    """The encoder reads a draft's `source` once; the decoder runs over all that is written at every step."""

    memory = 0
    """Nothing is remembered from call to call."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model: Any = model
        self._waiting: list[Draft] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting)

    def add(self, draft: Draft) -> None:
        self._waiting.append(draft)

    def step(self) -> None:
        """Write one draft from beginning to end."""
        draft = self._waiting.pop(0)
        if draft.future.cancelled():
            return
        try:
            self._write(draft)
        except Exception as error:
            draft.settle(explained(error, self._model))
        else:
            draft.settle()

    def fail(self, error: Exception) -> None:
        for draft in self._waiting:
            draft.settle(error)
        self._waiting.clear()

    def forget(self) -> None:
        """There is nothing to forget."""

    def release(self, session: str) -> None:
        """There is nothing to release."""

    @torch.inference_mode()
    def _write(self, draft: Draft) -> None:
        if not draft.source:
            raise ModelError(f"{self._model.name_or_path} was given an empty prompt")
        device = self._model.device
        read: Tensor = self._model.get_encoder()(
            input_ids=torch.tensor([draft.source], device=device)
        ).last_hidden_state
        while pending := draft.pending:
            tokens = torch.tensor([draft.tokens[: pending.stop]], device=device)
            output = self._model(
                encoder_outputs=BaseModelOutput(last_hidden_state=read), decoder_input_ids=tokens, use_cache=False
            )
            scores: Tensor = output.logits[0, pending.start :].float()
            normalisers: list[float] = scores.logsumexp(-1).tolist()
            draft.ready = pending.stop
            for position, row, normaliser in zip(pending, scores.cpu().numpy(), normalisers, strict=True):
                draft.read(position, row, normaliser)
