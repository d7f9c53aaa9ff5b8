"""Embedders: texts as unit vectors, whose dot product says how alike they are."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from zlib import crc32

import numpy as np

Rows = np.ndarray[Any, np.dtype[np.float32]]


class Embedder(Protocol):
    """Anything that turns texts into directions."""

    def embed(self, texts: Sequence[str]) -> Rows:
        """One float32 row of length 1 per text (n × d); a text without content is a row of zeros."""
        ...


class RowCache:
    """Rows by text; the `capacity` texts asked for last are remembered."""

    def __init__(self, compute: Callable[[Sequence[str]], Rows], capacity: int = 8192) -> None:
        self._compute = compute
        self._capacity = capacity
        self._rows: OrderedDict[str, Rows] = OrderedDict()

    def __call__(self, texts: Sequence[str]) -> list[Rows]:
        fresh = [text for text in dict.fromkeys(texts) if text not in self._rows]
        if fresh:
            self._rows.update(zip(fresh, self._compute(fresh), strict=True))
        out = [self._rows[text] for text in texts]
        for text in texts:
            self._rows.move_to_end(text)
        while len(self._rows) > self._capacity:
            self._rows.popitem(last=False)
        return out


class LexicalEmbedder:
    """Likeness of wording without any weights: hashed counts of words and of three letters in a row.

    Made for scripted models, dry runs and tests. The hash is CRC-32, so that rows are the same on every machine.
    """

    def __init__(self, dimensions: int = 512) -> None:
        self._dimensions = dimensions
        self._cached = RowCache(lambda texts: np.stack([self._row(text) for text in texts]))

    def embed(self, texts: Sequence[str]) -> Rows:
        rows = self._cached(texts)
        return np.stack(rows) if rows else np.zeros((0, self._dimensions), dtype=np.float32)

    def _row(self, text: str) -> Rows:
        row = np.zeros(self._dimensions, dtype=np.float32)
        for feature, weight in _features(text):
            code = crc32(feature.encode())
            # The lowest bit gives the sign (feature hashing, Weinberger et al. 2009): collisions cancel on average.
            row[(code >> 1) % self._dimensions] += weight if code & 1 else -weight
        return _unit(row)


class SentenceEmbedder:
    """A BERT sentence encoder: the mean of its last hidden states, on unit length (as sentence-transformers does).

    The paper's similarity selector uses all-MiniLM-L6-v2; any BERT-like folder works.
    """

    def __init__(self, model: Any, tokenizer: Any, *, batch: int = 32, longest: int = 256) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._batch = batch
        self._longest = longest
        self._cached = RowCache(self._compute)

    @classmethod
    def load(cls, folder: Path, device: str = "auto") -> SentenceEmbedder:
        """Read an encoder from a local folder; on the GPU where there is one.

        Raises ModelError when the folder holds no encoder.
        """
        import torch  # torch and transformers take seconds to import, and lexical studies do without
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        from agents.models.model import ModelError

        transformers_logging.disable_progress_bar()
        where = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        try:
            model: Any = AutoModel.from_pretrained(
                folder, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except Exception as error:  # strangers' files, read by strangers' code
            reason = " ".join(str(error).split())[:300]
            raise ModelError(
                f"{folder} holds no sentence encoder: {reason}; use all-minilm-l6-v2 or lexical"
            ) from error
        return cls(model.eval().to(where), tokenizer)

    def embed(self, texts: Sequence[str]) -> Rows:
        rows = self._cached(texts)
        return np.stack(rows) if rows else np.zeros((0, self._model.config.hidden_size), dtype=np.float32)

    def _compute(self, texts: Sequence[str]) -> Rows:
        # Texts of like length share a batch, so that little is padded; a row does not depend on its neighbours.
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        out = np.zeros((len(texts), self._model.config.hidden_size), dtype=np.float32)
        for start in range(0, len(order), self._batch):
            members = order[start : start + self._batch]
            out[members] = self._encode([texts[index] for index in members])
        return out

    def _encode(self, texts: list[str]) -> Rows:
        import torch

        tokens = self._tokenizer(texts, padding=True, truncation=True, max_length=self._longest, return_tensors="pt")
        tokens = tokens.to(self._model.device)
        with torch.inference_mode():
            hidden = self._model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1)
            mean = (hidden * mask).sum(1) / mask.sum(1)
            return torch.nn.functional.normalize(mean, dim=1).float().cpu().numpy()


def _features(text: str) -> Iterator[tuple[str, float]]:
    for word in re.findall(r"\w+", text.lower()):
        yield f"word {word}", 1.0
        padded = f" {word} "
        for start in range(len(padded) - 2):
            yield f"letters {padded[start : start + 3]}", 0.5


def _unit(row: Rows) -> Rows:
    length = float(np.linalg.norm(row))
    return row / np.float32(length) if length > 0 else row
