"""From messages to tokens: the model's own chat template, or a plain transcript for base models that have none.

What was really written is known by its token ids, and these are scored. Where only a text is known it is tokenised
once, as a whole: a prompt and its continuation cut apart may give other tokens than the text they form together.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from pydantic import JsonValue
from transformers import PreTrainedTokenizerBase

from agents.models.model import Message, ModelError, ModelMisconfigured, Utterance
from agents.models.tokens.sandbox import JinjaTemplate
from agents.models.tokens.thought import closing

TRANSCRIPT_STOP = "\n\nUser:"
"""Where a base model's turn ends in a plain transcript (it has no end-of-turn token)."""

_NAMES = {"user": "User", "assistant": "Assistant"}


class TokenizedUtterance(NamedTuple):
    """Token ids of prompt and utterance; the utterance's tokens are `ids[start:stop]`.

    The end of the turn is not among them. A token that reaches over the border belongs to the utterance.
    """

    ids: tuple[int, ...]
    start: int
    stop: int


class ChatTemplate:
    """How one model reads a conversation: its tokenizer and its chat template, with what the template is told."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        *,
        today: date | None = None,
        options: Mapping[str, JsonValue] = {},
    ) -> None:
        """`today` is the date that a template may print: the run's, never that of the moment.

        `options` are the template's own (`enable_thinking`, …). Raises ModelError for a template that is none.
        """
        self.tokenizer = tokenizer
        self._name = str(tokenizer.name_or_path)
        self._options = dict(options)
        self._today = today
        self._source: str | None = None
        try:
            if tokenizer.chat_template:
                self._source = tokenizer.get_chat_template()
                self._jinja = JinjaTemplate(self._source, today)
        except Exception as error:  # a template is a program, and may fail in any way
            raise ModelMisconfigured(f"the chat template of {self._name} cannot be read: {_line(error)}") from error

    @property
    def is_transcript(self) -> bool:
        """Whether there is no template: a base model reads a plain transcript, and knows no end of a turn."""
        return self._source is None

    @property
    def digest(self) -> str:
        """SHA-256 of the template and all it is told, the date only where it may ask for it; "" for a transcript."""
        if self._source is None:
            return ""
        dated = str(self._today) if "strftime_now" in self._source else None
        content = json.dumps([self._source, dated, self._options], sort_keys=True)
        return hashlib.sha256(content.encode(errors="replace")).hexdigest()

    def render(self, messages: Sequence[Message], *, generation: bool) -> str:
        """The conversation as the text the model reads, special tokens written out, `<bos>` once where there is one.

        With `generation` it ends where the assistant starts to speak; a thought that the template opens there is
        closed, or a move would be forced inside it. Raises ModelError when the template refuses.
        """
        clean = [Message(message.role, self._defused(message.content)) for message in messages]
        if self._source is None:
            return self.begin + _transcript(clean, generation)
        if not self._takes_system:
            clean = _folded(clean)
        text = self._apply(clean, generation)
        return text + closing(text) if generation else text

    def tokens(self, messages: Sequence[Message], *, generation: bool) -> list[int]:
        """Token ids of `render(…)`; nothing is added, since the text already holds its special tokens."""
        text = self.render(messages, generation=generation)
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def tokenize(self, utterance: Utterance) -> TokenizedUtterance:
        """The prompt that the speaker was given and what it said."""
        return self.tokenize_all([utterance])[0]

    def tokenize_all(self, utterances: Sequence[Utterance]) -> list[TokenizedUtterance]:
        """`tokenize` of each: after its prompt the ids it was written in, or its text's where these are unknown.

        A conversation of texts that another one extends is tokenised with it.
        """
        prompts = [self.render(utterance.messages, generation=True) for utterance in utterances]
        written = [i for i, utterance in enumerate(utterances) if self.writes(utterance.tokens, utterance.text)]
        out = self._written(written, prompts, utterances)
        out |= self._retold([i for i in range(len(utterances)) if i not in out], prompts, utterances)
        return [out[i] for i in range(len(utterances))]

    def writes(self, ids: Sequence[int] | None, text: str) -> bool:
        """Whether these ids are this tokenizer's and spell `text`, but for the end of a transcript's turn."""
        if ids is None or not all(0 <= id < len(self.tokenizer) for id in ids):
            return False
        spelled = self.text(ids)
        rest = spelled[len(text) :]
        ended = self.is_transcript and (TRANSCRIPT_STOP.startswith(rest) or rest.startswith(TRANSCRIPT_STOP))
        return spelled.startswith(text) and (not rest or ended)

    def text(self, ids: Sequence[int]) -> str:
        """What these ids spell, special tokens left out."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _written(
        self, chosen: Sequence[int], prompts: Sequence[str], utterances: Sequence[Utterance]
    ) -> dict[int, TokenizedUtterance]:
        distinct = list(dict.fromkeys(prompts[i] for i in chosen))
        encoded: list[list[int]] = self.tokenizer(distinct, add_special_tokens=False)["input_ids"] if distinct else []
        heads = {prompt: tuple(ids) for prompt, ids in zip(distinct, encoded, strict=True)}
        out: dict[int, TokenizedUtterance] = {}
        for i in chosen:
            ids = (*heads[prompts[i]], *(utterances[i].tokens or ()))
            out[i] = TokenizedUtterance(ids, len(heads[prompts[i]]), len(ids))
        return out

    def _retold(
        self, chosen: Iterable[int], prompts: Sequence[str], utterances: Sequence[Utterance]
    ) -> dict[int, TokenizedUtterance]:
        texts = {i: prompts[i] + self._defused(utterances[i].text) for i in chosen}
        out: dict[int, TokenizedUtterance] = {}
        whole = self._spelled("")
        for i in sorted(texts, key=lambda i: texts[i], reverse=True):  # what extends a text comes before it
            text, border = texts[i], len(prompts[i])
            if not self._breaks_at(whole, text):
                whole = self._spelled(text)
            stop = whole.first_beyond(len(text))
            start = min(whole.first_beyond(border), stop)
            if utterances[i].grammar is not None and start < stop and whole.starts[start] < border:
                # A policy under a grammar wrote its tokens after the prompt's: none of them reaches over the border.
                head, tail = (self._spelled(part).ids for part in (text[:border], text[border:]))
                out[i] = TokenizedUtterance(head + tail, len(head), len(head) + len(tail))
            else:
                out[i] = TokenizedUtterance(whole.ids[:stop], start, stop)
        return out

    def _spelled(self, text: str) -> _Spelled:
        encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        spans: list[tuple[int, int]] = encoding["offset_mapping"]
        return _Spelled(text, tuple(encoding["input_ids"]), tuple(a for a, _ in spans), tuple(b for _, b in spans))

    def _breaks_at(self, whole: _Spelled, text: str) -> bool:
        """Whether `text` begins `whole`, and its tokens do: a special token follows, and takes no blanks with it."""
        if not whole.text.startswith(text):
            return False
        follows = self._specials.match(whole.text, len(text)) is not None
        return len(text) == len(whole.text) or (follows and not text[-1:].isspace())

    def _apply(self, messages: Sequence[Message], generation: bool) -> str:
        variables: dict[str, Any] = {
            **self.tokenizer.special_tokens_map,
            "messages": [message._asdict() for message in messages],
            "tools": None,
            "documents": None,
            "add_generation_prompt": generation,
            **self._options,
        }
        try:
            return self._jinja.render(variables)
        except Exception as error:
            if self._today is None and "strftime_now" in str(error):
                raise ModelMisconfigured(f"the chat template of {self._name} prints the date: give it one") from error
            raise ModelError(f"the chat template of {self._name} refuses the conversation: {_line(error)}") from error

    def _defused(self, content: str) -> str:
        """Content that names a special token gets a space into that name: text is data, it cannot end a turn."""
        return self._specials.sub(lambda match: f"{match[0][0]} {match[0][1:]}", content)

    @cached_property
    def begin(self) -> str:
        """`<bos>` where the tokenizer itself would put it in front of a text."""
        added: list[int] = self.tokenizer("").input_ids
        return str(self.tokenizer.bos_token) if added[:1] == [self.tokenizer.bos_token_id] else ""

    @cached_property
    def _takes_system(self) -> bool:
        probe = [Message("system", "system-probe"), Message("user", "user-probe")]
        try:
            return "system-probe" in self._apply(probe, True)
        except ModelError:
            return False

    @cached_property
    def _specials(self) -> re.Pattern[str]:
        added: dict[int, Any] = self.tokenizer.added_tokens_decoder
        names = (token.content for token in added.values() if token.special and len(token.content) > 1)
        return re.compile("|".join(re.escape(name) for name in names) or r"(?!)")


@dataclass(frozen=True)
class _Spelled:
    """A text in tokens; token k spells its characters `starts[k]` to `ends[k]`."""

    text: str
    ids: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]

    def first_beyond(self, border: int) -> int:
        """The first token that spells a character at or after `border`."""
        return bisect_right(self.ends, border)


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


def _line(error: Exception) -> str:
    return " ".join(f"{error or type(error).__name__}".split())[:300]
