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
Words = NDArray[np.int32]
"""A set of tokens, one bit each: token k is bit k % 32 of word k // 32."""

_BEFORE_SURROGATE = b"\xed"
"""After this byte UTF-8 goes on below 0xA0; xgrammar lets halves of characters (surrogates) pass."""


@dataclass(frozen=True)
class Vocabulary:
    """What each token spells, and which tokens end a text under a grammar."""

    texts: list[bytes]
    ends: frozenset[int]

    @cached_property
    def controls(self) -> Words:
        """Bits of the tokens that hold control characters, which JSON never does (xgrammar sometimes lets them in)."""
        bits = np.zeros(-(-len(self.texts) // 32) * 32, np.uint8)
        bits[: len(self.texts)] = [min(text, default=32) < 32 for text in self.texts]
        return np.packbits(bits, bitorder="little").view(np.int32)


class TokenMatcher:
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

    def mask(self) -> Words:
        """The tokens that may come next; tokens that end the text among them where it is complete."""
        self._matcher.fill_next_token_bitmask(self._bits, 0)
        words: Words = self._bits[0].numpy()
        if self._json:
            words = words & ~self._vocabulary.controls
        if self._last.endswith(_BEFORE_SURROGATE):
            words = words.copy()
            for id in _ids(words, len(self._vocabulary.texts)).tolist():
                if self._vocabulary.texts[id] >= b"\xa0":
                    words[id // 32] &= ~np.left_shift(np.int32(1), np.int32(id % 32))
        return words

    def allowed(self, *, hurry: bool = False) -> Tokens:
        """Ids of the tokens that may come next, ascending.

        In a `hurry` only those that lead to the nearest end: stop where one may, close what is open in a document.
        """
        ids = _ids(self.mask(), len(self._vocabulary.texts))
        return self._nearest(ids) if hurry else ids

    def ends(self, token: int) -> bool:
        """Whether this token ends the text rather than continue it."""
        return token in self._vocabulary.ends

    def accept(self, token: int) -> bool:
        """Whether the grammar takes this token; once it has not, the text has left the grammar."""
        if self._matcher.is_terminated() or not self._matcher.accept_token(token):
            return False
        self._last = self._vocabulary.texts[token]
        if self._json:
            self._follow(self._last)
        return True

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


def _ids(words: Words, size: int) -> Tokens:
    some = np.flatnonzero(words)
    bits = np.unpackbits(words[some].view(np.uint8), bitorder="little")
    places = np.flatnonzero(bits)
    ids = some[places // 32] * 32 + places % 32
    return ids[: np.searchsorted(ids, size)]  # the last word's spare bits are set


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
