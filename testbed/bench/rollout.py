"""Decision steps per second: episodes in flight together, against one at a time, a call at a time and no cache."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from transformers import AutoModelForCausalLM

from agents.agent import SkillAgent
from agents.guide import NoGuide
from agents.models.local import LocalModel
from agents.models.model import Completion, Likelihood, Message, Model, ModelCard, Request, Sampling, Utterance
from agents.models.scripted import scripted
from agents.models.tokens.template import ChatTemplate
from agents.models.weights.checkpoint import load_tokenizer
from environments.grammar import Regex
from environments.registry import ENVIRONMENTS
from testbed.bench.rollout_baseline import SerialModel
from testbed.play.engines.rollout import play

_SPEC = ENVIRONMENTS["Mastermind-v0"]
_PLAYING = Sampling(1.0)
_GREEDY = Sampling(0.0)
_HELLO = (Message("user", "Hello."),)


@dataclass(frozen=True)
class RolloutBench:
    """What `bench_rollout` found. Seconds are of the wall clock."""

    steps: int
    steps_per_second: float
    serial_steps: int
    serial_steps_per_second: float
    ratio: float
    prompt_tokens_per_step: float
    cached_share: float
    """Part of the prompts' tokens that did not have to be computed again."""
    overhead_ms_per_step: float
    """Everything but the model, by a scripted one on the same game."""
    agreement: float
    """Share of the checked prompts with the same greedy action on both paths, in the precision that was timed."""
    equal: bool
    """Whether all of these actions are the same in float32."""
    memory_mb_by_open_episodes: Mapping[int, float]
    """Keys and values held while that many conversations of the same length are open."""


def bench_rollout(
    folder: Path,
    *,
    episodes: int = 16,
    precision: str = "auto",
    serial_steps: int = 20,
    checked_steps: int = 5,
) -> RolloutBench:
    """Play `episodes` games of Mastermind at once with the weights in `folder`, at temperature 1.

    The serial loop is then given the same prompts, those of the first `serial_steps` decisions, one whole episode
    after the other (greedily, which spares it the drawing). Both paths answer `checked_steps` of them once more, in
    both precisions, to see that they agree.
    """
    return asyncio.run(_bench(folder, episodes, precision, serial_steps, checked_steps))


async def _bench(folder: Path, episodes: int, precision: str, serial_steps: int, checked_steps: int) -> RolloutBench:
    model = LocalModel.load(folder, name=folder.name, precision=precision, rows=episodes)
    await model.generate(Request(_HELLO, _SPEC.grammar, _GREEDY))  # compiles the grammar, starts the threads
    log, seconds = await _played(model, episodes)
    memory = {count: await _memory(model, log[:count]) for count in sorted({episodes // 4, episodes // 2, episodes})}
    await model.close()
    answered = [step for episode in log for step in episode]
    first = [replace(request, sampling=_GREEDY) for request, _ in answered[:serial_steps]]
    checked = slice(None, None, max(1, len(first) // checked_steps))
    serial, serial_seconds = _serial(folder, model.card.precision, first)
    same = zip(serial[checked], await _together(folder, model.card.precision, first[checked]), strict=True)
    exact, _ = _serial(folder, "float32", first[checked])
    prompt = sum(completion.prompt_tokens for _, completion in answered)
    ours, theirs = len(answered) / seconds, len(first) / serial_seconds
    return RolloutBench(
        steps=len(answered),
        steps_per_second=ours,
        serial_steps=len(first),
        serial_steps_per_second=theirs,
        ratio=ours / theirs,
        prompt_tokens_per_step=prompt / len(answered),
        cached_share=sum(completion.cached_tokens for _, completion in answered) / prompt,
        overhead_ms_per_step=await overhead(episodes),
        agreement=float(np.mean([one == other for one, other in same])),
        equal=exact == await _together(folder, "float32", first[checked]),
        memory_mb_by_open_episodes=memory,
    )


async def overhead(episodes: int = 16) -> float:
    """Milliseconds that a decision takes with a model that takes no time: environment, agent and loop."""
    await _played(scripted("scripted:random"), 1)
    log, seconds = await _played(scripted("scripted:random"), episodes)
    return 1000 * seconds / sum(map(len, log))


class Recorder(Model):
    """A model, and what it was asked and answered."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.answered: list[tuple[Request, Completion]] = []

    @property
    def card(self) -> ModelCard:
        return self._model.card

    async def generate(self, request: Request) -> Completion:
        completion = await self._model.generate(request)
        self.answered.append((request, completion))
        return completion

    async def score(self, utterances: Sequence[Utterance]) -> list[Likelihood]:
        return await self._model.score(utterances)

    def count(self, text: str) -> int:
        return self._model.count(text)

    async def close(self) -> None:
        await self._model.close()


async def _played(model: Model, episodes: int) -> tuple[list[list[tuple[Request, Completion]]], float]:
    """What the model was asked and answered in each episode, and the seconds that all of them took together."""
    recorders = [Recorder(model) for _ in range(episodes)]

    async def episode(seed: int) -> None:
        agent = SkillAgent(
            "player_0",
            recorders[seed],
            NoGuide(),
            np.random.default_rng(seed),
            sampling=_PLAYING,
            session=f"bench/{seed}",
        )
        await play(_SPEC, {"player_0": agent}, seed, trial=f"bench/{seed}", names={"player_0": "bench"})

    start = time.perf_counter()
    await asyncio.gather(*(episode(seed) for seed in range(episodes)))
    return [recorder.answered for recorder in recorders], time.perf_counter() - start


async def _memory(model: LocalModel, log: list[list[tuple[Request, Completion]]]) -> float:
    """Megabytes of keys and values after each of these episodes' third move (or last), and nothing else."""
    await model.forget()
    await asyncio.gather(*(model.generate(steps[:3][-1][0]) for steps in log))
    return model.memory / 1e6


def _serial(folder: Path, precision: str, requests: list[Request]) -> tuple[list[str], float]:
    weights = AutoModelForCausalLM.from_pretrained(
        folder, dtype=precision, trust_remote_code=False, use_safetensors=True
    )
    model = SerialModel(weights.eval(), ChatTemplate(load_tokenizer(folder)))
    assert isinstance(_SPEC.grammar, Regex)
    pattern = _SPEC.grammar.pattern
    model.write(requests[0], pattern)
    start = time.perf_counter()
    texts = [model.write(request, pattern) for request in requests]
    return texts, time.perf_counter() - start


async def _together(folder: Path, precision: str, requests: list[Request]) -> list[str]:
    model = LocalModel.load(folder, name=folder.name, precision=precision, rows=len(requests))
    completions = await asyncio.gather(*(model.generate(request) for request in requests))
    await model.close()
    return [completion.text for completion in completions]
