"""Attention of many conversations in one pass, under the stock model code of transformers.

The new tokens of all conversations, one of each that is being written and many of each that is being read, run
through the model as one row: projections, norms and MLPs are one large matrix product each and nothing is padded to
the longest. Only attention has to know whose token is whose; it is registered with transformers' attention
interface, and the layout reaches it as the keyword argument `batch` of the forward.

A conversation's numbers do not depend on its company or on how it was cut into passes: a row of a matrix product is
the same among 16 rows as among 256, and attention is computed conversation by conversation (on the CPU), with
queries and keys padded to the multiples at which torch's kernels change their order of summation. These were found
by trial; tests/agents/test_local.py guards them.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface, PreTrainedModel

from agents.models.decoding.kv_cache import KVCache
from agents.models.model import ModelError

ATTENTION = "slots"
ROWS = 16
"""Rows of a matrix product come in multiples of this."""
_QUERIES = 4
_KEYS = {torch.float32: 512}
_KEYS_OTHERWISE = 128


class NewTokens(NamedTuple):
    """New tokens of one conversation: they follow the first `start` tokens in row `row` of the pools."""

    row: int
    start: int
    tokens: tuple[int, ...]


class Layer(NamedTuple):
    """How one layer attends."""

    heads: int
    """Of keys and values."""
    scaling: float
    window: int | None
    softcap: float | None


class Group:
    """Runs of equal length side by side, attended to together: tokens `span` of the batch."""

    def __init__(self, first: int, runs: Sequence[NewTokens], dtype: torch.dtype, device: torch.device) -> None:
        self.size = len(runs[0].tokens)
        self.span = slice(first, first + len(runs) * self.size)
        step = _KEYS.get(dtype, _KEYS_OTHERWISE)
        self._rows = [run.row for run in runs]
        self._seen = [-(-(run.start + self.size) // step) * step for run in runs]
        self._calls = _calls(self._rows, self._seen)
        self._positions = torch.tensor([[run.start + i for i in range(self.size)] for run in runs], device=device)
        self._dtype = dtype
        self._masks: dict[tuple[int, int | None], Tensor] = {}

    def stack(self, query: Tensor, heads: int) -> Tensor:
        """(query heads, runs × size, width) as (runs, heads, queries, width): those that share a key head together."""
        shared = query.shape[0] // heads
        stacked = query.view(heads, shared, len(self._rows), self.size, -1).permute(2, 0, 1, 3, 4).flatten(2, 3)
        return F.pad(stacked, (0, 0, 0, -stacked.shape[2] % _QUERIES))

    def unstack(self, stacked: Tensor, heads: int) -> Tensor:
        """The inverse, as (runs × size, query heads, width)."""
        shared = heads // stacked.shape[1]
        parts = stacked[:, :, : shared * self.size].unflatten(2, (shared, self.size))
        return parts.permute(0, 3, 1, 2, 4).reshape(-1, heads, stacked.shape[3])

    def mask(self, shared: int, window: int | None) -> Tensor:
        """What is added to the scores, (runs, 1, queries, keys): 0 where a query sees a key, else −∞."""
        if (shared, window) not in self._masks:
            keys = torch.arange(max(self._seen), device=self._positions.device)
            visible = keys <= self._positions[..., None]
            if window is not None:
                visible &= keys > self._positions[..., None] - window
            visible = visible.repeat(1, shared, 1)
            visible = F.pad(visible, (0, 0, 0, -visible.shape[1] % _QUERIES), value=True)
            blank = torch.zeros((), dtype=self._dtype, device=visible.device)
            self._masks[shared, window] = torch.where(visible, blank, -torch.inf)[:, None]
        return self._masks[shared, window]

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, layer: Layer) -> Tensor:
        """(query heads, tokens, width) against pools (rows, heads, room, width): (tokens, query heads, width)."""
        stacked = self.stack(query, layer.heads)
        mask = self.mask(query.shape[0] // layer.heads, layer.window)
        if query.is_cuda:
            longest = mask.shape[3]
            found = _attend(stacked, keys[self._rows, :, :longest], values[self._rows, :, :longest], mask, layer)
        else:
            parts = [
                _attend(stacked[span], keys[rows, :, :seen], values[rows, :, :seen], mask[span, :, :, :seen], layer)
                for span, rows, seen in self._calls
            ]
            found = parts[0] if len(parts) == 1 else torch.cat(parts)
        return self.unstack(found, query.shape[0])


class DecodingBatch:
    """One pass: the runs' `tokens` and their `positions`, both (tokens,), padded at the end; and who sees whom."""

    def __init__(self, runs: Sequence[NewTokens], slots: KVCache, model: PreTrainedModel) -> None:
        """`runs` stand in order of length and then of row."""
        device = model.device
        slots.reserve(max(run.start + len(run.tokens) for run in runs), max(run.row for run in runs))
        self._slots = slots
        self._groups: list[Group] = []
        first = 0
        for size, same in groupby(runs, key=lambda run: len(run.tokens)):
            group = list(same)
            self._groups.append(Group(first, group, model.dtype, device))
            first += size * len(group)
        padding = [0] * (-first % ROWS)
        self.tokens = torch.tensor([token for run in runs for token in run.tokens] + padding, device=device)
        self.positions = torch.tensor(
            [run.start + i for run in runs for i in range(len(run.tokens))] + padding, device=device
        )
        self._rows = torch.tensor([run.row for run in runs for _ in run.tokens] + padding, device=device)
        self._where: dict[int, Tensor] = {}
        self.layers = 0
        """Layers that have attended so far."""

    def attend(self, index: int, query: Tensor, key: Tensor, value: Tensor, layer: Layer) -> Tensor:
        """(heads, tokens, width) in, (tokens, heads, width) out; the keys and values are kept."""
        self.layers += 1
        keys, values = self._slots.pools(index, key)
        places = self._places(layer.heads)
        for pool, new in ((keys, key), (values, value)):
            pool.view(-1, pool.shape[3]).index_copy_(0, places, new.reshape(-1, pool.shape[3]))
        out = query.new_zeros(query.shape[1], query.shape[0], query.shape[2])
        for group in self._groups:
            out[group.span] = group.attend(query[:, group.span], keys, values, layer)
        return out

    def _places(self, heads: int) -> Tensor:
        """Where in a pool seen as (rows × heads × room, width) the tokens' keys go, (heads × tokens,)."""
        if heads not in self._where:
            lines = self._rows * heads + torch.arange(heads, device=self._rows.device)[:, None]
            self._where[heads] = (lines * self._slots.room + self.positions).flatten()
        return self._where[heads]


