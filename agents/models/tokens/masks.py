"""What the acting policy may say next: grammars as bit masks over the vocabulary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
import xgrammar
from tokenizers.decoders import Metaspace
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from agents.models.model import ModelError, Utterance
from agents.models.tokens.matcher import TokenMatcher, Vocabulary
from agents.models.tokens.template import TokenizedUtterance
from environments.grammar import Choices, Grammar, JsonSchema, Regex


@dataclass(frozen=True)
class Predictions:
    """Tokens to be predicted, one per row. `targets` (n,) are their ids, `temperatures` (n,) the policy's.

    `bits` (n, ⌈vocabulary/32⌉) int32 are the tokens that a grammar allows, all of them where there is none.
    None: no row has a grammar.
    """

    targets: Tensor
    temperatures: Tensor
    bits: Tensor | None

    def __getitem__(self, rows: slice) -> Predictions:
        bits = None if self.bits is None else self.bits[rows]
        return Predictions(self.targets[rows], self.temperatures[rows], bits)

    def to(self, device: torch.device) -> Predictions:
        bits = None if self.bits is None else self.bits.to(device)
        return Predictions(self.targets.to(device), self.temperatures.to(device), bits)

    def logprobs(self, logits: Iterable[tuple[int, Tensor]]) -> Tensor:
        """log p (n,) of the targets in nats, from slices of the vocabulary: (first entry, float32 (n, entries))."""
        normaliser = torch.full_like(self.temperatures, -torch.inf)
        chosen = torch.full_like(self.temperatures, -torch.inf)
        for first, raw in logits:
            scores = self._policy(first, raw)
            normaliser = torch.logaddexp(normaliser, scores.logsumexp(-1))
            inside = (self.targets >= first) & (self.targets < first + scores.shape[1])
            column = (self.targets - first).clamp(0, scores.shape[1] - 1)
            chosen = torch.where(inside, scores.gather(1, column[:, None])[:, 0], chosen)
        return torch.where(chosen == -torch.inf, chosen, chosen - normaliser)  # where nothing is allowed both are −inf

    def _policy(self, first: int, scores: Tensor) -> Tensor:
        scores = scores / self.temperatures[:, None]
        if self.bits is None:
            return scores
        words = self.bits[:, first // 32 : first // 32 + -(-scores.shape[1] // 32), None]
        allowed = (words >> torch.arange(32, device=words.device)) & 1
        return scores.masked_fill(allowed.flatten(1)[:, : scores.shape[1]] == 0, -torch.inf)


class GrammarMasks:
    """Grammars compiled for one tokenizer, and what they allow along a text; both are remembered."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, vocabulary: int, stops: frozenset[int] = frozenset()
    ) -> None:
        """`vocabulary` is the width of the model's output layer, padding entries among it.

        `stops` are the tokens that end a text, allowed where it is complete; by default the tokenizer's own.
        """
        info, self._compiler = _compiler(tokenizer, vocabulary)
        self.vocabulary = Vocabulary(info.decoded_vocab, stops or frozenset(info.stop_token_ids))
        self.words = -(-vocabulary // 32)
        self.compiled = lru_cache(maxsize=1024)(self._compile)
        """The grammar as xgrammar runs it. Raises ModelError for one that it cannot read."""
        self._bits = lru_cache(maxsize=512)(self._masks)

    def walk(self, grammar: Grammar) -> TokenMatcher:
        """From the beginning of a text under a grammar: what is drawn and what is scored keep to the same masks."""
        return TokenMatcher(grammar, self.compiled(grammar), self.vocabulary)

    def predictions(self, utterances: Sequence[Utterance], tokenized: Sequence[TokenizedUtterance]) -> Predictions:
        """Every utterance's tokens, one after the other, with the temperature and the grammar they were drawn under."""
        spoken = [item.ids[item.start : item.stop] for item in tokenized]
        temperatures = [u.temperature for u, ids in zip(utterances, spoken, strict=True) for _ in ids]
        if any(temperature <= 0 for temperature in temperatures):
            raise ModelError(
                "a greedy policy (temperature 0) has no likelihood: score at the temperature it acted with"
            )
        bits = None
        if any(utterance.grammar is not None for utterance in utterances):
            bits = torch.cat([self._allowed(u.grammar, ids) for u, ids in zip(utterances, spoken, strict=True)])
        return Predictions(
            torch.tensor([token for ids in spoken for token in ids], dtype=torch.int64),
            torch.tensor(temperatures, dtype=torch.float32),
            bits,
        )

    def _allowed(self, grammar: Grammar | None, ids: tuple[int, ...]) -> Tensor:
        if grammar is None:
            return torch.full((len(ids), self.words), -1, dtype=torch.int32)
        return self._bits(grammar, ids)

    def _masks(self, grammar: Grammar, ids: tuple[int, ...]) -> Tensor:
        """What is allowed before each token (len(ids), words); nothing once the text has left the grammar."""
        walk = self.walk(grammar)
        bits = torch.zeros(len(ids), self.words, dtype=torch.int32)
        for row, token in enumerate(ids):
            bits[row] = torch.from_numpy(walk.mask())
            if not walk.accept(token):
                break
        return bits

    def _compile(self, grammar: Grammar) -> xgrammar.CompiledGrammar:
        try:
            match grammar:
                case Regex(pattern):
                    return self._compiler.compile_regex(pattern)
                case Choices(options):
                    rule = " | ".join(json.dumps(option, ensure_ascii=False) for option in options)
                    return self._compiler.compile_grammar(f"root ::= {rule}")
                case JsonSchema(schema):
                    return self._compiler.compile_json_schema(schema, any_whitespace=False)
        except RuntimeError as error:
            raise ModelError(f"xgrammar cannot compile {grammar}: {error}") from error


@lru_cache(maxsize=8)
def _compiler(
    tokenizer: PreTrainedTokenizerBase, vocabulary: int
) -> tuple[xgrammar.TokenizerInfo, xgrammar.GrammarCompiler]:
    info = xgrammar.TokenizerInfo.from_huggingface(tokenizer, vocab_size=vocabulary)
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if info.vocab_type == xgrammar.VocabType.RAW and backend is not None and isinstance(backend.decoder, Metaspace):
        # SentencePiece without bytes, as T5 has it: xgrammar would take the signs for spaces literally.
        texts = [text.decode("utf-8", "replace") for text in info.decoded_vocab]
        info = xgrammar.TokenizerInfo(
            texts, xgrammar.VocabType.BYTE_FALLBACK, vocab_size=vocabulary, stop_token_ids=info.stop_token_ids
        )
    return info, xgrammar.GrammarCompiler(info)
