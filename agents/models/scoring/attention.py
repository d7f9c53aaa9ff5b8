"""Attention along the branches of a prefix tree, under the stock model code of transformers.

A chunk of the tree runs through the model as one row: embeddings, projections, norms and MLPs see plain tokens, one
large matrix product each and no padding. Only attention has to know who follows whom; it is registered with
transformers' attention interface, and the chunk's layout reaches it as the keyword argument `tree` of the forward.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.attention.bias import causal_lower_right
from transformers import AttentionInterface, PreTrainedModel

from agents.models.model import ModelError
from agents.models.scoring.prefix_tree import Chunk, Ints, Piece, Span, expand

ATTENTION = "prefix_tree"
_GATHER = 20
"""What one more key costs an attention call, counted in (query, key) pairs; measured."""

Mask = NDArray[np.bool_]


class Economy(NamedTuple):
    """What is dear on a device. `launch` is one more attention call, counted in (query, key) pairs; measured.

    `rows` queries are windowed or soft-capped at a time, which bounds what is held of masks and scores.
    """

    launch: int
    rows: int

    @classmethod
    def of(cls, device: torch.device) -> Economy:
        return cls(2_000, 256) if device.type == "cpu" else cls(1_000_000, 2048)


@dataclass(frozen=True)
class Block:
    """Queries `start` to `stop` (of the chunk) see the keys in `spans` (of its key space).

    Without a mask they are a chain that ends with the keys: query i sees all but the last `stop − start − 1 − i`.
    """

    start: int
    stop: int
    spans: tuple[Span, ...]
    mask: Tensor | None = None


class ChunkAttention:
    """One chunk's attention: its layout, and the keys and values of its context, layer by layer.

    `context` is what `kept` of the chunk before holds; it is emptied as the layers use it.
    """

    def __init__(self, chunk: Chunk, context: dict[int, tuple[Tensor, Tensor]], device: torch.device) -> None:
        self.kept: dict[int, tuple[Tensor, Tensor]] = {}
        self.layers = 0
        """Layers that have attended so far."""
        self._chunk, self._context, self._device = chunk, context, device
        self._economy = Economy.of(device)
        self._keep = chunk.keep
        self._blocks: dict[int | None, list[Block]] = {}

    def extend(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (1, heads, tokens, width) of the chunk with those of its context in front."""
        self.layers += 1
        if self._chunk.context:
            before = self._context.pop(layer)
            key, value = torch.cat([before[0], key], 2), torch.cat([before[1], value], 2)
        if self._keep:
            self.kept[layer] = (_gather(key, self._keep).clone(), _gather(value, self._keep).clone())
        return key, value

    def check(self, model: PreTrainedModel) -> None:
        """Raises ModelError unless every layer has attended along the tree: in any other, branches would mix."""
        config: Any = model.config.get_text_config(decoder=True)
        if self.layers != config.num_hidden_layers:
            raise ModelError(f"{model.name_or_path} has layers without attention and cannot be scored as a prefix tree")

    def blocks(self, window: int | None) -> list[Block]:
        """The calls that together are the chunk's attention, for layers that see `window` tokens back (None: all)."""
        if window is not None and window > int(self._chunk.positions.max(initial=0)):
            window = None
        if window not in self._blocks:
            groups = _grouped(self._chunk, self._economy.launch)
            self._blocks[window] = [
                Block(block.start, block.stop, block.spans, None if block.mask is None else block.mask.to(self._device))
                for pieces in groups
                for block in _blocks(self._chunk, pieces, window, self._economy.rows)
            ]
        return self._blocks[window]


@contextmanager
def tree_attention(model: PreTrainedModel) -> Generator[None]:
    """Within it, `model` attends along the tree it is handed. Raises ModelError where its code allows no such thing."""
    config: Any = model.config
    before: str = config._attn_implementation
    model.set_attn_implementation(ATTENTION)
    if config._attn_implementation != ATTENTION:
        raise ModelError(f"{model.name_or_path} computes its own attention and cannot be scored here; serve it instead")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _attend_tree(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    *,
    tree: ChunkAttention,
    scaling: float,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Signature of transformers' attention functions; (1, heads, tokens, width) in, (1, tokens, heads, width) out."""
    if s_aux is not None:
        raise ModelError("models with attention sinks cannot be scored as a prefix tree; serve the model instead")
    key, value = tree.extend(module.layer_idx, key, value)
    out = torch.empty_like(query).transpose(1, 2)
    for block in tree.blocks(sliding_window):
        keys, values = (_repeat(_gather(x, block.spans), query.shape[1]) for x in (key, value))
        attend = _attend if softcap is None else _attend_capped(softcap)
        rows = attend(query[:, :, block.start : block.stop], keys, values, block.mask, scaling)
        out[:, block.start : block.stop] = rows.transpose(1, 2)
    return out, None


AttentionInterface.register(ATTENTION, _attend_tree)


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
    lead = key.shape[2] - query.shape[2]
    if mask is None and lead and query.device.type == "cpu":
        if lead <= query.shape[2]:
            # Torch's CPU kernel aligns a causal mask at the upper left; empty rows in front turn that into the lower
            # right, and cost less than a mask while the lead is the shorter part.
            return F.scaled_dot_product_attention(
                F.pad(query, (0, 0, lead, 0)), key, value, is_causal=True, scale=scaling
            )[:, :, lead:]
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool).tril(lead)
    if mask is None and lead:
        mask = causal_lower_right(query.shape[2], key.shape[2])
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=mask is None, scale=scaling)


