"""A model that dies for good after 48 answers (six rounds of two games of Doors): "…mortal:Mortal" in a study."""

from __future__ import annotations

from agents.models.model import Completion, ModelUnavailable, Request
from agents.models.scripted import ScriptedModel, obedient


class Mortal(ScriptedModel):
    ANSWERS = 48

    def __init__(self) -> None:
        super().__init__("mortal", obedient)
        self.answers = 0

    async def generate(self, request: Request) -> Completion:
        self.answers += 1
        if self.answers > self.ANSWERS:
            raise ModelUnavailable("mortal at http://127.0.0.1:9/v1 does not answer: connection refused.")
        return await super().generate(request)


class Frail(Mortal):
    """Dies after 9."""

    ANSWERS = 9
