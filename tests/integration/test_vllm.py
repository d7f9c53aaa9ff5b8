"""A real vLLM server with real weights: constrained moves, whole episodes, likelihoods, and its sudden death.

Likelihoods are compared in bfloat16, the precision that vLLM serves in by default. Two engines that both compute in
bfloat16 differ from each other, and from float32, by rounding: TOLERANCE says by how much per token.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from agents.agent import REASONING, SkillAgent
from agents.guide import NoGuide
from agents.models.model import Message, ModelUnavailable, Request, Sampling, Utterance
from agents.models.scoring.scorer import PrefixTreeScorer
from agents.models.served.model import ServedModel
from agents.models.tokens.template import ChatTemplate
from agents.prompts import conversation
from environments import grammar as grammars
from environments.grammar import Choices, Grammar, JsonSchema, Regex
from environments.registry import ENVIRONMENTS
from testbed.play.engines.rollout import play
from testbed.serving.vllm import VllmServer, serving
from transfer.memory.experience import Trajectory

pytestmark = pytest.mark.vllm

T = TypeVar("T")

MOVE = Regex(r"\[[1-6]( [1-6]){3}\]")
ASK = (
    Message("system", "You play Mastermind: find a code of four digits from 1 to 6."),
    Message("user", "Make your first guess in the form [1 2 3 4]."),
)
VERDICT = JsonSchema.of(
    {
        "type": "object",
        "properties": {
            "diagnosis": {"type": "string", "maxLength": 60},
            "related": {"type": "boolean"},
        },
        "required": ["diagnosis", "related"],
        "additionalProperties": False,
    }
)
TOLERANCE = 0.75
"""Nats by which one token's log-probability may differ between two engines in bfloat16."""


@pytest.fixture(scope="module")
def server(smollm2: Path) -> Iterator[VllmServer]:
    with serving([str(smollm2)], max_model_len=2048) as [server]:
        yield server


def using(server: VllmServer, work: Callable[[ServedModel], Coroutine[Any, Any, T]], **options: Any) -> T:
    async def go() -> T:
        model = await ServedModel.connect(server.name, [server.url], **options)
        try:
            return await work(model)
        finally:
            await model.close()

    return asyncio.run(go())


@pytest.mark.parametrize("grammar", [MOVE, Choices(("go left", "go right", "wait")), VERDICT])
def test_completions_keep_to_the_grammar(server: VllmServer, grammar: Grammar):
    async def work(model: ServedModel) -> Any:
        requests = (Request(ASK, grammar, Sampling(1.0, max_tokens=96, seed=seed)) for seed in range(4))
        return await asyncio.gather(*(model.generate(request) for request in requests))

    for completion in using(server, work):
        assert grammar.accepts(completion.text)
        assert completion.finish == "stop"
        assert completion.prompt_tokens > 30
        assert completion.policy_logprob is not None
        assert completion.policy_logprob <= 0


def test_free_text_says_how_likely_it_was(server: VllmServer):
    long = (
        Message("system", "The code has four digits from 1 to 6. " * 20),
        ASK[1],
    )  # vLLM caches blocks of 128 tokens

    async def work(model: ServedModel) -> None:
        request = Request(long, sampling=Sampling(1.0, max_tokens=16, seed=1))
        completion = await model.generate(request)
        [likelihood] = await model.score([Utterance(long, completion.text)])
        assert completion.logprob == completion.policy_logprob
        assert completion.logprob == pytest.approx(likelihood.total, abs=2.0)
        again = await model.generate(request)
        assert again.cached_tokens >= 128
        assert again.text.split()[0] == completion.text.split()[0]

    using(server, work)


def test_a_conversation_too_long_loses_its_oldest_turns(server: VllmServer):
    async def work(model: ServedModel) -> None:
        turns = [Message("user", "What now?"), Message("assistant", "[1 2 3 4]")] * 150
        completion = await model.generate(Request((*ASK, Message("assistant", "[1 1 1 1]"), *turns, ASK[1]), MOVE))
        assert completion.dropped_turns > 0
        assert completion.prompt_tokens <= 2048 - 64

    using(server, work)


@pytest.fixture(scope="module")
def played(server: VllmServer) -> list[Trajectory]:
    """Four real episodes of two games, all at the same time."""

    async def episode(model: ServedModel, task: str, seed: int) -> Trajectory:
        spec = ENVIRONMENTS[task]
        agent = SkillAgent(
            "player_0",
            model,
            NoGuide(),
            np.random.default_rng(seed),
            reasoning=REASONING["direct"],
            sampling=Sampling(temperature=0.6, max_tokens=32),
            session=f"{task}/{seed}",
        )
        seats = await play(spec, {"player_0": agent}, seed, trial=f"{task}/{seed}", names={"player_0": "smollm2"})
        return seats["player_0"]

    async def work(model: ServedModel) -> list[Trajectory]:
        tasks = [("Mastermind-v0", 1), ("Mastermind-v0", 2), ("GuessTheNumber-v0", 3), ("GuessTheNumber-v0", 4)]
        return await asyncio.gather(*(episode(model, task, seed) for task, seed in tasks))

    return using(server, work)


