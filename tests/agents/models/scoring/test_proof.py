"""A model shows that its numbers are right before any is used."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import MethodType
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from agents.models.decoding.decoder import Decoder
from agents.models.decoding.encoder_decoder import EncoderDecoderWriter
from agents.models.decoding.sequence import TokenSequence
from agents.models.local import LocalModel
from agents.models.model import ModelCard, ModelMisconfigured
from agents.models.scoring import proof
from agents.models.scoring.proof import Proof
from agents.models.tokens.template import ChatTemplate
from tests.support import tiny

WORDS = ChatTemplate(tiny.tokenizer())


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _shown(model: PreTrainedModel, weights: str = "") -> None:
    Proof(model, WORDS, weights).show(Decoder(model, 2))


@pytest.mark.parametrize("family", tiny.CONFIGS)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_families_that_are_right_pass_in_every_precision(family: str, precision: torch.dtype):
    model = tiny.model(family, WORDS.tokenizer).to(precision)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    _shown(model)
    assert model.dtype == precision
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


def _looking_ahead(model: Any) -> None:
    """Something besides attention carries information from token to token."""
    layer = model.model.layers[0].mlp
    inner = layer.forward

    def mixing(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        return inner(hidden + 0.3 * hidden.cumsum(1))

    layer.forward = MethodType(mixing, layer)


def _scaled(model: Any) -> None:
    """An attention of the family's own: another scale than it hands on."""
    module = __import__(type(model).__module__, fromlist=["eager_attention_forward"])
    own = module.eager_attention_forward

    def eager(layer: Any, *args: Any, scaling: float, **options: Any) -> Any:
        return own(layer, *args, scaling=2 * scaling, **options)

    module.eager_attention_forward = eager


@pytest.mark.parametrize("wrong", [_looking_ahead, _scaled])
def test_a_model_that_is_wrong_is_refused_with_the_difference(wrong: Any, monkeypatch: pytest.MonkeyPatch):
    model = tiny.model("llama", WORDS.tokenizer)
    module = __import__(type(model).__module__, fromlist=["eager_attention_forward"])
    monkeypatch.setattr(module, "eager_attention_forward", module.eager_attention_forward)
    wrong(model)
    with pytest.raises(
        ModelMisconfigured, match=r"tiny-llama \(llama\) cannot run in process: .* are [0-9.]+ nats per token off"
    ):
        LocalModel(model, WORDS, ModelCard("tiny", "llama", "transformers", "", "float32", 512))


def test_a_model_whose_code_breaks_is_refused_with_its_words():
    model = tiny.model("llama", WORDS.tokenizer)
    model.model.layers[1].forward = None  # pyright: ignore
    with pytest.raises(ModelMisconfigured, match=r"cannot run in process|failed: TypeError"):
        LocalModel(model, WORDS, ModelCard("tiny", "llama", "transformers", "", "float32", 512))


def test_a_proof_is_remembered_by_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROCMEM_HOME", str(tmp_path))
    model = tiny.model("llama", WORDS.tokenizer)
    _shown(model, "digest")
    assert len(list(tmp_path.rglob("proofs/*.json"))) == 2
    monkeypatch.setattr(Proof, "_scoring_gap", lambda *_: pytest.fail("shown again"))
    monkeypatch.setattr(Proof, "_writing_gap", lambda *_: pytest.fail("shown again"))
    _shown(model, "digest")
    monkeypatch.setattr(Proof, "_writing_gap", lambda *_: 1.0)
    with pytest.raises(ModelMisconfigured, match="1 nats per token off"):
        _shown(model, "other weights")
    assert len(list(tmp_path.rglob("proofs/*.json"))) == 2


def test_of_weights_without_a_digest_nothing_is_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROCMEM_HOME", str(tmp_path))
    _shown(tiny.model("llama", WORDS.tokenizer))
    assert not list(tmp_path.iterdir())


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PROCMEM_HOME", str(tmp_path / "file"))
    _shown(tiny.model("llama", WORDS.tokenizer), "digest")


def test_without_memory_for_float32_the_precision_of_the_weights_is_shown(monkeypatch: pytest.MonkeyPatch):
    shown: list[torch.dtype] = []
    monkeypatch.setattr(proof, "_fits", lambda model: False)
    monkeypatch.setattr(Proof, "_scoring_gap", lambda self, precision: shown.append(precision) or 0.0)
    _shown(tiny.model("llama", WORDS.tokenizer).bfloat16())
    assert shown == [torch.bfloat16]


def test_encoder_decoders_show_theirs(monkeypatch: pytest.MonkeyPatch):
    words = tiny.tokenizer()
    words.pad_token = words.eos_token
    card = ModelCard("tiny", "t5", "transformers", "", "float32", 512)
    model = tiny.t5(words)
    asyncio.run(LocalModel(model, ChatTemplate(words), card).close())
    monkeypatch.setattr(Proof, "_plain_answer", lambda self, said: [0.0] * len(words(said.text)["input_ids"]))
    with pytest.raises(ModelMisconfigured, match=r"\(t5\) cannot run in process: its likelihoods"):
        LocalModel(model, ChatTemplate(words), card)
    monkeypatch.undo()
    write = EncoderDecoderWriter._write  # pyright: ignore[reportPrivateUsage]

    def hasty(writer: EncoderDecoderWriter, sequence: TokenSequence) -> None:
        assert sequence.source is not None
        sequence.source = sequence.source[:5]
        write(writer, sequence)

    monkeypatch.setattr(EncoderDecoderWriter, "_write", hasty)
    with pytest.raises(ModelMisconfigured, match=r"its log-probabilities while writing are .*; name another model"):
        LocalModel(model, ChatTemplate(words), card)