def attend_slots(model: PreTrainedModel) -> None:
    """Make `model` attend over the slots from now on. Raises ModelError where its code allows no such thing."""
    config: Any = model.config
    model.set_attn_implementation(ATTENTION)
    if config._attn_implementation != ATTENTION:
        raise ModelError(f"{model.name_or_path} computes its own attention and cannot run in process; serve it instead")


def _calls(rows: list[int], seen: list[int]) -> list[tuple[slice, slice, int]]:
    """Runs that can be attended to in one call, since their rows are neighbours and they see equally many keys.

    Which runs, which rows of the pools, how many keys.
    """
    calls: list[tuple[slice, slice, int]] = []
    first = 0
    for last in range(1, len(rows) + 1):
        if last == len(rows) or rows[last] != rows[last - 1] + 1 or seen[last] != seen[first]:
            calls.append((slice(first, last), slice(rows[first], rows[first] + last - first), seen[first]))
            first = last
    return calls


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor, layer: Layer) -> Tensor:
    if layer.softcap is None:
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=layer.scaling)
    scores = query @ key.transpose(2, 3) * layer.scaling  # Gemma-2: no fused kernel of torch caps its scores
    scores = torch.tanh(scores / layer.softcap) * layer.softcap + mask
    return scores.softmax(-1, dtype=torch.float32).to(query.dtype) @ value


def _attend_slots(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    batch: DecodingBatch,
    scaling: float,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Signature of transformers' attention functions; (1, heads, tokens, width) in, (1, tokens, heads, width) out."""
    if s_aux is not None:
        raise ModelError("models with attention sinks cannot run in process; serve the model instead")
    layer = Layer(key.shape[1], scaling, sliding_window, softcap)
    return batch.attend(module.layer_idx, query[0], key[0], value[0], layer)[None], None


AttentionInterface.register(ATTENTION, _attend_slots)
