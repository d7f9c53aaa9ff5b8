"""A fleet of real vLLM servers: two that take turns, on a CPU by being ended and started, on a GPU by vLLM's sleep."""

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
from testbed.serving.vllm import on_cpu, vllm_python

pytestmark = pytest.mark.vllm

MOVE = r"\[[1-6]( [1-6]){3}\]"
ASK = Request(
    (Message("user", "Four digits from 1 to 6, as [1 2 3 4]."),), Regex(MOVE), Sampling(max_tokens=16, seed=1)
)


async def _in_turn(agents: list[AgentConfig]) -> tuple[list[str], list[int], int, int]:
    """Texts, contexts, changes of turn, and how often a server was started."""
    async with fleet(agents) as running:
        texts: list[str] = []
        contexts: list[int] = []
        for each in agents:
            model = await ServedModel.connect(
                each.model, [running.url(each)], tokenizer=each.model, turn=running.turn(each)
            )
            texts.append((await model.generate(ASK)).text)
            contexts.append(model.card.context)
            await model.close()
        return texts, contexts, running.changes, sum(berth.starts for berth in running.berths.values())


def _two_lengths(model: Path, **serve: object) -> list[AgentConfig]:
    """One model under two lengths counts for two."""
    return [
        AgentConfig.model_validate({"name": name, "model": str(model), "serve": {"max_length": length, **serve}})
        for name, length in (("short", 1024), ("long", 2048))
    ]


def test_two_real_models_take_turns(smollm2: Path, monkeypatch: pytest.MonkeyPatch):
    """The memory is said to hold one."""
    if not on_cpu(vllm_python()):
        pytest.skip("on a GPU they sleep")
    monkeypatch.setattr(fleets, "available", lambda: [3.5])
    short, long = _two_lengths(smollm2)
    texts, contexts, changes, starts = anyio.run(_in_turn, [short, long, short])
    assert all(re.fullmatch(MOVE, text) for text in texts)
    assert texts[0] == texts[2]
    assert contexts == [1024, 2048, 1024]
    assert (changes, starts) == (3, 3)


@pytest.mark.parametrize("level", [1, 2])
def test_on_a_gpu_who_rests_sleeps_and_leaves_the_memory(level: int, smollm2: Path, monkeypatch: pytest.MonkeyPatch):
    """Each asks for six tenths of the GPU, so vLLM itself would not start the second beside a first that is awake."""
    if on_cpu(vllm_python()):
        pytest.skip("vLLM sleeps on GPUs alone")
    monkeypatch.setattr(fleets, "gpus", lambda: [3.5])
    short, long = _two_lengths(smollm2, gpu_memory=0.6, sleep=level)
    texts, contexts, changes, starts = anyio.run(_in_turn, [short, long, short, long])
    assert all(re.fullmatch(MOVE, text) for text in texts)
    assert texts[:2] == texts[2:]
    assert contexts == [1024, 2048, 1024, 2048]
    assert (changes, starts) == (4, 2)
