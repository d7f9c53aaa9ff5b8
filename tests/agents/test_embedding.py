from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.embedding import LexicalEmbedder, SentenceEmbedder
from agents.models.model import ModelError

TEXTS = [
    "Guess the hidden code of four digits and use the feedback.",
    "Find a secret combination of numbers from black and white pegs.",
    "Walk across the frozen lake without falling into a hole.",
]


@pytest.fixture(scope="module")
def sentences(minilm: Path) -> SentenceEmbedder:
    return SentenceEmbedder.load(minilm)


@given(st.lists(st.text(max_size=40), max_size=6))
def test_rows_are_unit_or_zero_and_depend_on_their_text_only(texts: list[str]):
    embedder = LexicalEmbedder()
    rows = embedder.embed(texts)
    assert rows.shape == (len(texts), 512)
    assert rows.dtype == np.float32
    for text, row in zip(texts, rows, strict=True):
        length = np.linalg.norm(row)
        assert length == pytest.approx(1, abs=1e-5) or length == 0
        assert np.array_equal(row, LexicalEmbedder().embed([text])[0])


def test_lexical_rows_are_the_same_on_every_machine():
    row = LexicalEmbedder(dimensions=16).embed(["skill"])[0]
    assert np.flatnonzero(row).tolist() == [0, 2, 5, 12, 13]
    assert np.sign(row[[0, 2, 5, 12, 13]]).tolist() == [1, 1, -1, -1, -1]


def test_likeness_of_wording():
    a, b, c = LexicalEmbedder().embed(["open the red door", "open the red doors", "bid three dice"])
    assert a @ b > 0.7
    assert abs(a @ c) < 0.3


def test_sentence_rows_are_unit_and_know_meaning(sentences: SentenceEmbedder):
    rows = sentences.embed(TEXTS)
    assert rows.shape == (3, 384)
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    assert rows[0] @ rows[1] > rows[0] @ rows[2] + 0.1


def test_a_sentence_row_does_not_depend_on_its_batch(minilm: Path, sentences: SentenceEmbedder):
    together = sentences.embed([*TEXTS, "x" * 2000, ""])
    alone = SentenceEmbedder.load(minilm).embed([TEXTS[1]])
    assert np.allclose(together[1], alone[0], atol=1e-5)


def test_each_text_is_computed_once(minilm: Path, monkeypatch: pytest.MonkeyPatch):
    embedder = SentenceEmbedder.load(minilm)
    first = embedder.embed(TEXTS)
    monkeypatch.setattr(embedder, "_model", None)
    assert np.array_equal(embedder.embed([TEXTS[2], TEXTS[0], TEXTS[0]]), first[[2, 0, 0]])


def test_a_folder_without_an_encoder_is_one_sentence(tmp_path: Path):
    with pytest.raises(ModelError, match="holds no sentence encoder"):
        SentenceEmbedder.load(tmp_path)
