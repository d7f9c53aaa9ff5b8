"""`SkillFile`: one skill as a SKILL.md file of the Agent Skills format (agentskills.io/specification, November 2026).

A file of ours says in its `metadata`, in strings, which skill it is and where it comes from; it is read back as the
very same skill. Of anybody else's the description is the activation and the whole body is the procedure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from pydantic import ValidationError

from agents.skill import Skill
from transfer.skill_files import front_matter
from transfer.skill_files.front_matter import SkillFileError

NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
LONGEST_NAME, LONGEST_DESCRIPTION = 64, 1024
"""Characters, by the specification."""
OURS = "procmem-"
"""How our keys in `metadata` begin."""
DONE = "The instructions have been carried out, or no longer fit the situation."
"""Until when a skill holds whose file does not say."""
SECTIONS = re.compile(
    r"(?:## When\n\n(?P<activation>.+?)\n\n)?## How\n\n(?P<procedure>.+?)\n\n## Until\n\n(?P<termination>.+)\n",
    re.DOTALL,
)
_HEADING = re.compile(r"^(\\*## )", re.MULTILINE)
_ESCAPED = re.compile(r"^\\(\\*## )", re.MULTILINE)


@dataclass(frozen=True)
class SkillFile:
    """A skill with what its file says beside it."""

    name: str
    """Of its folder, and in its front matter."""
    skill: Skill
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Front matter beside name and description, as texts: licence, compatibility, metadata, and unknown keys."""
    origin: Mapping[str, str] = field(default_factory=dict[str, str])
    """Where a skill of ours comes from, by key without `OURS`: run, learner, score, …"""

    @classmethod
    def parse(cls, text: str, folder: str, place: str) -> SkillFile:
        """The file's text, in a folder of that name. `place` names it in errors. Raises SkillFileError."""
        head, body = front_matter.split(text.replace("\r\n", "\n").replace("\r", "\n"), place)
        fields = front_matter.parse(head, place)
        name = check_name(fields.pop("name", None), folder, place)
        description = _check_description(fields.pop("description", None), place)
        metadata = fields.get("metadata") or {}
        if not isinstance(metadata, Mapping):
            raise SkillFileError(f"{place}: metadata is no mapping; write one `key: value` a line below it")
        metadata = cast("Mapping[str, Any]", metadata)
        origin = {key.removeprefix(OURS): str(each) for key, each in metadata.items() if key.startswith(OURS)}
        others = {key: each for key, each in metadata.items() if not key.startswith(OURS)}
        kept = {key: each for key, each in fields.items() if key != "metadata"} | (
            {"metadata": others} if others else {}
        )
        known, sections = origin.pop("skill", None), SECTIONS.fullmatch(body.removeprefix("\n"))
        if known is None or sections is None:
            return cls(
                name, _skill(place, name=name, activation=description, procedure=body.strip(), termination=DONE), kept
            )
        words = {part: _ESCAPED.sub(r"\1", found or description) for part, found in sections.groupdict().items()}
        parents = tuple(origin.pop("parents", "").split())
        skill = _skill(place, name=origin.pop("name", name), parents=parents, **words)
        if skill.id != known:  # edited since: another skill, and nothing that was measured of the old one is true of it
            return cls(name, skill.model_copy(update={"parents": (known,)}), kept)
        return cls(name, skill, kept, origin)

    def render(self) -> str:
        """The file's text. Raises SkillFileError where it would not be read back as the same skill."""
        skill = self.skill
        activation = _escaped(skill.activation)
        fits = skill.activation == activation and len(activation) <= LONGEST_DESCRIPTION and activation.strip()
        description = activation if fits else _shortened(skill.activation) or self.name
        metadata = {**self.fields.get("metadata", {}), f"{OURS}skill": skill.id, f"{OURS}name": skill.name}
        if skill.parents:
            metadata[f"{OURS}parents"] = " ".join(skill.parents)
        metadata |= {f"{OURS}{key}": value for key, value in self.origin.items()}
        head = {"name": self.name, "description": description, **self.fields, "metadata": metadata}
        parts = [] if fits else [f"## When\n\n{activation}"]
        parts += [f"## How\n\n{_escaped(skill.procedure)}", f"## Until\n\n{_escaped(skill.termination)}"]
        body = "\n\n".join(parts)
        text = f"---\n{front_matter.dump(head)}---\n\n{body}\n"
        read = SkillFile.parse(text, self.name, f"{self.name}/SKILL.md")
        if (read.skill.id, read.skill.parents) != (skill.id, skill.parents):
            raise SkillFileError(f"skill {skill.id}: its words hold characters that no Markdown file keeps")
        return text


def check_name(name: object, folder: str, place: str) -> str:
    """The name, by the specification's rules. Raises SkillFileError."""
    if not isinstance(name, str) or not name:
        raise SkillFileError(f"{place}: its front matter has no name; add name: {folder[:LONGEST_NAME]}")
    if len(name) > LONGEST_NAME or not NAME.fullmatch(name):
        raise SkillFileError(
            f"{place}: the name {name[:80]!r} is not one of at most {LONGEST_NAME} lower-case letters, digits and "
            "single hyphens between them"
        )
    if name != folder:
        raise SkillFileError(f"{place}: it is called {name!r} but lies in {folder[:80]!r}; give both the same name")
    return name


def folder_name(skill: Skill) -> str:
    """The skill's own name as the name of a folder."""
    plain = unicodedata.normalize("NFKD", skill.name).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:LONGEST_NAME].strip("-")
    return name or f"skill-{skill.id}"


def _check_description(description: object, place: str) -> str:
    if not isinstance(description, str) or not description.strip():
        raise SkillFileError(f"{place}: its front matter has no description; say in it when the skill is to be used")
    if len(description) > LONGEST_DESCRIPTION:
        raise SkillFileError(
            f"{place}: its description has {len(description)} characters, {LONGEST_DESCRIPTION} are allowed; shorten it"
        )
    return description


def _skill(place: str, **words: Any) -> Skill:
    try:
        return Skill(**words)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        part = {"procedure": "its body", "activation": "its description"}.get(
            str(first["loc"][0]), str(first["loc"][0])
        )
        if first["type"] == "string_too_long":
            limit, length = first.get("ctx", {}).get("max_length"), len(str(first["input"]))
            raise SkillFileError(
                f"{place}: {part} has {length} characters and a skill holds {limit}; move what is rarely needed to a "
                "file beside it"
            ) from None
        raise SkillFileError(f"{place}: {part} is empty; write down what to do") from None


def _escaped(text: str) -> str:
    """So that no line of a text passes for one of our headings."""
    return _HEADING.sub(r"\\\1", text)


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_DESCRIPTION else f"{line[: LONGEST_DESCRIPTION - 1].rstrip()}…"
