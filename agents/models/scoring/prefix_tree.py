"""A prefix tree of token sequences, laid out depth first so that every distinct token is computed once.

The layout has one property that everything rests on: whatever comes after packed index `i` and refers back to
tokens before `i` refers to ancestors of `i`. So a call can be cut into chunks anywhere, and what a later chunk
needs of the earlier ones is exactly one path from the root: the ancestors of its first token.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Span = tuple[int, int]
"""Packed indices from the first to the second, exclusive."""
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class PrefixTree:
    """The distinct prefixes of some sequences: one token per prefix, `len(tokens)` in all, depth first.

    `starts` are the packed indices at which a run begins (in a run each token follows the one packed before it),
    `parents` the packed index of the token before each run's first, −1 at a root. `paths[i]` are the spans that
    together spell sequence i.
    """

    tokens: Ints
    positions: Ints
    starts: tuple[int, ...]
    parents: tuple[int, ...]
    paths: tuple[tuple[Span, ...], ...]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]]) -> PrefixTree:
        """Merge sequences; equal ones and prefixes of others add nothing. Linear in the tokens, but for a sort."""
        arrays = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
        order = sorted(range(len(arrays)), key=lambda i: arrays[i].astype(">u8").tobytes())
        growth = _Growth()
        paths: list[tuple[Span, ...]] = [()] * len(arrays)
        for i in order:
            paths[i] = growth.add(arrays[i])
        empty = np.empty(0, dtype=np.int64)
        return cls(
            np.concatenate([empty, *growth.tokens]),
            np.concatenate([empty, *growth.positions]),
            tuple(growth.starts),
            tuple(growth.parents),
            tuple(paths),
        )

    def __len__(self) -> int:
        return len(self.tokens)

    def path(self, index: int) -> tuple[Span, ...]:
        """The spans from the root down to packed index `index`, inclusive; () for −1."""
        spans: list[Span] = []
        while index >= 0:
            run = bisect_right(self.starts, index) - 1
            spans.append((self.starts[run], index + 1))
            index = self.parents[run]
        return tuple(reversed(spans))

    def parent(self, index: int) -> int:
        """Packed index of the token before `index`; −1 for a first token or one past the end."""
        if index >= len(self):
            return -1
        run = bisect_right(self.starts, index) - 1
        return self.parents[run] if index == self.starts[run] else index - 1

    def indices(self, sequence: int) -> Ints:
        """Packed index of each token of a sequence, in order."""
        return expand(self.paths[sequence])

    def chunks(self, budget: int) -> Iterator[Chunk]:
        """Cut into chunks of at most `budget` tokens, between runs where that wastes less than half of it."""
        start = 0
        while start < len(self):
            stop = min(start + budget, len(self))
            if stop < len(self):
                border = self.starts[bisect_right(self.starts, stop) - 1]
                stop = border if border > start + budget // 2 else stop
            yield Chunk(self, start, stop)
            start = stop


class Piece(NamedTuple):
    """The part of a run that lies in a chunk, in the chunk's own key space; `position` is that of its first token."""

    start: int
    stop: int
    parent: int
    """Key of the token before it; −1 at a root."""
    position: int


@dataclass(frozen=True)
class Chunk:
    """Packed tokens `start` to `stop`. Its key space is its context (the path to its first token) and then itself."""

    tree: PrefixTree
    start: int
    stop: int
    context: int = field(init=False)
    """Tokens in the context, which sit at their own positions in the key space."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "context", int(self.tree.positions[self.start]))

    @property
    def positions(self) -> Ints:
        """Position of every key: the context's, then the chunk's own. (context + stop − start,)"""
        return np.concatenate([np.arange(self.context), self.tree.positions[self.start : self.stop]])

    @property
    def keep(self) -> tuple[Span, ...]:
        """The spans of the key space that the next chunk has as its context."""
        return self.spans(self.tree.path(self.tree.parent(self.stop)))

    def spans(self, path: tuple[Span, ...]) -> tuple[Span, ...]:
        """A path of packed indices as spans of the key space, neighbours merged."""
        out: list[Span] = []
        for start, stop in path:
            a, b = self._key(start), self._key(stop - 1) + 1
            if out and out[-1][1] == a:
                out[-1] = (out[-1][0], b)
            else:
                out.append((a, b))
        return tuple(out)

    def pieces(self) -> Iterator[Piece]:
        """The runs of this chunk, in order."""
        start = self.start
        run = bisect_right(self.tree.starts, start) - 1
        while start < self.stop:
            run += 1
            stop = min(self.tree.starts[run] if run < len(self.tree.starts) else len(self.tree), self.stop)
            parent = self.tree.parent(start)
            first = self._key(start)
            before = self._key(parent) if parent >= 0 else -1
            yield Piece(first, first + stop - start, before, int(self.tree.positions[start]))
            start = stop

    def _key(self, index: int) -> int:
        if index >= self.start:
            return index - self.start + self.context
        return int(self.tree.positions[index])


class _Growth:
    """The tree while it grows: sequences must come in lexicographic order."""

    def __init__(self) -> None:
        self.tokens: list[Ints] = []
        self.positions: list[Ints] = []
        self.starts: list[int] = []
        self.parents: list[int] = []
        self._size = 0
        self._last: Ints = np.empty(0, dtype=np.int64)
        self._path: list[Span] = []

    def add(self, sequence: Ints) -> tuple[Span, ...]:
        shared = _shared(self._last, sequence)
        self._cut(shared)
        fresh = sequence[shared:]
        if len(fresh):
            self.tokens.append(fresh)
            self.positions.append(np.arange(shared, len(sequence)))
            stop = self._size + len(fresh)
            if self._path and self._path[-1][1] == self._size:
                self._path[-1] = (self._path[-1][0], stop)
            else:
                self.starts.append(self._size)
                self.parents.append(self._path[-1][1] - 1 if self._path else -1)
                self._path.append((self._size, stop))
            self._size = stop
        self._last = sequence
        return tuple(self._path)

    def _cut(self, depth: int) -> None:
        """Keep the first `depth` tokens of the current path."""
        length = sum(stop - start for start, stop in self._path)
        while length > depth:
            start, stop = self._path.pop()
            length -= stop - start
            if length < depth:
                self._path.append((start, start + depth - length))
                length = depth


def _shared(a: Ints, b: Ints) -> int:
    """Length of the common prefix."""
    size = min(len(a), len(b))
    different = np.flatnonzero(a[:size] != b[:size])
    return int(different[0]) if len(different) else size


def expand(spans: Sequence[Span]) -> Ints:
    """All the indices that some spans hold, in order."""
    return np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(start, stop) for start, stop in spans)])
