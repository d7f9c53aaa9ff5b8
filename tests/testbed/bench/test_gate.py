"""The gate's bench: its figures are of the work it says they are of. Nothing here depends on speed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from agents.models.scoring.prefix_tree import PrefixTree
from agents.models.scoring.scorer import PrefixTreeScorer
from agents.models.tokens.template import ChatTemplate
from testbed.bench import gate_workload
from testbed.bench.gate import OURS, PADDED, SINGLE, bench_gate, linear_cost
from testbed.bench.gate_engines import SHAPES, FullLogits, random_weights
from testbed.bench.machine import floating_point_operations, matmul_peak, peak_memory
from tests.support import tiny

WORDS = tiny.tokenizer()


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def spacious(family: str):
    """A tiny model with room for whole games: a byte is a token here."""
    model = tiny.model(family, WORDS)
    model.config.max_position_embeddings = 8192
    return model


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    spacious("llama").save_pretrained(path)
    WORDS.save_pretrained(path)
    return path


def test_the_work_is_real_games_under_four_skills():
    utterances = gate_workload.utterances(trajectories=2, steps=3)
    assert len(utterances) == len(set(utterances)) == 4 * 2 * 3
    assert {len(u.messages) for u in utterances} == {2, 4, 6}
    assert "Feedback:" in utterances[1].messages[-1].content
    assert gate_workload.utterances(trajectories=2, steps=3) == utterances
    acting = gate_workload.utterances(trajectories=1, steps=2, policy=True)
    assert all(u.grammar is not None and u.grammar.accepts(u.text) for u in acting)


def test_the_figures_of_a_run(folder):
    bench = bench_gate(folder, trajectories=1, steps=4, batches=1, singles=3)
    assert json.loads(json.dumps(asdict(bench))) == asdict(bench)
    assert bench.sequences == 16
    assert bench.sequences_timed == {OURS: 16, PADDED: 16, SINGLE: 3}
    assert all(rate > 0 for rate in bench.sequences_per_second.values())
    assert 0.9 < bench.distinct_token_ratio <= 1.0
    assert bench.max_abs_logprob_difference <= 1e-4
    assert 0 <= bench.noise_floor_nats <= 1e-3
    assert bench.peak_fraction == pytest.approx(bench.achieved_gflops / bench.peak_gflops)
    assert set(bench.peak_memory_mb) == set(bench.sequences_timed)


def test_bfloat16_is_held_against_float32(folder):
    bench = bench_gate(folder, precision="bfloat16", trajectories=1, steps=2, batches=1, singles=2)
    assert bench.max_abs_logprob_difference > 1e-4
    assert bench.noise_floor_nats > 0


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_the_engines_agree(family, batch):
    model = spacious(family)
    utterances = gate_workload.utterances(trajectories=1, steps=2)
    theirs = FullLogits(model, ChatTemplate(WORDS), batch).score(utterances)
    ours = PrefixTreeScorer(model, ChatTemplate(WORDS)).score(utterances)
    for one, other in zip(ours, theirs, strict=True):
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-4)


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_floating_point_operations_are_those_that_torch_counts(family):
    """Torch counts a masked square of attention where we count what is seen, so attention is held apart."""
    model = spacious(family)
    utterance = gate_workload.utterances(trajectories=1, steps=1)[0]
    ids = ChatTemplate(WORDS).tokenize(utterance).ids
    tree = PrefixTree.of([ids])
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model(input_ids=torch.tensor([ids]))
    counted = counter.get_flop_counts()["Global"]
    products = sum(flops for op, flops in counted.items() if "bmm" not in str(op) and "attention" not in str(op))
    config = model.config
    windows = (
        [config.sliding_window if kind == "sliding_attention" else len(ids) for kind in config.layer_types]
        if (family == "gemma2")
        else [len(ids)] * 2
    )
    seen = sum(min(position + 1, window) for window in windows for position in range(len(ids)))
    attention = 4 * config.num_attention_heads * config.head_dim * seen
    assert floating_point_operations(model, tree, predictions=len(ids)) - attention == pytest.approx(products)


def test_peaks_are_measured():
    assert matmul_peak(tiny.model("llama", WORDS), rows=64, rounds=1) > 0
    with peak_memory(torch.device("cpu")) as memory:
        pass
    assert memory.bytes > 10_000_000


def test_published_shapes_have_the_published_number_of_weights():
    with torch.device("meta"):
        counts = {
            name: sum(w.numel() for w in random_weights(name, torch.bfloat16, torch.device("meta")).parameters())
            for name in SHAPES
        }
    assert counts["gemma-2-9b"] == pytest.approx(9.24e9, rel=0.01)
    assert counts["qwen3-8b"] == pytest.approx(8.19e9, rel=0.01)


def test_cost_by_distinct_tokens(folder):
    cost = linear_cost(folder, games=(1, 2), steps=3)
    sizes = list(cost)
    assert sizes[1] > 1.2 * sizes[0]
    assert all(seconds > 0 for seconds in cost.values())