def test_episodes_are_played_with_well_formed_moves(played: list[Trajectory]):
    for trajectory in played:
        spec = ENVIRONMENTS[trajectory.task]
        assert trajectory.steps
        assert all(spec.grammar.accepts(step.action) for step in trajectory.steps)
        assert spec.reward_range[0] <= trajectory.total <= spec.reward_range[1]
    assert sum(step.prompt_tokens for trajectory in played for step in trajectory.steps) > 0


@pytest.mark.parametrize("policy", [False, True], ids=["raw model", "acting policy"])
def test_likelihoods_agree_with_those_in_process(
    server: VllmServer, smollm2: Path, played: list[Trajectory], policy: bool
):
    utterances = said(played, policy)
    served = using(server, lambda model: model.score(utterances))
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    for precision in (torch.float32, torch.bfloat16):
        model = AutoModelForCausalLM.from_pretrained(smollm2, dtype=precision).eval()
        ours = PrefixTreeScorer(model, ChatTemplate(tokenizer)).score(utterances)
        tokens = np.concatenate(
            [np.abs(np.subtract(a.logprobs, b.logprobs)) for a, b in zip(served, ours, strict=True)]
        )
        moves = [abs(a.total - b.total) for a, b in zip(served, ours, strict=True)]
        print(
            f"\nvLLM bfloat16, ours {precision}, {policy=}, {len(utterances)} moves: "
            f"token mean {tokens.mean():.4f} max {tokens.max():.4f}; move {np.mean(moves):.2f} max {max(moves):.2f}"
        )
        assert tokens.max() < TOLERANCE
        assert tokens.mean() < TOLERANCE / 10


def test_likelihoods_do_not_depend_on_order_cache_or_company(server: VllmServer, played: list[Trajectory]):
    """vllm issue 42019: values must not be those of whoever was scored before."""
    utterances = [*said(played, policy=False)[:4], *said(played, policy=True)[:4]]

    async def alone(model: ServedModel) -> list[float]:
        return [(await model.score([utterance]))[0].total for utterance in utterances]

    async def in_company(model: ServedModel) -> list[float]:
        noise = [model.generate(Request(ASK, MOVE, Sampling(1.0, seed=seed))) for seed in range(8)]
        scored = [model.score([utterance]) for utterance in reversed(utterances)]
        answers: list[Any] = await asyncio.gather(*noise, *scored)
        return [likelihood.total for [likelihood] in reversed(answers[len(noise) :])]

    first, second, third = using(server, alone), using(server, in_company), using(server, alone)
    spread = np.ptp([first, second, third], axis=0)
    print(f"\nspread of a move's log-likelihood over order, cache and company: max {spread.max():.5f} nats")
    assert spread.max() < TOLERANCE


def test_a_server_that_dies_in_the_middle_is_one_sentence(server: VllmServer):
    """The last test: it kills the server."""

    async def work(model: ServedModel) -> None:
        long = Request(ASK, sampling=Sampling(1.0, max_tokens=1500))
        writing = [asyncio.ensure_future(model.generate(long)) for _ in range(2)]
        await asyncio.sleep(1.0)
        assert not any(task.done() for task in writing)
        kill(server)
        for outcome in await asyncio.gather(*writing, return_exceptions=True):
            assert isinstance(outcome, ModelUnavailable)
            assert server.url in str(outcome)
            assert "procmem serve" in str(outcome)

    using(server, work, patience=1.0)


def said(played: list[Trajectory], policy: bool) -> list[Utterance]:
    """The moves of the episodes after what their players had been told: by the bare model, or as they were drawn."""
    utterances: list[Utterance] = []
    for trajectory in played:
        turns: list[tuple[str, str]] = []
        for step in trajectory.steps:
            prompt = conversation(trajectory.rules, "", turns, step.observation)
            how = (grammars.load(step.grammar), 0.6) if policy and step.grammar is not None else ()
            utterances.append(Utterance(prompt, step.action, *how))
            turns.append((step.observation, step.action))
    return utterances


def kill(server: VllmServer) -> None:
    """kill -9 vLLM and all its children, which are a process group of their own below the guard."""
    guard = server.pid
    [child] = Path(f"/proc/{guard}/task/{guard}/children").read_text().split()
    os.killpg(int(child), signal.SIGKILL)