def _attend_capped(softcap: float) -> Any:
    """Gemma-2's attention: scores squashed into ±softcap, which no fused kernel of torch does."""

    def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scaling: float) -> Tensor:
        rows: list[Tensor] = []
        lead = key.shape[2] - query.shape[2]
        step = Economy.of(query.device).rows
        for start in range(0, query.shape[2], step):
            stop = min(start + step, query.shape[2])
            seen = key.shape[2] if mask is not None else lead + stop
            scores = query[:, :, start:stop] @ key[:, :, :seen].transpose(2, 3) * scaling
            scores = torch.tanh(scores / softcap) * softcap
            part = _causal(stop - start, seen, scores.device) if mask is None else mask[start:stop]
            weights = scores.masked_fill(~part, -torch.inf).softmax(-1, dtype=torch.float32)
            rows.append(weights.to(query.dtype) @ value[:, :, :seen])
        return torch.cat(rows, 2)

    return attend


def _causal(rows: int, keys: int, device: torch.device) -> Tensor:
    return torch.ones(rows, keys, dtype=torch.bool, device=device).tril(keys - rows)


def _gather(x: Tensor, spans: Sequence[Span]) -> Tensor:
    parts = [x[:, :, start:stop] for start, stop in spans]
    return parts[0] if len(parts) == 1 else torch.cat(parts, 2)


def _repeat(x: Tensor, heads: int) -> Tensor:
    """Key/value heads as many as query heads (grouped-query attention)."""
    own = x.shape[1]
    return x if own == heads else x[:, :, None].expand(-1, -1, heads // own, -1, -1).flatten(1, 2)


def _grouped(chunk: Chunk, launch: int) -> Iterator[list[Piece]]:
    """Neighbouring pieces that are cheaper in one masked call than apart: many short branches of one trunk."""

    def cost(pieces: list[Piece]) -> int:
        rows = pieces[-1].stop - pieces[0].start
        keys = pieces[0].position + rows
        return rows * (keys if len(pieces) > 1 else keys - rows // 2) + _GATHER * keys + launch

    group: list[Piece] = []
    for piece in chunk.pieces():
        if group and cost([*group, piece]) > cost(group) + cost([piece]):
            yield group
            group = []
        group.append(piece)
    if group:
        yield group


def _blocks(chunk: Chunk, pieces: list[Piece], window: int | None, step: int) -> Iterator[Block]:
    first, last = pieces[0].start, pieces[-1].stop
    positions = chunk.positions
    if window is not None and int(positions[first:last].max()) < window:
        window = None
    packed = first - chunk.context + chunk.start
    spans = chunk.spans((*chunk.tree.path(chunk.tree.parent(packed)), (packed, packed + last - first)))
    start, stop = first - chunk.context, last - chunk.context
    if window is None:
        mask = torch.from_numpy(_visible(pieces, 0, last - first)) if len(pieces) > 1 else None
        yield Block(start, stop, spans, mask)
        return
    keys = expand(spans)
    for row in range(0, last - first, step):
        mask = _visible(pieces, row, min(row + step, last - first))
        mask &= positions[first + row : first + row + len(mask), None] - positions[keys][None] < window
        seen = np.flatnonzero(mask.any(0))
        yield Block(start + row, start + row + len(mask), _runs(keys[seen]), torch.from_numpy(mask[:, seen]))


def _visible(pieces: list[Piece], start: int, stop: int) -> Mask:
    """What rows `start` to `stop` of a group see: columns are the trunk before the group, then the group's tokens."""
    first, trunk = pieces[0].start, pieces[0].position
    size = pieces[-1].stop - first
    if len(pieces) == 1:
        return np.tri(stop - start, trunk + size, trunk + start, dtype=np.bool_)
    mask = np.zeros((size, trunk + size), dtype=np.bool_)
    for piece in pieces:
        a, b = piece.start - first, piece.stop - first
        mask[a:b] = mask[piece.parent - first] if piece.parent >= first else np.arange(trunk + size) < piece.position
        mask[a:b, trunk + a : trunk + b] = np.tri(b - a, dtype=np.bool_)
    return mask[start:stop]


def _runs(keys: Ints) -> tuple[Span, ...]:
    """Ascending keys as spans."""
    cuts = np.flatnonzero(np.diff(keys) != 1) + 1
    return tuple((int(part[0]), int(part[-1]) + 1) for part in np.split(keys, cuts))
