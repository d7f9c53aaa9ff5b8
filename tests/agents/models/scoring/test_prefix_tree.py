"""The prefix tree holds every distinct prefix once, and its chunks see exactly what they must."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.models.scoring.attention import ChunkAttention, Economy
from agents.models.scoring.prefix_tree import PrefixTree, expand

sequences = st.lists(st.lists(st.integers(0, 2), max_size=12), max_size=10)
"""Few different tokens, so that much is shared: duplicates, prefixes of others, branches at any depth."""


@settings(deadline=None)
@given(sequences)
def test_every_distinct_prefix_is_there_once_and_every_sequence_can_be_read_back(given):
    tree = PrefixTree.of(given)
    assert len(tree) == len({tuple(s[: i + 1]) for s in given for i in range(len(s))})
    for i, sequence in enumerate(given):
        indices = tree.indices(i)
        assert tree.tokens[indices].tolist() == sequence
        assert tree.positions[indices].tolist() == list(range(len(sequence)))


@settings(deadline=None)
@given(sequences)
def test_a_path_leads_from_the_root_to_its_token(given):
    tree = PrefixTree.of(given)
    prefixes = set()
    for index in range(len(tree)):
        path = expand(tree.path(index))
        assert path[-1] == index
        assert len(path) == tree.positions[index] + 1
        assert tree.parent(index) == (path[-2] if len(path) > 1 else -1)
        prefixes.add(tuple(tree.tokens[path].tolist()))
    assert len(prefixes) == len(tree)


@settings(deadline=None)
@given(sequences, st.integers(1, 9))
def test_a_chunk_keeps_just_the_context_of_the_next(given, budget):
    tree = PrefixTree.of(given)
    keys = np.empty(0, dtype=np.int64)
    covered = 0
    for chunk in tree.chunks(budget):
        assert chunk.start == covered
        assert 0 < chunk.stop - chunk.start <= budget
        covered = chunk.stop
        assert keys.tolist() == expand(tree.path(tree.parent(chunk.start))).tolist()
        keys = np.concatenate([keys, np.arange(chunk.start, chunk.stop)])[expand(chunk.keep)]
    assert covered == len(tree)
    assert len(keys) == 0


@settings(deadline=None)
@given(sequences, st.integers(1, 40), st.sampled_from([None, 1, 2, 5]), st.sampled_from([-100, 2_000, 10**6]))
def test_every_token_sees_its_ancestors_inside_the_window_and_nothing_else(given, budget, window, launch):
    """The dearer an attention call, the more branches share one."""
    tree = PrefixTree.of(given)
    for chunk in tree.chunks(budget):
        attention = ChunkAttention(chunk, {}, torch.device("cpu"))
        attention._economy = Economy(launch, rows=3)
        keys = np.concatenate([expand(tree.path(tree.parent(chunk.start))), np.arange(chunk.start, chunk.stop)])
        rows = []
        for block in attention.blocks(window):
            columns = expand(block.spans)
            size = block.stop - block.start
            lower_right = np.tri(size, len(columns), len(columns) - size, dtype=bool)
            mask = lower_right if block.mask is None else block.mask.numpy()
            for row, visible in zip(range(block.start, block.stop), mask, strict=True):
                path = expand(tree.path(chunk.start + row))
                assert keys[columns[visible]].tolist() == path[-window if window else 0 :].tolist()
                rows.append(row)
        assert rows == list(range(chunk.stop - chunk.start))


def test_many_short_branches_of_one_trunk_share_a_call_and_long_ones_do_not():
    trunk = list(range(100))
    short = PrefixTree.of([[*trunk, 200 + i, 7] for i in range(30)])
    (chunk,) = short.chunks(1000)
    assert len(ChunkAttention(chunk, {}, torch.device("cpu")).blocks(None)) < 6
    long = PrefixTree.of([[*trunk, 200 + i, *range(500)] for i in range(3)])
    (chunk,) = long.chunks(5000)
    blocks = ChunkAttention(chunk, {}, torch.device("cpu")).blocks(None)
    assert [block.mask for block in blocks] == [None, None, None]


def test_an_extended_conversation_is_one_run():
    steps = [list(range(size)) for size in (3, 7, 12)]
    tree = PrefixTree.of([steps[1], steps[2], steps[0], steps[1]])
    assert len(tree) == 12
    assert tree.starts == (0,)
