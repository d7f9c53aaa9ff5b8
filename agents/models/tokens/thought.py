"""Thoughts that a model writes before it answers, between tags of several names."""

from __future__ import annotations

import re

_NAMES = "think|thinking|thought|reasoning|seed:think"
_OPENED = re.compile(rf"<({_NAMES})>\s*\Z|(\[THINK\])\s*\Z")
_LEADING = re.compile(rf"\A\s*(?:<({_NAMES})>(.*?)</\1>|\[THINK\](.*?)\[/THINK\])\s*", re.DOTALL)


def closing(prompt: str) -> str:
    """What ends the thought that a prompt leaves open, as Qwen3 writes it for `enable_thinking` false; "" for none."""
    opened = _OPENED.search(prompt)
    if opened is None:
        return ""
    return f"\n{'[/THINK]' if opened[2] else f'</{opened[1]}>'}\n\n"


def split_thought(text: str) -> tuple[str, str]:
    """A leading thought, and what was said once it was over; ("", text) where there is none, or none that ends."""
    leading = _LEADING.match(text)
    if leading is None:
        return "", text
    return (leading[2] or leading[3] or "").strip(), text[leading.end() :]
