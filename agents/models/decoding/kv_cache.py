"""Slots: where the keys and values of open conversations live, so that a prompt's known beginning costs nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

_STEP = 512
"""Room for tokens grows by multiples of this."""
_FEWEST, _MOST = 16, 128
"""Completions that are written at a time."""


def fitting_rows(model: PreTrainedModel, context: int) -> int:
    """How many completions of up to `context` tokens are written at a time.

    On a GPU a pass takes about as long for a hundred as for ten: as many as fill half of the memory that is free,
    each with the two conversations that are kept for it, within reason.
    """
    if model.device.type != "cuda":
        return _FEWEST
    config: Any = model.config.get_text_config(decoder=True)
    heads: int = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    kept = 2 * context * 2 * config.num_hidden_layers * heads * width * model.dtype.itemsize
    return min(max(_FEWEST, torch.cuda.mem_get_info(model.device)[0] // 2 // kept), _MOST)


@dataclass(eq=False)
class CacheRow:
    """One conversation's place in the pools. `tokens` are what it is to hold; `ready` of them are computed."""

    row: int
    tokens: list[int] = field(default_factory=list)
    ready: int = 0
    session: str = ""
    busy: bool = False
    used: int = 0
    """When it was last claimed, in claims."""


class KVCache:
    """Keys and values of every layer in one pool each, (rows, heads, room, width); rows and room grow when needed.

    Row 0 is a scratch pad. A conversation that nobody continues keeps its slot until another needs one (least
    recently used first), and lends its beginning to any other that starts with the same words.
    """

    def __init__(self, model: PreTrainedModel, limit: int) -> None:
        """`limit` is how many conversations are kept at most."""
        config: Any = model.config.get_text_config(decoder=True)
        self.layers: int = config.num_hidden_layers
        self._limit = limit
        self._slots: list[CacheRow] = []
        self._sessions: dict[str, CacheRow] = {}
        self._claims = 0
        self._rows, self.room = 1, 0
        self._pools: list[tuple[Tensor, Tensor] | None] = [None] * self.layers

    @property
    def nbytes(self) -> int:
        """Memory that the conversations kept have touched, in bytes."""
        pools = [pool[0] for pool in self._pools if pool is not None]
        token = sum(2 * pool.shape[1] * pool.shape[3] * pool.element_size() for pool in pools)
        return token * sum(slot.ready for slot in self._slots)

    def awaited(self, tokens: list[int]) -> int:
        """How many more of these tokens will be at hand once the conversations now running have got further."""
        planned = max((_shared(slot.tokens, tokens) for slot in self._slots if slot.busy), default=0)
        ready = max((min(_shared(slot.tokens, tokens), slot.ready) for slot in self._slots), default=0)
        return planned - ready

    def claim(self, session: str, tokens: list[int], most: int) -> CacheRow | None:
        """A slot for this conversation, with as many of its first `most` tokens ready as any slot has.

        None if all are busy.
        """
        slot = self._place(session)
        if slot is None:
            return None
        self._claims += 1
        slot.busy, slot.used = True, self._claims
        own = min(_shared(slot.tokens, tokens), slot.ready, most)
        ready, donor = max(
            ((min(_shared(other.tokens, tokens), other.ready, most), -other.row) for other in self._slots),
            default=(0, 0),
        )
        if ready > own:
            self._copy(-donor, slot.row, ready)
        slot.tokens, slot.ready = list(tokens), max(own, ready)
        return slot

    def free(self, slot: CacheRow) -> None:
        """Its conversation has its answer; what is computed stays for the next turn."""
        slot.busy = False
        slot.tokens = slot.tokens[: slot.ready]

    def release(self, session: str) -> None:
        """The conversation is over: its slot is the next to be used again."""
        slot = self._sessions.pop(session, None)
        if slot is not None:
            slot.session, slot.used = "", 0

    def clear(self) -> None:
        """Forget everything and give the memory back."""
        self._slots.clear()
        self._sessions.clear()
        self._rows, self.room = 1, 0
        self._pools = [None] * self.layers

    def reserve(self, room: int, row: int) -> None:
        """See to it that every row has room for that many tokens, and that there are `row` of them."""
        self.room = max(self.room, -(-room // _STEP) * _STEP)
        if row >= self._rows:
            self._rows = min(2 * row, self._limit) + 1

    def pools(self, layer: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer, (rows, heads, room, width), as of `like`'s type (heads, tokens, width)."""
        pool = self._pools[layer]
        if pool is None or pool[0].shape[0] < self._rows or pool[0].shape[2] < self.room:
            pool = (self._grown(pool and pool[0], like), self._grown(pool and pool[1], like))
            self._pools[layer] = pool
        return pool

    def _grown(self, old: Tensor | None, like: Tensor) -> Tensor:
        new = _zeros((self._rows, like.shape[0], self.room, like.shape[2]), like)
        if old is not None:
            for slot in self._slots:
                if slot.row < old.shape[0]:
                    new[slot.row, :, : slot.ready] = old[slot.row, :, : slot.ready]
        return new

    def _place(self, session: str) -> CacheRow | None:
        mine = self._sessions.get(session) if session else None
        if mine is not None and not mine.busy:
            return mine
        idle = min((slot for slot in self._slots if not slot.busy), key=lambda slot: slot.used, default=None)
        if len(self._slots) < self._limit and (idle is None or idle.used > 0):
            idle = CacheRow(len(self._slots) + 1)
            self._slots.append(idle)
        if idle is None:
            return None
        if idle.session:
            del self._sessions[idle.session]
        idle.session = session if mine is None else ""
        if idle.session:
            self._sessions[session] = idle
        return idle

    def _copy(self, source: int, target: int, count: int) -> None:
        self.reserve(count, target)
        for layer, pool in enumerate(self._pools):
            if pool is not None:
                for part in self.pools(layer, pool[0][0]):
                    part[target, :, :count] = part[source, :, :count]


def _zeros(shape: tuple[int, ...], like: Tensor) -> Tensor:
    """Zeros, since a masked key is multiplied by zero and that makes no zero of a NaN.

    numpy's come from calloc and take no memory before they are written to; torch's do.
    """
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    return torch.from_numpy(np.zeros(math.prod(shape) * like.element_size(), np.uint8)).view(like.dtype).view(shape)


def _shared(a: list[int], b: list[int]) -> int:
    """Length of the common beginning."""
    low, high = 0, min(len(a), len(b))
    if a[:high] == b[:high]:
        return high
    while high - low > 1:  # a[:low] is common, a[:high] is not
        middle = (low + high) // 2
        low, high = (middle, high) if a[low:middle] == b[low:middle] else (low, middle)
    return low
