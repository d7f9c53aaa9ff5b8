"""A table of a study file, and what of it a study's digest is made of."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

OUTCOME_NEUTRAL: dict[str, Any] = {"digest": "never"}
"""`json_schema_extra` of a field that can change no result: it is no part of a study's digest."""
SINCE_FORMAT_1: dict[str, Any] = {"digest": "unless default"}
"""`json_schema_extra` of a field that came later: where it has its default, the digest is what it was without it."""


class Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def digested(table: BaseModel) -> dict[str, Any]:
    """What the digest of a study is made of, as plain data."""
    content: dict[str, Any] = table.model_dump(mode="json")
    for name, field in type(table).model_fields.items():
        value = getattr(table, name)
        extra = field.json_schema_extra
        rule = extra.get("digest") if isinstance(extra, dict) else None
        if rule == "never" or (rule == "unless default" and value == field.get_default(call_default_factory=True)):
            del content[name]
        elif isinstance(value, BaseModel):
            content[name] = digested(value)
        elif isinstance(value, tuple):
            content[name] = [
                digested(each) if isinstance(each, BaseModel) else plain
                for each, plain in zip(value, content[name], strict=True)
            ]
    return content
