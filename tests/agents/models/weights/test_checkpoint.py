"""Strangers' model folders: each ends in a model or in one sentence, and nothing in it runs."""

from __future__ import annotations

import asyncio
import json
import pickle
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import torch

from agents.embedding import SentenceEmbedder
from agents.models.local import LocalModel
from agents.models.model import ModelCard, ModelError
from agents.models.weights.checkpoint import load_checkpoint, load_tokenizer
from agents.models.weights.folders import weights_digest
from agents.models.weights.wheels import WeightsError
from tests.support import tiny


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    words = tiny.tokenizer()
    tiny.model("llama", words).save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "model"))


def _config(folder: Path, **changes: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_a_whole_folder_is_loaded(folder: Path):
    loaded = load_checkpoint(folder, "tiny", torch.float32)
    assert loaded.model.dtype == torch.float32
    assert load_tokenizer(folder)("the")["input_ids"] == loaded.tokenizer("the")["input_ids"]


class _Bomb:
    def __reduce__(self) -> tuple[Callable[[str], Any], tuple[str]]:
        return Path.touch, (Path("exploded"),)  # pyright: ignore


def _cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def _scramble_header(folder: Path) -> None:
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[20:60] = b"\xff" * 40
    file.write_bytes(content)


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))


def _lose_a_tensor(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    file = folder / "model.safetensors"
    tensors = load_file(file)
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, file, {"format": "pt"})


def _write(name: str, text: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(text) and None


def _own_code(folder: Path) -> None:
    (folder / "own.py").write_text("import pathlib; pathlib.Path('exploded').touch()\nclass C: pass\n")
    _config(
        folder, model_type="own", auto_map={"AutoConfig": "own.C", "AutoModelForCausalLM": "own.C"}, architectures=["C"]
    )


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (_cut, "is damaged .*fetch it again"),
        (_scramble_header, "is damaged .*fetch it again"),
        (_pickle, "pytorch_model.bin is a pickle, which could run code; save it there as safetensors"),
        (lambda folder: (folder / "model.safetensors").unlink(), "there are no weights"),
        (_lose_a_tensor, r"1 of its tensors are not there \(model.layers.1.mlp.up_proj.weight"),
        (_write("config.json", "[" * 100_000), "config.json cannot be read: RecursionError"),
        (_write("config.json", '{"a": ' * 500 + "1" + "}" * 500), "config.json cannot be read|cannot be loaded"),
        (_write("config.json", "{"), "config.json cannot be read"),
        (_write("config.json", "[]"), "cannot be loaded"),
        (_write("config.json", "1" * 5000), "config.json cannot be read"),
        (_write("config.json", "{}"), "cannot be loaded"),
        (lambda folder: _config(folder, vocab_size=2_000_000_000), r"asks for 2,000,000,000 \(vocab_size\)"),
        (lambda folder: _config(folder, hidden_size=10**12), r"\(hidden_size\)"),
        (lambda folder: _config(folder, num_hidden_layers=10**9), r"\(num_hidden_layers\)"),
        (lambda folder: _config(folder, vocab_size=-5), "cannot be loaded"),
        (lambda folder: _config(folder, num_attention_heads=0), "cannot be loaded"),
        (lambda folder: _config(folder, hidden_size=32), "cannot be loaded"),
        (lambda folder: _config(folder, model_type="nobody"), "cannot be loaded"),
        (_own_code, "cannot be loaded"),
        (_write("tokenizer.json", '{"a":' * 5000), "cannot be loaded"),
        (_write("tokenizer.json", "{}"), "cannot be loaded"),
        (_write("tokenizer_config.json", "[1]"), "cannot be loaded"),
    ],
)
def test_a_damaged_or_hostile_folder_ends_in_a_sentence(
    folder: Path, damage: Callable[[Path], None], complaint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    damage(folder)
    with pytest.raises(WeightsError, match=complaint) as caught:
        load_checkpoint(folder, "tiny", torch.float32)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("exploded"))


def test_a_folder_of_pickles_is_refused_before_anything_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch):
    _pickle(folder)
    monkeypatch.setattr("transformers.AutoConfig.from_pretrained", lambda *_, **__: pytest.fail("loaded"))
    with pytest.raises(WeightsError, match="is a pickle"):
        LocalModel.load(folder, name="tiny", device="cpu")


def test_a_template_without_an_end_is_refused_at_load(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("agents.models.tokens.sandbox.PATIENCE", 0.2)
    loops = "{% for a in range(9999) %}" * 3 + "{% endfor %}" * 3
    (folder / "chat_template.jinja").write_text(loops)
    with pytest.raises(ModelError, match="no end was found"):
        LocalModel.load(folder, name="tiny", device="cpu")


def test_an_embedders_folder_is_read_as_carefully(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(ModelError, match="holds no sentence encoder"):
        SentenceEmbedder.load(tmp_path, device="cpu")
    assert not Path("exploded").exists()


def test_weights_are_hashed_as_they_are_and_not_as_a_note_says(folder: Path):
    before = weights_digest(folder)
    (folder / "source.json").write_text(json.dumps({"weights": "deadbeef"}))
    assert weights_digest(folder) == before
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    assert weights_digest(folder) != before


def test_what_a_template_is_told_is_on_the_models_card(folder: Path):
    def card(day: int, **options: Any) -> ModelCard:
        told = {"today": date(2026, 11, day), "chat_template_kwargs": options}
        model = LocalModel.load(folder, name="tiny", precision="float32", device="cpu", **told)
        asyncio.run(model.close())
        return model.card

    undated = card(24)
    assert undated.template
    assert undated == card(25)
    assert undated.weights == weights_digest(folder)
    (folder / "chat_template.jinja").write_text("{{ strftime_now('%d %b') }}{{ style }}" + tiny.CHATML)
    assert len({card(24).template, card(25).template, card(25, style="short").template, undated.template}) == 4
