"""`bench_gate`: how fast the likelihoods of a gate are had, how exact they are, and what stands in the way.

The work: every action of three recorded 20-step Mastermind games under an old skill and three candidates, 240
utterances. All engines score them with the same weights in the same precision, in the same run.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from agents.models.model import Likelihood, Utterance
from agents.models.scoring.noise import NoiseFloor
from agents.models.scoring.prefix_tree import PrefixTree
from agents.models.scoring.scorer import PrefixTreeScorer
from agents.models.served.model import ServedModel
from agents.models.tokens.template import ChatTemplate
from agents.models.weights.checkpoint import load_tokenizer
from testbed.bench import gate_workload
from testbed.bench.gate_engines import FullLogits, fitting_batch, random_weights
from testbed.bench.machine import floating_point_operations, matmul_peak, peak_memory, timed

OURS, PADDED, SINGLE, SERVED = "prefix_tree", "padded", "one_at_a_time", "vllm"
_BATCH = 16

Item = TypeVar("Item")


@dataclass(frozen=True)
class GateBench:
    """Figures of one run. Dictionaries are by engine; the slower engines are timed on the sequences stated."""

    model: str
    device: str
    precision: str
    threads: int
    sequences: int
    distinct_tokens: int
    padded_batch: int
    """16, or the largest power of two whose logits fit into the memory that was free."""
    sequences_timed: dict[str, int]
    sequences_per_second: dict[str, float]
    peak_memory_mb: dict[str, float]
    ratio_to_padded: float
    distinct_token_ratio: float
    """Tokens that went through the model over distinct tokens of the call."""
    achieved_gflops: float
    peak_gflops: float
    """What matrix products of the model's own layer shapes reach by themselves."""
    peak_fraction: float
    max_abs_logprob_difference: float
    """Per token (nats), against a plain one-sequence forward of the same weights in float32."""
    noise_floor_nats: float
    """Root mean square difference of an utterance's summed log-probability from that forward's."""


def bench_gate(
    model: Path,
    *,
    precision: str = "float32",
    device: str = "cpu",
    shape: str | None = None,
    base_url: str | None = None,
    trajectories: int = 3,
    steps: int = 20,
    batches: int = 5,
    singles: int = 12,
) -> GateBench:
    """Measure the engines on `model` (a transformers folder), or on random weights of a `SHAPES` entry.

    The padded engine runs `batches` lots of 16 and the single one `singles` sequences, evenly spread over the call
    (five lots meet sequences of every length alike). With `base_url` a vLLM server that serves `model` is timed too.
    """
    where, dtype = torch.device(device), getattr(torch, precision)
    template = ChatTemplate(load_tokenizer(model))
    network = (
        AutoModelForCausalLM.from_pretrained(
            model, dtype=dtype, device_map=where, trust_remote_code=False, use_safetensors=True
        ).eval()
        if shape is None
        else random_weights(shape, dtype, where)
    )
    utterances = gate_workload.utterances(trajectories, steps)
    lots = _spread([utterances[i : i + _BATCH] for i in range(0, len(utterances), _BATCH)], batches)
    runs = _Runs(where)
    scorer = PrefixTreeScorer(network, template, precision=dtype)
    scorer.score(utterances[:1])  # first calls pay for what later ones find ready
    with _counted(network) as computed:
        ours = runs.time(OURS, utterances, scorer.score)
    items = template.tokenize_all(utterances)
    padded = fitting_batch(network, max(item.stop for item in items), _BATCH)
    runs.time(PADDED, [u for lot in lots for u in lot], FullLogits(network, template, padded).score)
    sample = _spread(utterances, singles)
    plain = runs.time(SINGLE, sample, FullLogits(network, template, 1).score)
    runs.time(OURS, utterances, scorer.score)  # before and after: the machine may have changed its pace meanwhile
    if base_url is not None:
        runs.time(SERVED, sample, lambda wanted: _served(model, base_url, wanted))
    exact = plain if precision == "float32" else _exact(network, template, sample)
    distinct = len(PrefixTree.of([item.ids for item in items]))
    tree = PrefixTree.of([item.ids[: item.stop - 1] for item in items])
    operations = floating_point_operations(network, tree, sum(item.stop - item.start for item in items))
    peak = matmul_peak(network, min(len(tree), 4096))
    achieved = operations * runs.per_second(OURS) / len(utterances)
    return GateBench(
        model=shape or model.name,
        device=torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        precision=precision,
        threads=torch.get_num_threads(),
        sequences=len(utterances),
        distinct_tokens=distinct,
        padded_batch=padded,
        sequences_timed=runs.sequences,
        sequences_per_second={name: runs.per_second(name) for name in runs.sequences},
        peak_memory_mb=runs.megabytes,
        ratio_to_padded=runs.per_second(OURS) / runs.per_second(PADDED),
        distinct_token_ratio=computed.tokens / distinct,
        achieved_gflops=achieved / 1e9,
        peak_gflops=peak / 1e9,
        peak_fraction=achieved / peak,
        max_abs_logprob_difference=_worst(ours, exact),
        noise_floor_nats=NoiseFloor.between([ours[utterance] for utterance in exact], list(exact.values())).sd,
    )


