"""Proof that a model's numbers are right: what the engines here compute, against plain passes over one text each.

To share beginnings is right only where nothing but attention looks back, and attention as the engines replace it.
No list of families or properties tells which models these are (state-space layers beside attention, masks, scales or
sinks of a family's own, attention in both directions …), so each model shows it on a small branched probe.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers
from torch import Tensor
from transformers import PreTrainedModel

from agents.models.decoding.sequence import TokenSequence
from agents.models.decoding.worker import Writer
from agents.models.model import Completion, Message, ModelError, ModelMisconfigured, Request, Sampling, Utterance
from agents.models.scoring.encoder_decoder import EncoderDecoderScorer
from agents.models.scoring.precision import computing_in
from agents.models.scoring.scorer import PrefixTreeScorer
from agents.models.tokens.encoder_decoder import source, target
from agents.models.tokens.template import ChatTemplate
from agents.models.weights.folders import home

TOLERANCE = {torch.float32: 2e-4}
"""Nats per token, root mean square. Families that are right differ by 1e-5 or less, wrong ones by .1 to 5."""
_ROUGH = 0.3
"""For other precisions: bfloat16 rounds a token's log-probability by .02 to .15."""
_VERSION = 1
"""Raised when the engines change, so that every model is asked again."""
_CHUNK = 48
"""Tokens in a pass, so that the probe is cut across its branches."""

_RULES = Message("system", "Find the number between 1 and 20. Answer with one number in brackets, like [7].")
_FIRST = Message("user", "The game begins. Your guess?")
_SAID = Message("assistant", "[10]")
_LOW, _HIGH = (Message("user", f"Too {side}. Your guess?") for side in ("low", "high"))
PROBE = (
    Utterance((_RULES, _FIRST), "[10]"),
    Utterance((_RULES, _FIRST), "[12] or so"),
    Utterance((_RULES, _FIRST, _SAID, _LOW), "[15]"),
    Utterance((_RULES, _FIRST, _SAID, _HIGH), "[5] it is"),
)
"""A trunk, turns that branch off it, and texts that branch in the middle of a word."""


