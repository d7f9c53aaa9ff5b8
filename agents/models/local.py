"""`LocalModel`: weights in this process, on CPU or CUDA, through transformers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Protocol

import torch
from pydantic import JsonValue

from agents.models.decoding.decoder import Decoder
from agents.models.decoding.encoder_decoder import EncoderDecoderWriter
from agents.models.decoding.kv_cache import fitting_rows
from agents.models.decoding.sequence import TokenSequence
from agents.models.decoding.worker import Worker, Writer
from agents.models.model import Completion, Likelihood, Message, Model, ModelCard, ModelError, Request, Utterance
from agents.models.scoring.encoder_decoder import EncoderDecoderScorer
from agents.models.scoring.listening import Tell, listener
from agents.models.scoring.proof import Proof, explaining
from agents.models.scoring.scorer import PrefixTreeScorer
from agents.models.tokens.context import fit, longest_context
from agents.models.tokens.encoder_decoder import source
from agents.models.tokens.masks import GrammarMasks
from agents.models.tokens.matcher import grammar_ends, turn_ends
from agents.models.tokens.template import ChatTemplate
from agents.models.weights.checkpoint import load_checkpoint
from agents.models.weights.folders import weights_digest
from agents.models.weights.room import telling


class Scorer(Protocol):
    """Computes likelihoods."""

    def score(self, utterances: Sequence[Utterance], tell: Tell) -> list[Likelihood]: ...


class Engine(Protocol):
    """How models of one architecture write and score."""

    @property
    def scorer(self) -> Scorer: ...

    @property
    def writer(self) -> Writer: ...

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of what a conversation is to the model; so many of its context are gone."""
        ...

    def begin(self, prompt: list[int]) -> tuple[list[int], list[int] | None]:
        """What stands before the first token that is written, and what an encoder reads."""
        ...


class DecoderOnly:
    """What is written follows its prompt."""

    def __init__(self, model: Any, template: ChatTemplate, rows: int) -> None:
        self.scorer, self.writer = PrefixTreeScorer(model, template), Decoder(model, rows)
        self._template = template

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        return self._template.tokens(messages, generation=True)

    def begin(self, prompt: list[int]) -> tuple[list[int], None]:
        return prompt, None


class EncoderDecoder:
    """The prompt is the encoder's, what is written the decoder's."""

    def __init__(self, model: Any, template: ChatTemplate) -> None:
        self.scorer, self.writer = EncoderDecoderScorer(model, template), EncoderDecoderWriter(model)
        self._start: int = model.config.decoder_start_token_id
        self._template = template

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        return source(self._template, messages)

    def begin(self, prompt: list[int]) -> tuple[list[int], list[int]]:
        return [self._start], prompt


class LocalModel(Model):
    """A model of transformers. Before any number of it is used it is proved right.

    Concurrent calls meet in a decoder's passes, and sessions keep what they have read; encoder-decoders write one text
    after the other.
    """

    def __init__(self, model: Any, template: ChatTemplate, card: ModelCard, *, rows: int | None = None) -> None:
        """`rows` completions are written at a time; by default as many as suit the device.

        Raises ModelError for a model that cannot run this way.
        """
        self._card = card
        self._template = template
        with explaining(model):
            width: int = model.get_output_embeddings().weight.shape[0]
            self._policies = GrammarMasks(template.tokenizer, width, grammar_ends(model, template.tokenizer))
            self._turn_ends = turn_ends(model, template.tokenizer)
            self._engine: Engine = (
                EncoderDecoder(model, template)
                if model.config.is_encoder_decoder
                else DecoderOnly(model, template, rows or fitting_rows(model, card.context))
            )
            self._writer = self._engine.writer
            Proof(model, template, card.weights).show(self._writer)
        self._worker: Worker | None = Worker.join(str(model.device), self._writer)

    @classmethod
    def load(
        cls,
        folder: Path,
        *,
        name: str,
        precision: str = "auto",
        device: str = "auto",
        rows: int | None = None,
        context: int | None = None,
        today: date | None = None,
        chat_template_kwargs: Mapping[str, JsonValue] = {},
    ) -> LocalModel:
        """The weights in `folder` (a transformers checkpoint with safetensors).

        `precision` "auto" is bfloat16 where the processor computes in it, else float32; `device` "auto" is CUDA where
        there is one. `context` tokens, prompt and completion together, at most as many as the model was made for.
        `today` and `chat_template_kwargs` are what its chat template is told: the run's date, `enable_thinking`, ….
        Raises ModelError when the folder holds no such model, its device is missing or has no room for it.
        """
        where = _device(device)
        dtype = _dtype(precision, where)
        config, tokenizer, model = load_checkpoint(folder, name, dtype, where)
        template = ChatTemplate(tokenizer, today=today, options=chat_template_kwargs)
        longest = longest_context(config)
        card = ModelCard(
            name=name,
            family=config.model_type,
            backend="transformers",
            weights=weights_digest(folder),
            precision=str(dtype).removeprefix("torch."),
            context=min(context or longest, longest),
            template=template.digest,
        )
        with telling(name, where):
            return cls(model.to(where).eval(), template, card, rows=rows)

    @property
    def card(self) -> ModelCard:
        return self._card

    async def generate(self, request: Request) -> Completion:
        worker, writer = self._open(), self._writer
        sequence = await self._sequence(request)
        worker.call(lambda: writer.add(sequence))
        return await asyncio.wrap_future(sequence.future)

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        """Likelihoods, computed when no pass is under way and before the next one."""
        wanted = list(utterances)
        tell = listener()
        return await asyncio.wrap_future(self._open().call(lambda: self._engine.scorer.score(wanted, tell)))

    def count(self, text: str) -> int:
        return len(self._template.tokenizer(text, add_special_tokens=False)["input_ids"])

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

    async def _sequence(self, request: Request) -> TokenSequence:
        prompts: dict[tuple[Message, ...], list[int]] = {}

        async def size(messages: Sequence[Message]) -> int:
            key = tuple(messages)
            prompts[key] = self._engine.prompt(key)
            return len(prompts[key])

        fitted = await fit(request.messages, self._card.context - request.sampling.max_tokens, size)
        grammar = request.grammar
        written, read = self._engine.begin(prompts[fitted.messages])
        return TokenSequence(
            request,
            written,
            dropped=fitted.dropped,
            walk=None if grammar is None else self._policies.walk(grammar),
            ends=self._turn_ends,
            context=self._card.context,
            template=self._template,
            source=read,
        )


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