def linear_cost(
    model: Path, games: Sequence[int] = (3, 6, 12, 28), *, steps: int = 20, precision: str = "float32"
) -> dict[int, float]:
    """Seconds by distinct tokens, for calls of more and more games (28: about 100,000 tokens).

    A tiny random model reads them, in the tokens of `model`: what is tried is how the cost grows.
    """
    template = ChatTemplate(load_tokenizer(model))
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(template.tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        max_position_embeddings=8192,
    )
    network = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, precision)).eval()
    scorer = PrefixTreeScorer(network, template)
    out: dict[int, float] = {}
    for count in games:
        call = gate_workload.utterances(count, steps)
        tree = PrefixTree.of([item.ids[: item.stop - 1] for item in template.tokenize_all(call)])
        out[len(tree)] = timed(network.device, lambda call=call: scorer.score(call))[1]
    return out


class _Runs:
    """What was timed so far, by engine."""

    def __init__(self, device: torch.device) -> None:
        self.sequences: dict[str, int] = {}
        self.megabytes: dict[str, float] = {}
        self._seconds: dict[str, list[float]] = {}
        self._device = device

    def time(
        self, name: str, utterances: list[Utterance], score: Callable[[list[Utterance]], list[Likelihood]]
    ) -> dict[Utterance, Likelihood]:
        with peak_memory(self._device) as memory:
            found, seconds = timed(self._device, lambda: score(utterances))
        self.sequences[name] = len(utterances)
        self.megabytes[name] = max(self.megabytes.get(name, 0.0), memory.bytes / 1e6)
        self._seconds.setdefault(name, []).append(seconds)
        return dict(zip(utterances, found, strict=True))

    def per_second(self, name: str) -> float:
        """Sequences per second, over all runs of the engine."""
        return self.sequences[name] * len(self._seconds[name]) / sum(self._seconds[name])


@dataclass
class _Counter:
    tokens: int = 0


@contextmanager
def _counted(network: PreTrainedModel) -> Generator[_Counter]:
    """Tokens that are embedded while it is open."""
    counter = _Counter()

    def count(_: object, arguments: tuple[torch.Tensor]) -> None:
        counter.tokens += arguments[0].numel()

    hook = network.get_input_embeddings().register_forward_pre_hook(count)
    try:
        yield counter
    finally:
        hook.remove()


def _spread(items: list[Item], count: int) -> list[Item]:
    """`count` of the items, evenly spread; all where there are no more."""
    if len(items) <= count:
        return items
    return [items[i * len(items) // count] for i in range(count)]


def _exact(network: PreTrainedModel, template: ChatTemplate, sample: list[Utterance]) -> dict[Utterance, Likelihood]:
    reference = copy.deepcopy(network).float()
    return dict(zip(sample, FullLogits(reference, template, 1).score(sample), strict=True))


def _worst(ones: dict[Utterance, Likelihood], others: dict[Utterance, Likelihood]) -> float:
    return max(
        abs(one - other)
        for utterance, exact in others.items()
        for one, other in zip(ones[utterance].logprobs, exact.logprobs, strict=True)
    )


def _served(model: Path, base_url: str, utterances: list[Utterance]) -> list[Likelihood]:
    async def ask() -> list[Likelihood]:
        server = await ServedModel.connect(model.name, [base_url], tokenizer=str(model))
        try:
            return await server.score(utterances)
        finally:
            await server.close()

    return asyncio.run(ask())
