"""Likelihoods by encoder-decoder models (T5 and its kin): the encoder reads the prompt, what was said is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.modeling_outputs import BaseModelOutput

from agents.models.model import Likelihood, Message, ModelError, Utterance
from agents.models.scoring.listening import Tell, nobody
from agents.models.scoring.precision import computing_in
from agents.models.scoring.scorer import PRECISION, likelihoods
from agents.models.tokens.encoder_decoder import source, target
from agents.models.tokens.masks import GrammarMasks, Predictions
from agents.models.tokens.matcher import grammar_ends
from agents.models.tokens.template import ChatTemplate, TokenizedUtterance

_LOGITS = 32_000_000
"""Logits held at a time: 128 MB."""

Prompt = tuple[Message, ...]


class EncoderDecoderScorer:
    """Every distinct prompt is encoded once, in batches of like length. Not thread-safe."""

    def __init__(
        self,
        model: PreTrainedModel,
        template: ChatTemplate,
        *,
        chunk_tokens: int = 4096,
        precision: torch.dtype | None = None,
    ) -> None:
        """`chunk_tokens` bounds the prompt tokens, padding included, that are encoded at a time."""
        if not model.config.is_encoder_decoder:
            raise ModelError(f"{model.name_or_path} is decoder-only: use PrefixTreeScorer")
        self.model, self.template = model, template
        config: Any = model.config
        self._start: int = config.decoder_start_token_id
        self._vocabulary: int = config.vocab_size
        self._policies = GrammarMasks(template.tokenizer, self._vocabulary, grammar_ends(model, template.tokenizer))
        self._precision = precision or PRECISION.get(model.device.type, model.dtype)
        self._chunk = chunk_tokens

    def score(self, utterances: Sequence[Utterance], tell: Tell = nobody) -> list[Likelihood]:
        """The likelihood of each utterance; −inf where its grammar forbids it. Tells after each pass.

        Raises ModelError when a text is longer than the model's positions or the model answers NaN.
        """
        unique = list(dict.fromkeys(utterances))
        texts = [target(self.template, utterance) for utterance in unique]
        self._check_length(max(map(len, texts), default=0))
        tokenized = [TokenizedUtterance(text, 0, len(text)) for text in texts]
        predictions = self._policies.predictions(unique, tokenized)
        starts = torch.tensor([0, *(len(text) for text in texts)]).cumsum(0).tolist()
        logprobs = torch.empty(starts[-1], dtype=torch.float32)
        done = 0
        with computing_in(self.model, self._precision), torch.inference_mode():
            for rows, states, mask in self._encoded([utterance.messages for utterance in unique]):
                for logits, members in self._decoded(rows, states, mask, texts):
                    for row, scores in zip(members, logits, strict=True):
                        span = slice(starts[row], starts[row + 1])
                        logprobs[span] = _logprobs(predictions[span], scores)
                        done += span.stop - span.start
                    tell(done, starts[-1])
        by_utterance = dict(zip(unique, likelihoods(logprobs, tokenized, str(self.model.name_or_path)), strict=True))
        return [by_utterance[utterance] for utterance in utterances]

    def _check_length(self, tokens: int) -> None:
        """Where positions are learned there are no more than these; T5's are relative and go on."""
        most = getattr(self.model.config, "max_position_embeddings", None)
        if most is not None and tokens > most:
            raise ModelError(
                f"a text of {tokens} tokens does not fit the context of {self.model.name_or_path}, {most} tokens: "
                "drop its conversation's oldest turns before scoring it"
            )

    def _encoded(self, prompts: Sequence[Prompt]) -> Iterator[tuple[list[list[int]], Tensor, Tensor]]:
        """Batches of distinct prompts: the utterances of each, encoder states (b, length, width), mask (b, length)."""
        members: dict[Prompt, list[int]] = {}
        for row, prompt in enumerate(prompts):
            members.setdefault(prompt, []).append(row)
        ids = {prompt: source(self.template, prompt) for prompt in members}
        self._check_length(max(map(len, ids.values()), default=0))
        encoder: Any = self.model.get_encoder()
        batch: list[Prompt] = []
        waiting = sorted(members, key=lambda prompt: len(ids[prompt]), reverse=True)
        for position, prompt in enumerate(waiting):
            batch.append(prompt)
            last = position + 1 == len(waiting)
            if last or (len(batch) + 1) * len(ids[batch[0]]) > self._chunk:
                tokens, mask = self._padded([ids[prompt] for prompt in batch])
                states = encoder(input_ids=tokens, attention_mask=mask).last_hidden_state
                yield [members[prompt] for prompt in batch], states, mask
                batch = []

    def _decoded(
        self, rows: list[list[int]], states: Tensor, mask: Tensor, texts: Sequence[tuple[int, ...]]
    ) -> Iterator[tuple[Tensor, list[int]]]:
        """Logits (b, length, vocabulary) of some utterances' tokens, and which utterances they are."""
        pairs = [(row, prompt) for prompt, members in enumerate(rows) for row in members if texts[row]]
        pairs.sort(key=lambda pair: len(texts[pair[0]]), reverse=True)
        while pairs:
            size = max(1, _LOGITS // (self._vocabulary * len(texts[pairs[0][0]])))
            taken, pairs = pairs[:size], pairs[size:]
            which = torch.tensor([prompt for _, prompt in taken], device=states.device)
            tokens, _ = self._padded([[self._start, *texts[row][:-1]] for row, _ in taken])
            logits: Tensor = self.model(
                encoder_outputs=BaseModelOutput(last_hidden_state=states[which]),
                attention_mask=mask[which],
                decoder_input_ids=tokens,
                use_cache=False,
            ).logits
            yield logits, [row for row, _ in taken]

    def _padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Ids and mask (b, longest), filled up on the right: with anything, for nothing looks there."""
        width = max(len(row) for row in rows)
        ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows], device=self.model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self.model.device)
        return ids, mask


def _logprobs(predictions: Predictions, scores: Tensor) -> Tensor:
    return predictions.logprobs([(0, scores[: len(predictions.targets)].float().cpu())])
