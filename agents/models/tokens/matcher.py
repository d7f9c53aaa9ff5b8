"""A walk along a grammar: which tokens may come next, and which must."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xgrammar
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from environments.grammar import Grammar, JsonSchema

Tokens = NDArray[np.int64]

_BEFORE_SURROGATE = b"\xed"
"""After this byte UTF-8 goes on below 0xA0; xgrammar lets halves of characters (surrogates) pass."""


@dataclass(frozen=True)
class Vocabulary:
    """What each token spells, and which tokens end a text under a grammar."""

    texts: list[bytes]
    ends: frozenset[int]

    @classmethod
    def of(cls, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, width: int) -> Vocabulary:
        """`width` is that of the model's output layer."""
        info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=width)
        return cls(info.decoded_vocab, grammar_ends(model, tokenizer))

    @cached_property
    def controls(self) -> NDArray[np.int32]:
        """Bits of the tokens that hold control characters, which JSON never does (xgrammar sometimes lets them in)."""
        bits = np.zeros(-(-len(self.texts) // 32) * 32, np.uint8)
        bits[: len(self.texts)] = [min(text, default=32) < 32 for text in self.texts]
        return np.packbits(bits, bitorder="little").view(np.int32)


class Walk:
    """One completion's way through a compiled grammar, token by token."""

    def __init__(self, grammar: Grammar, compiled: xgrammar.CompiledGrammar, vocabulary: Vocabulary) -> None:
        self._json = isinstance(grammar, JsonSchema)
        self._vocabulary = vocabulary
        self._matcher = xgrammar.GrammarMatcher(compiled, override_stop_tokens=sorted(vocabulary.ends))
        self._bits = xgrammar.allocate_token_bitmask(1, len(vocabulary.texts))
        self._last = b""
        self._quoted = False
        self._escaped = False

    @property
    def complete(self) -> bool:
        """Whether the text so far satisfies the grammar."""
        return self._matcher.is_completed()

    def allowed(self, *, hurry: bool = False) -> Tokens:
        """Ids of the tokens that may come next, ascending; tokens that end the text among them where it is complete.

        In a `hurry` only those that lead to the nearest end: stop where one may, close what is open in a document.
        """
        self._matcher.fill_next_token_bitmask(self._bits, 0)
        words = self._bits[0].numpy()
        if self._json:
            words = words & ~self._vocabulary.controls
        some = np.flatnonzero(words)
        bits = np.unpackbits(words[some].view(np.uint8), bitorder="little")
        places = np.flatnonzero(bits)
        ids = some[places // 32] * 32 + places % 32
        ids = ids[: np.searchsorted(ids, len(self._vocabulary.texts))]  # the last word's spare bits are set
        if self._last.endswith(_BEFORE_SURROGATE):
            ids = np.array([id for id in ids.tolist() if self._vocabulary.texts[id] < b"\xa0"])
        return self._nearest(ids) if hurry else ids

    def ends(self, token: int) -> bool:
        """Whether this token ends the text rather than continue it."""
        return token in self._vocabulary.ends

    def accept(self, token: int) -> None:
        self._matcher.accept_token(token)
        self._last = self._vocabulary.texts[token]
        if self._json:
            self._follow(self._last)

    def _nearest(self, ids: Tokens) -> Tokens:
        if self.complete:
            return ids[np.isin(ids, list(self._vocabulary.ends))]
        if not self._json:
            return ids
        for closer in (b'"',) if self._quoted else (b"}", b"]", b","):
            found = [id for id in ids.tolist() if self._vocabulary.texts[id] == closer]
            if found:
                return np.array(found)
        return ids

    def _follow(self, text: bytes) -> None:
        for char in text.decode("latin-1"):
            if self._escaped:
                self._escaped = False
            elif self._quoted and char == "\\":
                self._escaped = True
            elif char == '"':
                self._quoted = not self._quoted


def turn_ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that end an assistant's turn."""
    listed: Any = getattr(model.generation_config, "eos_token_id", None)
    ends = [*(listed if isinstance(listed, list) else [listed]), tokenizer.eos_token_id]
    return frozenset(end for end in ends if isinstance(end, int))


def grammar_ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Tokens that end a text under a grammar.

    A base model knows no turns and would go on for as long as a grammar lets it; what ends its lines is a new line.
    """
    ends = turn_ends(model, tokenizer)
    if tokenizer.chat_template or model.config.is_encoder_decoder:
        return ends
    line: list[int] = tokenizer("\n", add_special_tokens=False)["input_ids"]
    return ends | frozenset(line) if len(line) == 1 else ends
