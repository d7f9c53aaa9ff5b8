"""Continuous batching: every pass takes one token of each text being written and as many of the prompts as fit."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel

from agents.models.decoding.attention import ROWS, DecodingBatch, NewTokens, attend_slots
from agents.models.decoding.kv_cache import KVCache
from agents.models.decoding.sequence import TokenSequence
from agents.models.model import ModelError

PASS = {"cpu": 256, "cuda": 4096}
"""Tokens in a pass at most, by device, unless more texts than that are being written."""
_WORTHWHILE = 32
"""Tokens for whose sake a prompt waits until another, which begins alike, has been read."""


class Decoder:
    """Writes with a decoder-only model of transformers. Not thread-safe: it belongs to its worker's thread."""

    def __init__(self, model: PreTrainedModel, rows: int) -> None:
        """`rows` sequences are written at a time; twice as many conversations are remembered.

        Raises ModelError for a model that does not let attention be replaced.
        """
        attend_slots(model)
        self.slots = KVCache(model, 2 * rows)
        self._model = model
        self._rows = rows
        self._budget = PASS.get(model.device.type, PASS["cuda"])
        self._waiting: list[TokenSequence] = []
        self._writing: list[TokenSequence] = []

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._writing)

    def add(self, sequence: TokenSequence) -> None:
        self._waiting.append(sequence)

    @torch.inference_mode()
    def step(self) -> None:
        """One pass. What goes wrong goes to the sequences' futures; the decoder stays usable."""
        try:
            self._drop_cancelled()
            self._admit()
            runs = self._plan()
            if runs:
                self._pass(runs)
        except Exception as error:
            self._fail_all(error)
        for sequence in [sequence for sequence in self._writing if sequence.done]:
            self._close(sequence, None)

    @property
    def memory(self) -> int:
        """Bytes of keys and values that are remembered."""
        return self.slots.nbytes

    def release(self, session: str) -> None:
        """This conversation will not be continued: its slot is the next to be used again."""
        self.slots.release(session)

    def forget(self) -> None:
        """Give all memory back, unless something is being written."""
        if not self._writing:
            self.slots.clear()

    def fail(self, error: Exception) -> None:
        """Give up on everything, as when the model is closed."""
        self._fail_all(error)

    def _drop_cancelled(self) -> None:
        self._waiting = [sequence for sequence in self._waiting if not sequence.future.cancelled()]
        for sequence in [sequence for sequence in self._writing if sequence.future.cancelled()]:
            self._leave(sequence)

    def _admit(self) -> None:
        for sequence in list(self._waiting):
            if len(self._writing) == self._rows:
                return
            if self.slots.awaited(sequence.tokens) >= _WORTHWHILE:
                continue
            slot = self.slots.claim(sequence.request.session, sequence.tokens, sequence.known)
            if slot is None:
                return
            sequence.slot, sequence.ready, sequence.cached = slot, slot.ready, slot.ready
            self._waiting.remove(sequence)
            self._writing.append(sequence)

    def _plan(self) -> list[tuple[TokenSequence, NewTokens]]:
        """The sequences being written first, a few tokens each; then the prompts, in order of arrival."""
        left = self._budget
        plan: list[tuple[TokenSequence, NewTokens]] = []
        for sequence in sorted(self._writing, key=lambda sequence: not sequence.asks(sequence.pending.start)):
            assert sequence.slot is not None
            pending = sequence.pending if sequence.asks(sequence.pending.start) else sequence.pending[: max(left, 0)]
            if pending:
                tokens = tuple(sequence.tokens[pending.start : pending.stop])
                plan.append((sequence, NewTokens(sequence.slot.row, pending.start, tokens)))
                left -= len(tokens)
        return sorted(plan, key=lambda item: (len(item[1].tokens), item[1].row))

    def _pass(self, plan: list[tuple[TokenSequence, NewTokens]]) -> None:
        batch = DecodingBatch([run for _, run in plan], self.slots, self._model)
        asked: list[tuple[TokenSequence, int]] = []
        rows: list[int] = []
        first = 0
        for sequence, run in plan:
            for index in range(len(run.tokens)):
                if sequence.asks(run.start + index):
                    asked.append((sequence, run.start + index))
                    rows.append(first + index)
            first += len(run.tokens)
        scores = self._forward(batch, rows)
        for sequence, run in plan:
            assert sequence.slot is not None
            sequence.ready = sequence.slot.ready = run.start + len(run.tokens)
        if scores is None:
            return
        normalisers: list[float] = scores.logsumexp(-1).tolist()
        table = scores.cpu().numpy()
        for row, (sequence, position) in enumerate(asked):
            try:
                sequence.read(position, table[row], normalisers[row])
            except ModelError as error:
                self._close(sequence, error)
                continue
            if sequence.slot is not None:
                sequence.slot.tokens = sequence.tokens

    def _forward(self, batch: DecodingBatch, rows: list[int]) -> Tensor | None:
        """Logits (len(rows), vocabulary) in float32 after the tokens in `rows`."""
        model: Any = self._model if rows else self._model.get_decoder()
        padded = rows + [0] * (-len(rows) % ROWS)
        keep = {"logits_to_keep": torch.tensor(padded, device=self._model.device)} if rows else {}
        output = model(
            input_ids=batch.tokens[None], position_ids=batch.positions[None], use_cache=False, batch=batch, **keep
        )
        if batch.layers != self.slots.layers:
            raise ModelError(f"{self._model.name_or_path} has layers without attention: serve it instead")
        return output.logits[0, : len(rows)].float() if rows else None

    def _close(self, sequence: TokenSequence, error: Exception | None) -> None:
        self._leave(sequence)
        sequence.settle(error)

    def _leave(self, sequence: TokenSequence) -> None:
        self._writing.remove(sequence)
        if sequence.slot is not None:
            self.slots.free(sequence.slot)

    def _fail_all(self, error: Exception) -> None:
        error = explained(error, self._model)
        for sequence in [*self._writing, *self._waiting]:
            sequence.settle(error)
        self._writing.clear()
        self._waiting.clear()
        self.slots.clear()


def explained(error: Exception, model: PreTrainedModel) -> ModelError:
    """What went wrong in a pass, as callers are told."""
    if isinstance(error, ModelError):
        return error
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error):
        return ModelError(f"{model.name_or_path} ran out of memory: use fewer rows or a shorter context")
    return ModelError(f"{model.name_or_path} failed: {type(error).__name__}: {error}")
