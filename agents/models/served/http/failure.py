"""What became of one try at one server, where it was no answer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from agents.models.model import ModelError, ModelMisconfigured, PromptRefused, PromptTooLong
from agents.models.served.answers.error import ServerError, classify, describe, parameter, read_error
from agents.models.served.http.api_key import redact


@dataclass
class TryFailed(Exception):
    """One try failed in a way that another may not. `reason` is the second half of a sentence about the server."""

    reason: str
    silent: bool = False
    """It took the request and did not answer in time."""
    refused: bool = False
    """Nobody listens at the address."""
    status: int = 0
    pause: float | None = None
    """Seconds that the server asks to be left alone for."""


class ParameterRefused(ModelMisconfigured):
    """The server does not know `parameter`, a field of the request."""

    def __init__(self, message: str, parameter: str) -> None:
        super().__init__(message)
        self.parameter = parameter


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer over HTTP: `body` is its JSON (None where it has none), `plain` the beginning of its text."""

    status: int
    headers: Mapping[str, str]
    body: object
    plain: str
    pause: float | None = None


def check(reply: Reply, url: str, sent: Collection[str] = ()) -> None:
    """Raises TryFailed or a ModelError unless the reply is an answer. `sent` are the fields of the request."""
    if 300 <= reply.status < 400:
        where = redact(reply.headers.get("location", "") or "nowhere")
        raise ModelMisconfigured(
            f"{url} redirects ({reply.status}) to {where[:200]!r}, which is not followed: a key would go with the "
            "request; write the final address as base_url"
        )
    if reply.status < 300:
        error = read_error(reply.body)
        if error is None:
            return
    else:
        error = describe(reply.body, reply.plain)
    raise _meaning(reply, url, error, sent)


def _meaning(reply: Reply, url: str, error: ServerError, sent: Collection[str]) -> Exception:
    status = error.status or reply.status if reply.status < 300 else reply.status
    words = redact(error.message)
    sentence = f"{url} refuses ({status}): {words}"
    kind: type[ModelError]
    match classify(reply.status, error, sent):
        case "passing":
            return TryFailed(f"answered {status} ({words})", status=status, pause=reply.pause)
        case "parameter":
            return ParameterRefused(sentence, parameter(error, sent))
        case "too long":
            kind = PromptTooLong
        case "fatal":
            kind = ModelMisconfigured
        case "filtered" | "refused":
            kind = PromptRefused
    return kind(sentence)
