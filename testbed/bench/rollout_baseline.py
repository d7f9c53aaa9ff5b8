"""The baseline of the rollout bench: transformers' own `generate`, one call at a time, nothing kept between calls."""

from __future__ import annotations

from typing import Any

import torch
import xgrammar
from transformers import PreTrainedModel
from xgrammar.contrib.hf import LogitsProcessor

from agents.models.model import Request
from agents.models.tokens.template import ChatTemplate


class SerialModel:
    """Greedy constrained decoding as most would write it: with the usual cache inside a call, and compiled grammars."""

    def __init__(self, model: PreTrainedModel, template: ChatTemplate) -> None:
        model.set_attn_implementation("sdpa")
        self._model: Any = model
        self._template = template
        info = xgrammar.TokenizerInfo.from_huggingface(template.tokenizer, vocab_size=model.config.vocab_size)
        self._compiler = xgrammar.GrammarCompiler(info)

    def write(self, request: Request, pattern: str) -> str:
        """The text for a request whose grammar is the regex `pattern`."""
        ids = torch.tensor([self._template.tokens(request.messages, generation=True)])
        ids = ids.to(self._model.device)
        written = self._model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=request.sampling.max_tokens,
            do_sample=False,
            logits_processor=[LogitsProcessor(self._compiler.compile_regex(pattern))],
            pad_token_id=self._template.tokenizer.eos_token_id,
        )
        return str(self._template.tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True))
