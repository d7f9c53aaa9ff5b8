"""A fleet of real vLLM servers on this CPU: two that take turns by being ended and started."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest

from agents.models.model import Message, Request, Sampling
from agents.models.served.model import ServedModel
from environments.grammar import Regex
from testbed.config.agent import AgentConfig
from testbed.serving import fleet as fleets
from testbed.serving.fleet import fleet

pytestmark = pytest.mark.vllm

MOVE = r"\[[1-6]( [1-6]){3}\]"
ASK = Request(
    (Message("user", "Four digits from 1 to 6, as [1 2 3 4]."),), Regex(MOVE), Sampling(max_tokens=16, seed=1)
)


def test_two_real_models_take_turns(smollm2: Path, monkeypatch: pytest.MonkeyPatch):
    """One model under two lengths counts for two; the memory is said to hold one."""
    monkeypatch.setattr(fleets, "_memory", lambda cpu: [3.5])
    short, long = (
        AgentConfig.model_validate({"name": name, "model": str(smollm2), "serve": {"max_length": length}})
        for name, length in (("short", 1024), ("long", 2048))
    )

    async def go() -> tuple[list[str], list[int], int]:
        async with fleet([short, long]) as running:
            texts: list[str] = []
            contexts: list[int] = []
            for each in (short, long, short):
                model = await ServedModel.connect(
                    each.model, [running.url(each)], tokenizer=each.model, turn=running.turn(each)
                )
                texts.append((await model.generate(ASK)).text)
                contexts.append(model.card.context)
                await model.close()
            return texts, contexts, running.changes

    texts, contexts, changes = anyio.run(go)
    assert all(re.fullmatch(MOVE, text) for text in texts)
    assert texts[0] == texts[2]
    assert contexts == [1024, 2048, 1024]
    assert changes == 3