class Proof:
    """Shows that one model's numbers are right. What was shown is remembered by the digest of the weights."""

    def __init__(self, model: PreTrainedModel, template: ChatTemplate, weights: str) -> None:
        """`weights` is the digest; "" remembers nothing."""
        self._model: Any = model
        self._template = template
        self._weights = weights

    def show(self, writer: Writer) -> None:
        """In float32, where there is memory for a second copy, and in the precision of the weights.

        Raises ModelMisconfigured, with the difference that was found.
        """
        precisions = dict.fromkeys([torch.float32, self._model.dtype])
        if self._model.dtype != torch.float32 and not _fits(self._model):
            precisions.pop(torch.float32)
        for precision in precisions:
            self._show("log-probabilities while writing", precision, partial(self._writing_gap, writer))
            self._show("likelihoods", precision, partial(self._scoring_gap, precision))

    def _show(self, what: str, precision: torch.dtype, gap: Callable[[], float]) -> None:
        key = self._key(what, precision)
        if self._weights and _file(key).exists():
            return
        with explaining(self._model), computing_in(self._model, precision), torch.inference_mode():
            found = gap()
        if not found <= TOLERANCE.get(precision, _ROUGH):
            raise ModelMisconfigured(
                f"{self._model.name_or_path} ({self._model.config.model_type}) cannot run in process: its {what} are "
                f"{found:.2g} nats per token off those of a plain pass over one text; {_remedy(self._model)}"
            )
        if self._weights:
            _remember(key, {"model": self._weights, "what": what, "precision": str(precision), "gap": found})

    def _scoring_gap(self, precision: torch.dtype) -> float:
        model, template = self._model, self._template
        if model.config.is_encoder_decoder:
            scorer, plain = EncoderDecoderScorer(model, template, precision=precision), self._plain_answer
        else:
            scorer = PrefixTreeScorer(model, template, chunk_tokens=_CHUNK, precision=precision)
            plain = self._plain
        found = [value for likelihood in scorer.score(PROBE) for value in likelihood.logprobs]
        with _own_attention(model):
            expected = [value for utterance in PROBE for value in plain(utterance)]
        return _rms(one - other for one, other in zip(found, expected, strict=True))

    def _writing_gap(self, writer: Writer) -> float:
        written: list[tuple[list[int], list[int] | None, Completion]] = []
        for utterance in (PROBE[0], *PROBE[2:]):
            prompt, read = self._begun(utterance)
            request = Request(utterance.messages, None, Sampling(0.0, max_tokens=4), session="proof")
            sequence = TokenSequence(
                *(request, prompt),
                dropped=0,
                walk=None,
                ends=frozenset(),
                context=10**9,
                template=self._template,
                source=read,
            )
            writer.add(sequence)
            while writer.busy:
                writer.step()
            written.append((prompt, read, sequence.future.result()))
        writer.forget()
        gaps: list[float] = []
        with _own_attention(self._model):
            for prompt, read, completion in written:
                spoken = completion.tokens or ()
                expected = float(self._logprobs([*prompt, *spoken], len(prompt), read).sum())
                gaps.append(((completion.logprob or 0.0) - expected) / max(1, len(spoken)))
        return _rms(gaps)

    def _begun(self, utterance: Utterance) -> tuple[list[int], list[int] | None]:
        """What stands before the utterance's own tokens, and what an encoder reads."""
        if self._model.config.is_encoder_decoder:
            return [self._model.config.decoder_start_token_id], source(self._template, utterance.messages)
        return self._template.tokens(utterance.messages, generation=True), None

    def _plain(self, utterance: Utterance) -> list[float]:
        item = self._template.tokenize(utterance)
        return self._logprobs(item.ids[: item.stop], item.start).tolist()

    def _plain_answer(self, utterance: Utterance) -> list[float]:
        """An encoder-decoder's: the prompt encoded, the text decoded."""
        start, read = self._begun(utterance)
        return self._logprobs([*start, *target(self._template, utterance)], len(start), read).tolist()

    def _logprobs(self, ids: Iterable[int], start: int, read: Sequence[int] | None = None) -> Tensor:
        """log p of the tokens from `start` on by one plain pass; of an encoder-decoder that has `read` a prompt."""
        tokens = torch.tensor([list(ids)], device=self._model.device)
        given = {"input_ids": tokens}
        if read is not None:
            given = {"input_ids": torch.tensor([list(read)], device=tokens.device), "decoder_input_ids": tokens}
        logits: Tensor = self._model(**given, use_cache=False).logits[0, start - 1 : -1]
        spoken = tokens[0, start:]
        return logits.float().log_softmax(-1).gather(1, spoken[:, None])[:, 0]

    def _key(self, what: str, precision: torch.dtype) -> str:
        where = self._model.device.type
        parts = [_VERSION, self._weights, what, str(precision), where, torch.__version__, transformers.__version__]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@contextmanager
def explaining(model: Any) -> Generator[None]:
    """Whatever goes wrong inside becomes a ModelMisconfigured: strangers' model code fails in any way."""
    try:
        yield
    except ModelMisconfigured:
        raise
    except ModelError as error:
        raise ModelMisconfigured(str(error)) from error
    except Exception as error:
        spoken = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise ModelMisconfigured(
            f"{model.name_or_path} ({model.config.model_type}) cannot run in process ({spoken}); {_remedy(model)}"
        ) from error


def _remedy(model: Any) -> str:
    """vLLM has no encoder-decoders of text since its second engine."""
    return "name another model" if model.config.is_encoder_decoder else "serve it instead"


@contextmanager
def _own_attention(model: Any) -> Generator[None]:
    """Within it the model attends as its own code does."""
    before: str = model.config._attn_implementation
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def _fits(model: Any) -> bool:
    """Whether there is memory for the weights in float32 beside the weights."""
    needed = 4 * sum(weight.numel() for weight in model.parameters())
    free: int = (
        torch.cuda.mem_get_info(model.device)[0] if model.device.type == "cuda" else psutil.virtual_memory().available
    )
    return free > 1.2 * needed


def _rms(gaps: Iterable[float]) -> float:
    squares = [gap * gap for gap in gaps]
    return math.sqrt(math.fsum(squares) / max(1, len(squares)))


def _file(key: str) -> Path:
    return home() / "proofs" / f"{key}.json"


def _remember(key: str, content: dict[str, Any]) -> None:
    """On a disk that cannot be written the proof is made again next time."""
    file = _file(key)
    unfinished = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_text(json.dumps(content) + "\n")
        unfinished.replace(file)
    except OSError:
        return
