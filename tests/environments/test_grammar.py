"""Grammars decide about any text, however odd, without raising."""

from __future__ import annotations

import pytest

from environments.grammar import JsonSchema


@pytest.mark.parametrize("text", ["[" * 100_000 + "]" * 100_000, "9" * 5000, "\ud800", "", '{"a": NaN', "null"])
def test_what_is_no_document_is_not_accepted(text: str):
    assert not JsonSchema.of({"type": "object"}).accepts(text)
    assert not JsonSchema.of({"type": "array", "items": {"type": "string"}}).accepts(text)
