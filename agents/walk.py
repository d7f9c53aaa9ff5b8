"""A walk along a grammar: which tokens may come next, and which must."""

from __future__ import annotations

from typing import Any

import numpy as np
import xgrammar
from numpy.typing import NDArray
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from environments.grammar import Grammar, JsonSchema

Tokens = NDArray[np.int64]


class Walk:
    """One completion's way through a compiled grammar, token by token.

    Past `hurry` the walk looks for the nearest end: it stops where it may, and closes what is open in a JSON document.
    """

    def __init__(self, grammar: Grammar, compiled: xgrammar.CompiledGrammar, stops: frozenset[int]) -> None:
        self._json = isinstance(grammar, JsonSchema)
        self._matcher = xgrammar.GrammarMatcher(compiled, override_stop_tokens=sorted(stops))
        self._vocabulary: list[bytes] = compiled.tokenizer_info.decoded_vocab
        self._bits = xgrammar.allocate_token_bitmask(1, compiled.tokenizer_info.vocab_size)
        self._stops = stops
        self._quoted = False
        self._escaped = False

    @property
    def complete(self) -> bool:
        """Whether the text so far satisfies the grammar."""
        return self._matcher.is_completed()

    def allowed(self, *, hurry: bool = False) -> Tokens:
        """Ids of the tokens that may come next, ascending; stop tokens among them where the text is complete."""
        self._matcher.fill_next_token_bitmask(self._bits, 0)
        words = self._bits[0].numpy()
        some = np.flatnonzero(words)
        bits = np.unpackbits(words[some].view(np.uint8), bitorder="little")
        places = np.flatnonzero(bits)
        ids = some[places // 32] * 32 + places % 32
        ids = ids[: np.searchsorted(ids, len(self._vocabulary))]  # the last word's spare bits are set
        return self._nearest(ids) if hurry else ids

    def ends(self, token: int) -> bool:
        """Whether this token ends the text rather than continue it."""
        return token in self._stops

    def accept(self, token: int) -> None:
        self._matcher.accept_token(token)
        if self._json:
            self._follow(self._vocabulary[token])

    def _nearest(self, ids: Tokens) -> Tokens:
        if self.complete:
            return ids[np.isin(ids, list(self._stops))]
        if not self._json:
            return ids
        for closer in ('"',) if self._quoted else ("}", "]", ","):
            found = [id for id in ids.tolist() if self._vocabulary[id] == closer.encode()]
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
