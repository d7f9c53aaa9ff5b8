"""The form of a line of `events.jsonl`: what every event has, and how it nests the rest.

A line holds `kind`, `iteration`, `skill`, `parents`, `trajectories` and a `payload` with what only this kind has; in
Python all of these are attributes. What an event was not given is not written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue, SerializerFunctionWrapHandler, model_serializer, model_validator

from agents.skill import Skill

HEADER = ("kind", "iteration", "skill", "parents", "trajectories")
"""Fields that stand beside the payload in a line."""
PAYLOAD_NAMES = {"texts": "skill", "giver": "from", "objective": "J", "before": "J_before", "change": "delta_J"}
"""Fields that a payload calls otherwise: by the paper's letters, or by a word that Python keeps for itself."""
FIELDS = {name: field for field, name in PAYLOAD_NAMES.items()}


class SkillTexts(BaseModel):
    """The words of a skill, so that events alone tell what it says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    activation: str = ""
    procedure: str = ""
    termination: str = ""

    @classmethod
    def of(cls, skill: Skill) -> SkillTexts:
        texts = {part: getattr(skill, part) for part in cls.model_fields}
        return cls(**texts)


class BaseEvent(BaseModel):
    """What every event has. `skill` is the id of the skill it is about, "" where it is about none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    iteration: int
    skill: str = ""
    parents: tuple[str, ...] = ()
    """Ids of the skills the subject was made from."""
    trajectories: tuple[str, ...] = ()
    """Ids of the trajectories that are the evidence."""

    @property
    def payload(self) -> dict[str, JsonValue]:
        """What only this kind has, as it stands in the line."""
        return self.model_dump(mode="json")["payload"]

    @model_serializer(mode="wrap")
    def _nest_payload(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        content: dict[str, Any] = handler(self)
        given = [name for name in type(self).model_fields if name in self.model_fields_set and name not in HEADER]
        payload = {PAYLOAD_NAMES.get(name, name): content[name] for name in given}
        return {name: content[name] for name in HEADER} | {"payload": payload}

    @model_validator(mode="before")
    @classmethod
    def _unnest_payload(cls, content: Any) -> Any:
        """A line of format 1 may call a field by either of its names, and hold what this version no longer reads."""
        if not isinstance(content, Mapping) or "payload" not in content:
            return content
        payload = content["payload"]
        if not isinstance(payload, Mapping):
            raise ValueError("the payload of an event is a table")
        fields = {FIELDS.get(str(name), str(name)): value for name, value in payload.items()}
        known = {name: value for name, value in fields.items() if name in cls.model_fields and name not in HEADER}
        return known | {name: value for name, value in content.items() if name != "payload"}
