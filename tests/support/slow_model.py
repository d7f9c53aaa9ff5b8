"""A model that takes its time and keeps a list of the episodes in which it was asked, whichever process asks."""

from __future__ import annotations

import asyncio
import os

from agents.models.model import Completion, Request
from agents.models.scripted import ScriptedModel, uniform


class SlowModel(ScriptedModel):
    """Each episode is a line of the file that PROCMEM_TEST_PLAYS names."""

    def __init__(self) -> None:
        super().__init__("slow", uniform)
        self._seen: set[str] = set()

    async def generate(self, request: Request) -> Completion:
        if request.session not in self._seen:
            self._seen.add(request.session)
            with open(os.environ["PROCMEM_TEST_PLAYS"], "a", encoding="utf-8") as file:
                file.write(request.session + "\n")
        await asyncio.sleep(0.1)
        return await super().generate(request)
