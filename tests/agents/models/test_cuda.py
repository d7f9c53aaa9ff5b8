"""On a GPU as on a CPU: the same likelihoods, the same moves, and bfloat16 within its rounding."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import torch

from agents.models.local import LocalModel
from agents.models.model import Completion, Likelihood, Message, ModelCard, Request, Sampling, Utterance
from agents.models.scoring.scorer import PrefixTreeScorer
from agents.models.tokens.template import ChatTemplate
from environments.grammar import Regex
from tests.support import tiny

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU that torch can use")

WORDS = tiny.tokenizer()
TEMPLATE = ChatTemplate(WORDS)
MOVE = r"\[[12] [12]\]"
RULES = Message("system", "the rules [1 2] " * 12)
"""Longer than the sliding windows of the tiny Gemmas."""


def _calls() -> list[Utterance]:
    """Games that share their beginnings, some with a grammar; a few hundred distinct tokens."""
    games = [
        (RULES, Message("user", f"game {game}"), *[Message("user", f"turn {turn}") for turn in range(game % 4)])
        for game in range(24)
    ]
    said = [Utterance(game, f"[{1 + i % 2} {1 + i % 3 // 2}]") for i, game in enumerate(games)]
    return [*said, *(Utterance(each.messages, each.text, Regex(MOVE)) for each in said[::3])]


def _model(family: str, device: str, precision: torch.dtype = torch.float32) -> Any:
    made: Any = tiny.model(family, WORDS)
    return made.to(device, precision)


def _plain(model: Any, utterance: Utterance) -> list[float]:
    item = TEMPLATE.tokenize(utterance)
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([item.ids], device=model.device), use_cache=False).logits[0].float()
    logprobs = logits.log_softmax(-1)
    return [float(logprobs[i - 1, item.ids[i]]) for i in range(item.start, item.stop)]


def _furthest(found: list[Likelihood], expected: list[Likelihood]) -> float:
    pairs = [p for f, e in zip(found, expected, strict=True) for p in zip(f.logprobs, e.logprobs, strict=True)]
    return max(abs(one - other) for one, other in pairs)


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_likelihoods_are_those_of_the_cpu_and_of_a_plain_pass(family: str):
    calls = _calls()
    cpu = PrefixTreeScorer(_model(family, "cpu"), TEMPLATE).score(calls)
    model = _model(family, "cuda")
    cuda = PrefixTreeScorer(model, TEMPLATE).score(calls)
    assert _furthest(cuda, cpu) < 1e-3
    for found, call in zip(cuda[:24], calls[:24], strict=True):
        assert found.logprobs == pytest.approx(_plain(model, call), abs=1e-3)


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_bfloat16_stays_near_float32(family: str):
    """These weights are drawn ten times as wide as real ones, so rounding counts for more than it does there."""
    calls = _calls()[:24]
    exact = PrefixTreeScorer(_model(family, "cpu"), TEMPLATE).score(calls)
    half = _model(family, "cuda", torch.bfloat16)
    gaps = [
        abs(one - other)
        for found, sure in zip(PrefixTreeScorer(half, TEMPLATE).score(calls), exact, strict=True)
        for one, other in zip(found.logprobs, sure.logprobs, strict=True)
    ]
    assert sum(gaps) / len(gaps) < 0.25


@pytest.mark.parametrize("family", tiny.CONFIGS)
def test_the_likeliest_moves_are_the_same_as_on_the_cpu(family: str):
    asked = [
        Request((RULES, Message("user", f"game {game}")), Regex(MOVE), Sampling(temperature=0.0, max_tokens=12, seed=1))
        for game in range(12)
    ]

    async def moves(device: str) -> list[Completion]:
        card = ModelCard("tiny", family, "transformers", "", "float32", 512)
        local = LocalModel(_model(family, device), TEMPLATE, card)
        try:
            return list(await asyncio.gather(*(local.generate(each) for each in asked)))
        finally:
            await local.close()

    cpu, cuda = asyncio.run(moves("cpu")), asyncio.run(moves("cuda"))
    assert [each.text for each in cuda] == [each.text for each in cpu]
    assert all(re.fullmatch(MOVE, each.text) for each in cuda)
