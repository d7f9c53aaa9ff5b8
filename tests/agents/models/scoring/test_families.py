"""Families of models, each with random weights: what runs in process is right, all others are refused in a sentence.

The slow test goes through all that transformers knows, so that a new release cannot slip one in.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest
import torch
from transformers import PreTrainedModel

from agents.models.local import LocalModel
from agents.models.model import Likelihood, Message, ModelCard, ModelMisconfigured, Utterance
from agents.models.tokens.template import ChatTemplate
from tests.support import families, tiny

WORDS = ChatTemplate(tiny.tokenizer())
CARD = ModelCard("tiny", "any", "transformers", "", "float32", 512)
RIGHT = ("gemma2", "gemma3_text", "gpt2", "gpt_neox", "granite", "mixtral", "olmo2", "phi", "qwen3", "smollm3")
WRONG = (
    *("falcon_h1", "phimoe", "doge", "inkling_text", "zaya"),  # silently, but for the proof
    *("bert", "roberta", "roc_bert", "electra", "bart"),  # attention in both directions, or encoders
    *("bloom", "mpt", "mamba", "falcon_mamba", "recurrent_gemma", "xlstm", "cpmant", "whisper"),  # no length of context
    *("nemotron", "stablelm", "modernbert-decoder", "llama4_text", "hrm_text", "deepseek_v3"),  # code of other shapes
    *("cohere", "gpt_oss", "jamba"),  # scaled logits, sinks, layers without attention
)


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _calls() -> list[Utterance]:
    """A conversation that branches at its first turn and within its last words; not the one of the proof."""
    rules, ask = Message("system", "the rules [1 2] " * 5), Message("user", "move")
    again = (rules, ask, Message("assistant", "[1 2]"), Message("user", "the other"))
    said = [((rules, ask), "[1 2]"), ((rules, ask), "[1 the end"), (again, "er the"), (again, "er [2")]
    return [Utterance(messages, text) for messages, text in said]


@torch.inference_mode()
def _plain(model: PreTrainedModel, utterance: Utterance) -> list[float]:
    item = WORDS.tokenize(utterance)
    logprobs = model(input_ids=torch.tensor([item.ids]), use_cache=False).logits[0].float().log_softmax(-1)
    return [float(logprobs[i - 1, item.ids[i]]) for i in range(item.start, item.stop)]


def _outcome(family: str) -> str:
    """What becomes of a family; anything but these four is a fault."""
    try:
        model = families.build(family, len(WORDS.tokenizer) + 5)
    except families.CannotBuild:
        return "not built"
    expected = [_plain(model, utterance) for utterance in _calls()]

    async def found() -> list[Likelihood]:
        local = LocalModel(model, WORDS, CARD)
        try:
            return await local.score(_calls())
        finally:
            await local.close()

    try:
        likelihoods = asyncio.run(found())
    except ModelMisconfigured:
        return "refused"
    except Exception as error:
        return f"{family}: {type(error).__name__}: {error}"
    pairs = zip(likelihoods, expected, strict=True)
    gap = max(abs(one - other) for each, plain in pairs for one, other in zip(each.logprobs, plain, strict=True))
    return "equal" if gap < 1e-3 else f"{family}: silently wrong by {gap:.2g} nats"


@pytest.mark.parametrize("family", RIGHT)
def test_families_that_run_in_process_are_right(family: str):
    assert _outcome(family) == "equal"


@pytest.mark.parametrize("family", WRONG)
def test_families_that_would_be_wrong_are_refused(family: str):
    assert _outcome(family) == "refused"


@pytest.mark.slow
def test_no_family_of_transformers_is_a_fault():
    outcomes = Counter(_outcome(family) for family in families.FAMILIES)
    print(dict(outcomes))
    assert set(outcomes) <= {"equal", "refused", "not built"}
    assert outcomes["equal"] >= 70
