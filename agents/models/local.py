"""`LocalModel`: weights in this process, on CPU or CUDA, through transformers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
)
from transformers.utils import logging as transformers_logging

from agents.models.decoding.decoder import Decoder
from agents.models.decoding.encoder_decoder import EncoderDecoderWriter
from agents.models.decoding.sequence import Draft
from agents.models.decoding.worker import Worker
from agents.models.model import Completion, Likelihood, Message, Model, ModelCard, ModelError, Request, Utterance
from agents.models.scoring.encoder_decoder import EncoderDecoderScorer
from agents.models.scoring.scorer import PrefixTreeScorer
from agents.models.tokens import template
from agents.models.tokens.context import fit
from agents.models.tokens.masks import Policies
from agents.models.tokens.matcher import Vocabulary, Walk, turn_ends
from agents.models.weights.folders import weights_digest


class LocalModel(Model):
    """A decoder-only model of transformers. Concurrent calls meet in its passes; sessions keep what they have read.

    Encoder-decoders run, too, one call after the other.
    """

    def __init__(self, model: Any, tokenizer: PreTrainedTokenizerBase, card: ModelCard, *, rows: int = 16) -> None:
        """`rows` completions are written at a time. Raises ModelError for a model that cannot run this way."""
        self._card = card
        self._tokenizer = tokenizer
        width: int = model.get_output_embeddings().weight.shape[0]
        self._policies = Policies(tokenizer, width)
        self._vocabulary = Vocabulary.of(model, tokenizer, width)
        self._turn_ends = turn_ends(model, tokenizer)
        self._encodes: bool = model.config.is_encoder_decoder
        self._scorer: EncoderDecoderScorer | PrefixTreeScorer
        self._writer: EncoderDecoderWriter | Decoder
        if self._encodes:
            self._scorer, self._writer = EncoderDecoderScorer(model, tokenizer), EncoderDecoderWriter(model)
        else:
            self._scorer, self._writer = PrefixTreeScorer(model, tokenizer), Decoder(model, rows)
        self._starts: list[int] = [model.config.decoder_start_token_id] if self._encodes else []
        self._worker: Worker | None = Worker.join(str(model.device), self._writer)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        name: str,
        precision: str = "auto",
        device: str = "auto",
        rows: int = 16,
        context: int | None = None,
    ) -> LocalModel:
        """The weights in `folder` (a transformers checkpoint with safetensors).

        `precision` "auto" is bfloat16 where the processor computes in it, else float32; `device` "auto" is CUDA where
        there is one. `context` tokens, prompt and completion together, at most as many as the model was made for.
        Raises ModelError when the folder holds no such model or its device is missing.
        """
        where = _device(device)
        dtype = _dtype(precision, where)
        transformers_logging.disable_progress_bar()
        try:
            config = AutoConfig.from_pretrained(folder)
            tokenizer = AutoTokenizer.from_pretrained(folder)
            kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
            model: Any = kind.from_pretrained(folder, dtype=dtype)
        except (OSError, ValueError, KeyError) as error:
            raise ModelError(f"{name} cannot be loaded from {folder}: {error}") from error
        longest = _longest(config.get_text_config(decoder=True))
        card = ModelCard(
            name=name,
            family=config.model_type,
            backend="transformers",
            weights=weights_digest(folder),
            precision=str(dtype).removeprefix("torch."),
            context=min(context or longest, longest),
        )
        return cls(model.to(where).eval(), tokenizer, card, rows=rows)

    @property
    def card(self) -> ModelCard:
        return self._card

    async def generate(self, request: Request) -> Completion:
        worker, writer = self._open(), self._writer
        draft = await self._draft(request)
        worker.call(lambda: writer.add(draft))
        return await asyncio.wrap_future(draft.future)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        """Likelihoods, computed when no pass is under way and before the next one."""
        wanted = list(utterances)
        return await asyncio.wrap_future(self._open().call(lambda: self._scorer.score(wanted)))

    def count(self, text: str) -> int:
        return len(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def release(self, session: str) -> None:
        writer = self._writer
        if self._worker is not None:
            self._worker.call(lambda: writer.release(session))

    async def forget(self) -> None:
        """Forget all conversations that nobody is waiting for, and give their memory back."""
        await asyncio.wrap_future(self._open().call(self._writer.forget))

    @property
    def memory(self) -> int:
        """Bytes of keys and values that are remembered."""
        return self._writer.memory

    async def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            error = ModelError(f"{self._card.name} was closed while it was writing")
            await asyncio.to_thread(worker.leave, self._writer, error)

    def _open(self) -> Worker:
        if self._worker is None:
            raise ModelError(f"{self._card.name} is closed: load it again")
        return self._worker

    async def _draft(self, request: Request) -> Draft:
        prompts: dict[tuple[Message, ...], list[int]] = {}

        async def size(messages: Sequence[Message]) -> int:
            key = tuple(messages)
            prompts[key] = self._tokens(key)
            return len(prompts[key])

        fitted = await fit(request.messages, self._card.context - request.sampling.max_tokens, size)
        grammar = request.grammar
        return Draft(
            request,
            self._starts or prompts[fitted.messages],
            dropped=fitted.dropped,
            walk=None if grammar is None else Walk(grammar, self._policies.compiled(grammar), self._vocabulary),
            ends=self._turn_ends,
            context=self._card.context,
            tokenizer=self._tokenizer,
            source=prompts[fitted.messages] if self._encodes else None,
        )

    def _tokens(self, messages: tuple[Message, ...]) -> list[int]:
        if not self._encodes:
            return template.tokens(self._tokenizer, messages, generation=True)
        ids: list[int] = self._tokenizer(template.render(self._tokenizer, messages, generation=True))["input_ids"]
        return ids


def _longest(config: Any) -> int:
    """Tokens that the model was made for; T5 has relative positions, and was trained on 512."""
    return int(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", 512))


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise ModelError(f"{wanted!r} is no device: write auto, cpu or cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ModelError("device cuda was asked for, but torch sees none: use cpu, or install torch for CUDA")
    return device


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    if wanted != "auto":
        return {"bfloat16": torch.bfloat16, "float32": torch.float32}[wanted]
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    native: Any = torch.ops.mkldnn
    return torch.bfloat16 if native._is_mkldnn_bf16_supported() else torch.float32
