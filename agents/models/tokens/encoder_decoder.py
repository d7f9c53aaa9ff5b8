"""The two texts of an encoder-decoder: what its encoder reads, and what its decoder is to say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.models.model import Message, Utterance
from agents.models.tokens.template import ChatTemplate

_SPACE = "▁"
"""How SentencePiece writes a space."""


def source(template: ChatTemplate, messages: Sequence[Message]) -> list[int]:
    """Token ids of the prompt, with what the tokenizer puts around every text: encoders are trained on whole ones."""
    text = template.render(messages, generation=True)
    ids: list[int] = template.tokenizer(text.removeprefix(template.begin))["input_ids"]
    return ids


def target(template: ChatTemplate, utterance: Utterance) -> tuple[int, ...]:
    """Token ids of what was said: those it was said in, or else those that spell its text.

    SentencePiece puts a space before every text. A grammar lets nobody begin with one, so under a grammar it goes.
    """
    if utterance.tokens is not None and template.writes(utterance.tokens, utterance.text):
        return utterance.tokens
    tokenizer: Any = template.tokenizer
    ids: tuple[int, ...] = tuple(tokenizer(utterance.text, add_special_tokens=False)["input_ids"])
    if utterance.grammar is None or not ids or utterance.text[0].isspace():
        return ids
    first: str = tokenizer.convert_ids_to_tokens(ids[0])
    if not first.startswith(_SPACE):
        return ids
    spelled = tokenizer.backend_tokenizer.model.tokenize(first.removeprefix(_SPACE))
    return (*(token.id for token in spelled), *ids[1:])
