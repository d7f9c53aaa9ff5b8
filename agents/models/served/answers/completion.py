"""One completion out of a server's answer.

What a server leaves out, or says in another way than OpenAI does, is read as well as it can be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from agents.models.model import ModelError
from agents.models.served.answers.thought import split
from agents.models.served.answers.values import Json, count, items, line, mapping, number, text

Finish = Literal["stop", "length", "filtered"]

_LENGTH = ("length", "max_tokens", "max_output_tokens", "model_length", "max_completion_tokens", "incomplete")
_FILTERED = ("content_filter", "content-filter", "safety", "refusal", "recitation", "blocklist", "prohibited_content")
_THOUGHTS = ("reasoning_content", "reasoning", "thinking", "thought")
"""Where servers put what a model thought: vLLM and DeepSeek, OpenRouter and newer vLLM, Ollama, others."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, 0 where they are not told. Those of a thought are among the completion's."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """What was written: `thought` aloud before `text`, and why the writing ended; `refusal` in the server's words.

    `logprobs` has the tokens of the answer and their log-probabilities (nats), where all are numbers.
    """

    text: str
    thought: str = ""
    finish: Finish = "stop"
    refusal: str = ""
    usage: Usage = Usage()
    logprobs: tuple[tuple[str, float], ...] = ()


def read_choice(body: object) -> Json | None:
    """The first completion of an answer as it came; None where there is none."""
    first = next(iter(items(mapping(body).get("choices"))), None)
    if isinstance(first, str):
        return {"text": first}
    return mapping(first) or None


def require_choice(body: object) -> Json:
    """The first completion of an answer as it came. Raises ModelError where there is none."""
    choice = read_choice(body)
    if choice is None:
        raise ModelError(f"the server answered no completion but {line(body, 80)!r}; is it OpenAI-compatible?")
    return choice


def read_answer(body: object) -> Answer:
    """The first completion of an answer from /chat/completions (or of that kind). Raises ModelError as above."""
    choice = require_choice(body)
    message = choice.get("message", choice.get("delta", choice.get("text")))
    fields = mapping(message)
    parts = list(_parts(fields.get("content") if fields else message))
    spoken = "".join(piece for kind, piece in parts if kind == "text") or _called(fields)
    thought, answer = split(spoken)
    thoughts = [piece for kind, piece in parts if kind == "thought"]
    thoughts += [piece for name in _THOUGHTS if (piece := _plain(fields.get(name)))][:1]
    return Answer(
        text=answer,
        thought="\n".join([*thoughts, thought] if thought else thoughts).strip(),
        finish=read_finish(choice),
        refusal=_plain(fields.get("refusal")),
        usage=read_usage(body),
        logprobs=tuple(_logprobs(choice)),
    )


def read_finish(choice: Json) -> Finish:
    """Why the writing ended; a reason that nobody knows is an ordinary end."""
    reason = text(choice.get("finish_reason")).strip().lower()
    if reason in _LENGTH:
        return "length"
    return "filtered" if reason in _FILTERED else "stop"


def read_usage(body: object) -> Usage:
    """What an answer says it cost."""
    counts = mapping(mapping(body).get("usage"))
    details = mapping(counts.get("prompt_tokens_details")) or mapping(counts.get("input_tokens_details"))
    cached = (
        details.get("cached_tokens"),
        counts.get("prompt_cache_hit_tokens"),
        counts.get("cache_read_input_tokens"),
    )
    return Usage(
        prompt=count(counts.get("prompt_tokens"), counts.get("input_tokens")),
        completion=read_written(body),
        cached=count(*cached),
    )


def read_written(body: object) -> int:
    """Tokens of the completion, by what an answer says it cost."""
    counts = mapping(mapping(body).get("usage"))
    return count(counts.get("completion_tokens"), counts.get("output_tokens"))


def _parts(content: object) -> Iterator[tuple[Literal["text", "thought"], str]]:
    """Content that may be a text, a list of parts of several kinds, or JSON that was meant as text."""
    if not isinstance(content, list):
        yield "text", text(content)
        return
    for part in items(content):
        fields = mapping(part)
        if not fields:
            yield "text", text(part)
            continue
        kind = text(fields.get("type")).lower()
        if any(word in kind for word in ("reason", "think", "thought")):
            yield "thought", _plain(fields.get("thinking") or fields.get("text") or fields.get("summary"))
        else:
            piece = fields.get("text", fields.get("content"))
            yield "text", text(mapping(piece).get("value", piece))


def _plain(value: object) -> str:
    """Text in a field that may be a text, a list of parts, or an object that holds it."""
    if isinstance(value, list):
        return "".join(_plain(part) for part in items(value))
    fields = mapping(value)
    if fields:
        return next((_plain(fields[name]) for name in ("text", "content", "summary") if fields.get(name)), "")
    return value if isinstance(value, str) else ""


def _called(message: Json) -> str:
    """The arguments of a tool call: where some servers put what should have been the content."""
    call = mapping(next(iter(items(message.get("tool_calls"))), None))
    return text(mapping(call.get("function")).get("arguments"))


def _logprobs(choice: Json) -> Iterator[tuple[str, float]]:
    """Tokens with their log-probabilities, up to the first that is none."""
    for entry in items(mapping(choice.get("logprobs")).get("content")):
        value = number(mapping(entry).get("logprob"))
        if value is None:
            return
        yield text(mapping(entry).get("token")), value
