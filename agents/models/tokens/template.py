"""From messages to tokens: the model's own chat template, or a plain transcript for base models that have none.

Text is tokenised once, as a whole: a prompt and its continuation cut apart may give other tokens than the
text they form together, and then their likelihood is that of a text nobody wrote.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase

from agents.models.model import Message, ModelError, Utterance

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
    ids: list[int] = tokenizer(render(tokenizer, messages, generation=generation), add_special_tokens=False)[
        "input_ids"
    ]
    return ids


def joint(tokenizer: PreTrainedTokenizerBase, utterance: Utterance) -> Joint:
    """The prompt that the speaker was given and what it said, tokenised as one text."""
    return joints(tokenizer, [utterance])[0]


def joints(tokenizer: PreTrainedTokenizerBase, utterances: Sequence[Utterance]) -> list[Joint]:
    """`joint` of each utterance. A conversation that another one extends is tokenised with it."""
    prompts = [render(tokenizer, utterance.messages, generation=True) for utterance in utterances]
    texts = [
        prompt + _defused(tokenizer, utterance.text) for prompt, utterance in zip(prompts, utterances, strict=True)
    ]
    out: dict[int, Joint] = {}
    whole = _Tokens.of(tokenizer, "")
    for i in sorted(range(len(texts)), key=lambda i: texts[i], reverse=True):  # what extends a text comes before it
        text, border = texts[i], len(prompts[i])
        if not whole.breaks_at(tokenizer, text):
            whole = _Tokens.of(tokenizer, text)
        stop = whole.first_beyond(len(text))
        start = min(whole.first_beyond(border), stop)
        if utterances[i].grammar is not None and start < stop and whole.starts[start] < border:
            # A policy under a grammar wrote its tokens after the prompt's: none of them can reach over the border.
            head, tail = (_Tokens.of(tokenizer, part).ids for part in (text[:border], text[border:]))
            out[i] = Joint(head + tail, len(head), len(head) + len(tail))
        else:
            out[i] = Joint(whole.ids[:stop], start, stop)
    return [out[i] for i in range(len(utterances))]


@dataclass(frozen=True)
class _Tokens:
    """A text in tokens; token k spells its characters `starts[k]` to `ends[k]`."""

    text: str
    ids: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, text: str) -> _Tokens:
        encoding = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans: list[tuple[int, int]] = encoding["offset_mapping"]
        return cls(text, tuple(encoding["input_ids"]), tuple(a for a, _ in spans), tuple(b for _, b in spans))

    def first_beyond(self, border: int) -> int:
        """The first token that spells a character at or after `border`."""
        return bisect_right(self.ends, border)

    def breaks_at(self, tokenizer: PreTrainedTokenizerBase, text: str) -> bool:
        """Whether `text` begins this one, and its tokens do: a special token follows, and takes no blanks with it."""
        if not self.text.startswith(text):
            return False
        follows = _specials(tokenizer).match(self.text, len(text)) is not None
        return len(text) == len(self.text) or (follows and not text[-1:].isspace())


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
