"""What a server says it serves: its answer to /models, of whatever shape."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from agents.models.served.answers.values import Json, items, mapping, number, text

_CONTEXT = ("max_model_len", "context_length", "context_window", "max_context_length", "max_input_tokens", "n_ctx")
"""Names of the longest prompt and answer together: vLLM, OpenRouter, Groq, LM Studio, LiteLLM, llama.cpp."""

_LEAST = 16
"""Tokens; a smaller context is a way of saying nothing (-1, 0)."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """One model that a server offers. `context` (tokens) is None where it is not told."""

    id: str
    root: str = ""
    """What the server says it has loaded; not to be believed for anything but a name in the records."""
    parent: str = ""
    """The model that an adapter (LoRA) stands on."""
    context: int | None = None
    vllm: bool = False

    def goes_by(self, names: frozenset[str]) -> bool:
        return bool({self.id, self.root, self.id.removeprefix("models/")} & names)


def read_listing(body: object) -> list[ListedModel]:
    """The models in an answer; empty where it lists none in any form that is known. Never raises."""
    entries = list(_entries(body))
    contexts = {entry.id: entry.context for entry in entries}
    return [
        replace(entry, context=contexts.get(entry.parent)) if entry.context is None and entry.parent else entry
        for entry in entries
    ]


def _entries(body: object) -> Iterator[ListedModel]:
    for id, entry in _listed(body):
        fields = mapping(entry)
        name = next((text(fields[key]) for key in ("id", "name", "model") if fields.get(key)), id)
        if name:
            yield ListedModel(
                id=name,
                root=text(fields.get("root")),
                parent=text(fields.get("parent")),
                context=_context(fields),
                vllm=fields.get("owned_by") == "vllm",
            )


def _listed(body: object) -> Sequence[tuple[str, object]]:
    """Entries, and what names each of them but itself."""
    fields = mapping(body)
    listed = fields.get("data", fields.get("models")) if fields else body
    if isinstance(listed, dict):
        return list(mapping(listed).items())
    return [(entry if isinstance(entry, str) else "", entry) for entry in items(listed)]


def _context(fields: Json) -> int | None:
    """The smallest context that is told."""
    places = (fields, mapping(fields.get("meta")), mapping(fields.get("top_provider")))
    lengths = [number(place.get(name)) for place in places for name in _CONTEXT]
    return min((int(value) for value in lengths if value is not None and _LEAST <= value < 2**31), default=None)
