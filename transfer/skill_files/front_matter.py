"""The YAML between the two `---` lines of a SKILL.md file, read as text alone: nothing in it is an instruction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

LARGEST = 1 << 16
"""Bytes of front matter."""
DEEPEST = 16
"""Lists and mappings within each other."""


class SkillFileError(ValueError):
    """A SKILL.md file that cannot be read or written; one sentence that names the file and the remedy."""


def split(text: str, place: str) -> tuple[str, str]:
    """Front matter and body. Raises SkillFileError where the file does not begin with front matter."""
    first, _, rest = text.partition("\n")
    if first.rstrip() != "---":
        raise SkillFileError(f"{place} has no front matter; begin it with --- and the lines name: and description:")
    lines = rest.split("\n")
    for number, line in enumerate(lines):
        if line.rstrip() == "---":
            return "\n".join(lines[:number]), "\n".join(lines[number + 1 :])
    raise SkillFileError(f"{place}: its front matter does not end; put a line --- behind it")


def parse(text: str, place: str) -> dict[str, Any]:
    """A mapping whose leaves are texts as they were written: `1.10` and `true` are not made into numbers and truths.

    Raises SkillFileError for what is no YAML mapping, for anchors (a small file could stand for a huge one) and for a
    key that stands there twice.
    """
    if len(text.encode("utf-8", "replace")) > LARGEST:
        raise SkillFileError(
            f"{place}: its front matter is larger than {LARGEST >> 10} KiB; move what is long below it"
        )
    try:
        _check_events(text, place)
        node = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f"line {where.line + 2}: " if where is not None else ""
        why = " ".join(str(getattr(error, "problem", None) or "it cannot be parsed").split())
        raise SkillFileError(f"{place}: its front matter is no YAML: {line}{why}; quote texts with a colon") from None
    if not isinstance(node, yaml.MappingNode):
        raise SkillFileError(f"{place}: its front matter is no list of `key: value` lines")
    return _mapping(node, place)


def dump(fields: Mapping[str, Any]) -> str:
    """What `parse` reads back."""
    return yaml.dump(dict(fields), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    """Quotes and escapes U+0085, which YAML 1.1 takes for an end of line and reads as U+000A."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if "\x85" in text else None)


_Dumper.add_representer(str, _text)


def _check_events(text: str, place: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise SkillFileError(
                f"{place}: its front matter holds an anchor (& or *); write the value out, or quote it"
            )
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise SkillFileError(f"{place}: its front matter is nested more than {DEEPEST} deep")


def _mapping(node: yaml.MappingNode, place: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise SkillFileError(f"{place}: a key of its front matter is no text")
        if key.value in found:
            raise SkillFileError(f"{place}: {key.value[:40]!r} stands twice in its front matter; remove one")
        found[key.value] = _plain(value, place)
    return found


def _plain(node: yaml.Node, place: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, place)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(each, place) for each in node.value]
    return str(node.value)
