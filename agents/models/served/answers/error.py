"""What a server says is wrong, also in an answer whose status says that all is well; and what that means for us."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from agents.models.served.answers.values import Json, items, line, mapping, number, text

Kind = Literal["passing", "too long", "filtered", "parameter", "fatal", "refused"]
"""passing: the next try may succeed · too long, filtered, refused: this prompt is not taken · parameter: a field of
the request is not known here · fatal: no request will ever succeed."""

_PASSING = re.compile(
    r"rate.?limit|too many requests|overload|capacity|try again|time[d-]?.?out|unavailable|loading|warming|starting|"
    r"internal.?(server.?)?error|server_error|upstream|bad gateway|busy",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|(maximum|max).{0,30}(input|prompt|sequence|model).{0,20}(token|len)|"
    r"(prompt|input|conversation|messages?|request).{0,40}too (long|large|many tokens)|too many (input )?tokens|"
    r"exceeds?.{0,40}(token|context|length|n_ctx)|reduce the length|string_above_max_length",
    re.IGNORECASE | re.DOTALL,
)
_FILTERED = re.compile(
    r"content.?(filter|policy|management)|moderat|flagged|safety|responsible.?ai|jailbreak|prohibited|violat|"
    r"inappropriate|sensitive",
    re.IGNORECASE,
)
_UNKNOWN_FIELD = re.compile(
    r"un(supported|known|recogni[sz]ed|expected)|not (supported|permitted|allowed|available|recogni[sz]ed|implemented)|"
    r"(does|do|is)(n't| not) support|extra (inputs|fields)|invalid (parameter|field|argument|schema)",
    re.IGNORECASE,
)
_FATAL = re.compile(
    r"api.?key|unauthori[sz]ed|authenticat|forbidden|permission|quota|billing|credit|payment|"
    r"model.{0,120}(not found|n[o']t exist|no access|not loaded|not available|unknown)|"
    r"(unknown|invalid|no such) model|model_not_found",
    re.IGNORECASE | re.DOTALL,
)
_SPENT = re.compile(r"insufficient_quota|exceeded your current quota|billing|credit", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ServerError:
    """An error in the server's own words, one line of them; `status` where the body itself names one."""

    message: str
    code: str = ""
    parameter: str = ""
    status: int | None = None

    @property
    def words(self) -> str:
        return f"{self.code} {self.message}"


def read_error(body: object) -> ServerError | None:
    """The error in the body of an answer that calls itself a success; None where there is none."""
    fields = _object(body)
    choices = items(fields.get("choices"))
    inner = fields.get("error") or fields.get("errors") or mapping(choices[0] if choices else None).get("error")
    if inner:
        return _error(inner)
    silent = "choices" not in fields and "data" not in fields
    if fields.get("object") == "error" or (silent and (fields.get("detail") or fields.get("message"))):
        return _error(fields)
    return None


def describe(body: object, plain: str) -> ServerError:
    """The error in the body of an answer that says it is one; `plain` is the body as text."""
    fields = _object(body)
    found = read_error(fields) or (_error(fields) if fields else ServerError(line(plain)))
    return found if found.message else ServerError("no reason given", found.code, found.parameter, found.status)


def classify(status: int, error: ServerError, sent: Collection[str] = ()) -> Kind:
    """What an error means. `sent` are the fields of the request, one of which may be what is not known."""
    if status < 300:
        status = error.status or 0
    kind = _by_status(status, error)
    return kind if kind is not None else _by_words(status, error, sent)


def parameter(error: ServerError, sent: Collection[str]) -> str:
    """The field of the request that an error says is not known here; nothing where it says no such thing."""
    if not _UNKNOWN_FIELD.search(error.words):
        return ""
    for name in (error.parameter.partition(".")[0], *sorted(sent, key=len, reverse=True)):
        if name in sent and (name == error.parameter.partition(".")[0] or re.search(rf"\b{name}\b", error.message)):
            return name
    return ""


def _by_status(status: int, error: ServerError) -> Kind | None:
    if status == 429:
        return "fatal" if _SPENT.search(error.words) else "passing"
    if status in (408, 409, 425) or (status > 500 and status not in (501, 505)):
        return "passing"
    if status in (401, 402, 404, 405, 407, 501, 505):
        return "fatal"
    if status == 403:
        return "filtered" if _FILTERED.search(error.words) else "fatal"
    return "too long" if status == 413 else None


def _by_words(status: int, error: ServerError, sent: Collection[str]) -> Kind:
    words = error.words
    if parameter(error, sent):
        return "parameter"
    if _TOO_LONG.search(words):
        return "too long"
    if _FILTERED.search(words):
        return "filtered"
    if status == 500 or (status == 0 and _PASSING.search(words)):
        return "passing"
    return "fatal" if _FATAL.search(words) else "refused"


def _object(body: object) -> Json:
    """Google's OpenAI-compatible server wraps its errors in a list."""
    listed = items(body)
    return mapping(listed[0] if listed else body)


def _error(value: object) -> ServerError:
    if value and isinstance(value, list):
        return _error(items(value)[0])
    fields = mapping(value)
    if not fields:
        return ServerError(line(value))
    found_message = next(
        (fields[name] for name in ("message", "detail", "msg", "error", "reason") if fields.get(name)), ""
    )
    if isinstance(found_message, dict | list):  # FastAPI's list of details, or an error inside an error
        nested = _error(found_message)
        found_message = nested.message
    codes = [fields.get(name) for name in ("code", "type", "status")]
    statuses = [int(code) for code in map(number, codes) if code is not None and 300 <= code <= 599]
    named = " ".join(line(code, 60) for code in codes if isinstance(code, str))
    place = fields.get("param") or (items(fields.get("loc")) or [""])[-1]
    return ServerError(line(found_message) or line(fields), named, text(place), statuses[0] if statuses else None)
