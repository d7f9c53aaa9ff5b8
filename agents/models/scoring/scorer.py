"""How likely a model finds what was said: the scoring engine of the gate.

All sequences of a call are merged into a prefix tree and every distinct token is computed once; hidden states meet
the vocabulary only where an utterance's token is predicted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel

from agents.models.model import Likelihood, ModelError, Utterance
from agents.models.scoring.attention import ChunkAttention, tree_attention
from agents.models.scoring.listening import Tell, nobody
from agents.models.scoring.precision import computing_in
from agents.models.scoring.prefix_tree import Ints, PrefixTree
from agents.models.scoring.readout import Readout
from agents.models.tokens.context import longest_context
from agents.models.tokens.masks import GrammarMasks
from agents.models.tokens.matcher import grammar_ends
from agents.models.tokens.template import ChatTemplate, TokenizedUtterance

CHUNK = {"cpu": 2048, "cuda": 32768}
"""Tokens that run through the model at a time, by device; on CPU, 1,000 to 4,000 are equally fast."""

PRECISION = {"cpu": torch.float32}
"""What is computed in, by device; where none is named, in what the weights are stored in.

In bfloat16 the logarithm of an importance ratio is off by 0.14 to 0.20 nats (root mean square; SmolLM2, 9-token
moves), as much as a skill changes it (0.13 to 0.24). In float32 it is off by 0.00002.
"""

_BATCH = 1024
"""Predictions for which the grammars' masks are held at a time, about."""


class PrefixTreeScorer:
    """Likelihoods by a decoder-only model of transformers. Not thread-safe: while it scores, the model is its own."""

    def __init__(
        self,
        model: PreTrainedModel,
        template: ChatTemplate,
        *,
        chunk_tokens: int | None = None,
        precision: torch.dtype | None = None,
    ) -> None:
        """`chunk_tokens` bounds the memory of a pass; `precision` is computed in if it is finer than the weights'.

        None is the device's default for either. Raises ModelError for a model that cannot be scored as a tree.
        """
        if model.config.is_encoder_decoder:
            raise ModelError(f"{model.name_or_path} is an encoder-decoder: use EncoderDecoderScorer")
        self.model, self.template = model, template
        self._readout = Readout(model)
        self._policies = GrammarMasks(
            template.tokenizer, self._readout.vocabulary, grammar_ends(model, template.tokenizer)
        )
        self._chunk = chunk_tokens or CHUNK.get(model.device.type, CHUNK["cpu"])
        self._precision = precision or PRECISION.get(model.device.type, model.dtype)

    def score(self, utterances: Sequence[Utterance], tell: Tell = nobody) -> list[Likelihood]:
        """The likelihood of each utterance; −inf where its grammar forbids it. Tells after each pass.

        Raises ModelError when a conversation is longer than the model's context or the model answers NaN.
        """
        unique = list(dict.fromkeys(utterances))
        tokenized = self.template.tokenize_all(unique)
        self._check_length(tokenized)
        tree = PrefixTree.of([j.ids[: j.stop - 1] if j.stop > j.start else () for j in tokenized])
        rows = [tree.indices(i)[j.start - 1 :] for i, j in enumerate(tokenized)]
        with computing_in(self.model, self._precision), torch.inference_mode():
            hidden = self._hidden(tree, np.concatenate([np.empty(0, dtype=np.int64), *rows]), tell)
            logprobs = self._logprobs(hidden, unique, tokenized)
        found = likelihoods(logprobs, tokenized, str(self.model.name_or_path))
        by_utterance = dict(zip(unique, found, strict=True))
        return [by_utterance[utterance] for utterance in utterances]

    def _logprobs(
        self, hidden: Tensor, utterances: Sequence[Utterance], tokenized: Sequence[TokenizedUtterance]
    ) -> Tensor:
        """log p (n,) of all utterances' tokens, from the hidden states (n, width) before them."""
        ends = np.cumsum([item.stop - item.start for item in tokenized], dtype=np.int64)
        out: list[Tensor] = [torch.empty(0)]
        first = row = 0
        while first < len(tokenized):
            last = max(first + 1, int(np.searchsorted(ends, row + _BATCH, side="right")))
            predictions = self._policies.predictions(utterances[first:last], tokenized[first:last])
            states = hidden[row : int(ends[last - 1])]
            out.append(self._readout.logprobs(states, predictions.to(hidden.device)).cpu())
            first, row = last, int(ends[last - 1])
        return torch.cat(out)

    def _check_length(self, tokenized: Sequence[TokenizedUtterance]) -> None:
        context = longest_context(self.model.config)
        longest = max((item.stop for item in tokenized), default=0)
        if longest > context:
            raise ModelError(
                f"a conversation of {longest} tokens does not fit the context of {self.model.name_or_path}, "
                f"{context} tokens: drop its oldest turns before scoring it"
            )

    def _hidden(self, tree: PrefixTree, rows: Ints, tell: Tell) -> Tensor:
        """Last hidden states (len(rows), width) at packed indices `rows`, in their order."""
        wanted, order = np.unique(rows, return_inverse=True)
        backbone: Any = self.model.get_decoder()
        device = self.model.device
        found: list[Tensor] = []
        context: dict[int, tuple[Tensor, Tensor]] = {}
        with tree_attention(self.model):
            for chunk in tree.chunks(self._chunk):
                attention = ChunkAttention(chunk, context, device)
                span = slice(chunk.start, chunk.stop)
                states: Tensor = backbone(
                    input_ids=torch.from_numpy(tree.tokens[span])[None].to(device),
                    position_ids=torch.from_numpy(tree.positions[span])[None].to(device),
                    use_cache=False,
                    tree=attention,
                ).last_hidden_state[0]
                attention.check(self.model)
                first, last = np.searchsorted(wanted, (chunk.start, chunk.stop))
                found.append(states[torch.from_numpy(wanted[first:last] - chunk.start).to(device)])
                context = attention.kept
                tell(chunk.stop, len(tree))
        states = torch.cat(found) if found else torch.empty(0, 0, device=device)
        return states[torch.from_numpy(order).to(device)]


def likelihoods(logprobs: Tensor, tokenized: Sequence[TokenizedUtterance], model: str) -> list[Likelihood]:
    """Log-probabilities of all utterances' tokens, one after the other, dealt out. Raises ModelError on NaN."""
    values: list[float] = logprobs.tolist()
    if any(math.isnan(value) for value in values):
        raise ModelError(f"{model} gives NaN for a likelihood: its weights or its precision are broken, try float32")
    remaining = iter(values)
    return [Likelihood(tuple(islice(remaining, item.stop - item.start))) for item in tokenized]
