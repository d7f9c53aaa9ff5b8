"""From messages to tokens: the model's own chat template, or a plain transcript for base models that have none.

Text is tokenised once, as a whole: a prompt and its continuation cut apart may give other tokens than the
text they form together, and then their likelihood is that of a text nobody wrote.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from agents.model import Message, ModelError, Utterance

TRANSCRIPT_STOP = "\n\nUser:"
"""Where a base model's turn ends in a plain transcript (it has no end-of-turn token)."""

_NAMES = {"user": "User", "assistant": "Assistant"}


class Joint(NamedTuple):
    """Token ids of prompt and utterance tokenised as one text; the utterance's tokens are `ids[start:stop]`.

    The end of the turn is not among them. A token that reaches over the border belongs to the utterance.
    """

    ids: tuple[int, ...]
    start: int
    stop: int


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, generation: bool) -> str:
    """The conversation as the text the model reads, special tokens written out, `<bos>` once where there is one.

    With `generation` it ends where the assistant starts to speak. Raises ModelError when the template refuses.
    """
    clean = [Message(message.role, _defused(tokenizer, message.content)) for message in messages]
    if not tokenizer.chat_template:
        return _begin(tokenizer) + _transcript(clean, generation)
    if not _takes_system(tokenizer):
        clean = _folded(clean)
    try:
        return _apply(tokenizer, clean, generation)
    except TemplateError as error:
        raise ModelError(f"the chat template of {tokenizer.name_or_path} refuses the conversation: {error}") from error


def tokens(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], *, generation: bool) -> list[int]:
    """Token ids of `render(…)`; nothing is added, since the text already holds its special tokens."""
    return _encode(tokenizer, render(tokenizer, messages, generation=generation))


def joint(tokenizer: PreTrainedTokenizerBase, utterance: Utterance) -> Joint:
    """The prompt that the speaker was given and what it said, tokenised as one text."""
    prompt = render(tokenizer, utterance.messages, generation=True)
    text = prompt + _defused(tokenizer, utterance.text)
    encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids: list[int] = encoding["input_ids"]
    spans: list[tuple[int, int]] = encoding["offset_mapping"]
    start = len(ids)
    while start > 0 and spans[start - 1][1] > len(prompt):
        start -= 1
    if utterance.grammar is not None and start < len(ids) and spans[start][0] < len(prompt):
        # A policy under a grammar wrote its tokens after the prompt's: none of them can reach over the border.
        head = _encode(tokenizer, prompt)
        tail = _encode(tokenizer, text[len(prompt) :])
        return Joint((*head, *tail), len(head), len(head) + len(tail))
    return Joint(tuple(ids), start, len(ids))


def _apply(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], generation: bool) -> str:
    dicts: list[dict[str, str]] = [{"role": message.role, "content": message.content} for message in messages]
    return str(tokenizer.apply_chat_template(dicts, tokenize=False, add_generation_prompt=generation))


def _transcript(messages: Sequence[Message], generation: bool) -> str:
    turns = [
        message.content if message.role == "system" else f"{_NAMES[message.role]}:\n{message.content}"
        for message in messages
    ]
    return "\n\n".join([*turns, "Assistant:\n"] if generation else turns)


def _folded(messages: Sequence[Message]) -> list[Message]:
    """System messages moved to the head of the first user turn (Gemma's habit)."""
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    rest = [message for message in messages if message.role != "system"]
    if not system:
        return rest
    if rest and rest[0].role == "user":
        return [Message("user", f"{system}\n\n{rest[0].content}"), *rest[1:]]
    return [Message("user", system), *rest]


def _defused(tokenizer: PreTrainedTokenizerBase, content: str) -> str:
    """Content that names a special token gets a space into that name: text is data, it cannot end a turn."""
    return _specials(tokenizer).sub(lambda match: f"{match[0][0]} {match[0][1:]}", content)


def _encode(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def _begin(tokenizer: PreTrainedTokenizerBase) -> str:
    """`<bos>` where the tokenizer itself would put it in front of a text."""
    added: list[int] = tokenizer("").input_ids
    return str(tokenizer.bos_token) if added[:1] == [tokenizer.bos_token_id] else ""


@lru_cache(maxsize=16)
def _takes_system(tokenizer: PreTrainedTokenizerBase) -> bool:
    probe = [Message("system", "system-probe"), Message("user", "user-probe")]
    try:
        return "system-probe" in _apply(tokenizer, probe, True)
    except TemplateError:
        return False


@lru_cache(maxsize=16)
def _specials(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    added: dict[int, Any] = tokenizer.added_tokens_decoder
    names = (token.content for token in added.values() if token.special and len(token.content) > 1)
    return re.compile("|".join(re.escape(name) for name in names) or r"(?!)")
