"""What an episode and a learner's step ask of models: from a run that is there, else from scripted games."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agents.prompts import skill_text
from testbed.config.agent import AgentConfig
from testbed.config.study import StudyConfig
from testbed.records.keys import LearnerKey
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.accounts import Accounts, read_accounts
from testbed.records.trial import Episode
from testbed.studies.cost.fleet_file import Tokens
from testbed.studies.cost.forecast import CHARACTERS_PER_TOKEN, THOUGHT
from transfer.memory.experience import Trajectory
from transfer.memory.seed_pool import seed_pool


@dataclass(frozen=True)
class Move:
    """One decision: what its calls ask of its agent's model together."""

    agent: str
    tokens: Tokens
    calls: float = 1.0


Game = tuple[Move, ...]
"""One episode, by the moves of every seat whose model takes time."""


@dataclass(frozen=True)
class Thought:
    """What one step of a learner asks of a model."""

    agent: str
    """Whose model; blank for that of the learner's own agent."""
    tokens: Tokens
    calls: float


def held(arm: str, memory: str | None) -> str:
    """What tells episodes apart that are asked for with other prompts."""
    return f"{arm} {memory}" if memory else arm


@dataclass
class Habits:
    """Games by agent, task and arm, and learners' steps by agent and memory, as they were seen somewhere."""

    games: defaultdict[tuple[str, str, str], list[Game]] = field(default_factory=lambda: defaultdict(list))
    thoughts: dict[tuple[str, str], tuple[Thought, ...]] = field(default_factory=dict)
    borrowed: Counter[str] = field(default_factory=Counter[str])
    """What was asked for and not seen, and what was taken in its place."""

    def of(self, agent: str, task: str, arm: str) -> list[Game]:
        """Those seen, or what is nearest: of another arm, then of another agent; none where the task was never seen."""
        exact = self.games.get((agent, task, arm))
        if exact:
            return exact
        near = [key for key in self.games if key[1] == task]
        near = [key for key in near if key[0] == agent] or near
        if not near:
            return []
        if agent not in {key[0] for key in near}:
            self.borrowed[f"{agent} in {task} plays as {', '.join(sorted({key[0] for key in near}))}"] += 1
        # its own place is filled, so that all further games of it are drawn from the same ones
        self.games[agent, task, arm] = [
            tuple(Move(agent, move.tokens, move.calls) if move.agent == key[0] else move for move in game)
            for key in near
            for game in self.games[key]
        ]
        return self.games[agent, task, arm]

    def thinking(self, agent: str, memory: str) -> tuple[Thought, ...]:
        """What a learner asks for in one step; of another agent's learner of that memory where its own was not seen."""
        if (agent, memory) in self.thoughts:
            return self.thoughts[agent, memory]
        near = [thoughts for (_, name), thoughts in sorted(self.thoughts.items()) if name == memory]
        if near:
            self.borrowed[f"{agent}'s learner{f' of {memory}' if memory else ''} thinks as another's"] += 1
        return near[0] if near else ()


def habits(run: Path) -> Habits:
    """What a run's episodes and accounts say. Raises StoreError where there is none, or it is damaged."""
    directory = RunDirectory.open(run)
    config, accounts = directory.config(), read_accounts(run)
    kinds = config.members
    fresh = _fresh(accounts)
    found = Habits()
    for episode in directory.episodes():
        if episode.error is None:
            trial = episode.trial
            found.games[kinds[trial.agent], trial.task, held(trial.arm, trial.memory)].append(
                _game(episode, kinds, fresh)
            )
    steps: Counter[tuple[str, str]] = Counter()
    for key, commit in {**directory.learner_states(), **directory.memory_commits()}.items():
        learner = LearnerKey.of(key)
        steps[kinds.get(learner.agent, learner.agent), learner.memory] += commit.committed
    for agent, memory in steps:
        if steps[agent, memory]:
            found.thoughts[agent, memory] = tuple(_thoughts(config, accounts, steps, agent, memory, fresh))
    return found


def _fresh(accounts: Accounts) -> dict[str, float]:
    """By agent, the share of prompt tokens that no cache held."""
    prompt: Counter[str] = Counter()
    cached: Counter[str] = Counter()
    for post, account in accounts.posts.items():
        prompt[post.agent] += account.prompt_tokens
        cached[post.agent] += account.cached_tokens
    return {agent: 1 - cached[agent] / prompt[agent] for agent in prompt if prompt[agent]}


def _game(episode: Episode, kinds: Mapping[str, str], fresh: Mapping[str, float]) -> Game:
    moves: list[tuple[int, Move]] = []
    for seat in episode.seats.values():
        agent = kinds.get(seat.agent, seat.agent)
        for turn, step in enumerate(seat.steps):
            prompt = (step.prompt_tokens + step.reading_prompt_tokens) * fresh.get(agent, 1.0)
            written = step.completion_tokens + step.reading_completion_tokens
            moves.append((turn, Move(agent, Tokens(prompt, written), step.calls)))
    return tuple(move for _, move in sorted(moves, key=lambda each: each[0]))


def _thoughts(
    config: StudyConfig,
    accounts: Accounts,
    steps: Mapping[tuple[str, str], int],
    agent: str,
    memory: str,
    fresh: Mapping[str, float],
) -> Iterator[Thought]:
    """An evolver of its own is asked by all learners alike."""
    players = {each.name for each in config.agents}
    all_steps = sum(number for (_, name), number in steps.items() if name == memory)
    for post, account in sorted(accounts.posts.items()):
        if post.use != "learn" or post.memory != memory or not (account.calls or account.scored):
            continue
        own = post.agent == agent
        evolver = config.learning.evolver if isinstance(config.learning.evolver, str) else None
        shared = post.agent not in players or post.agent == evolver
        if not (own or shared):
            continue
        number = all_steps if shared else steps[agent, memory]
        tokens = Tokens(
            account.prompt_tokens * fresh.get(post.agent, 1.0) / number,
            account.completion_tokens / number,
            account.scored_tokens / number,
        )
        yield Thought("" if own and not shared else post.agent, tokens, account.calls / number)


def scripted_games(config: StudyConfig, agent: AgentConfig, played: Sequence[Trajectory]) -> list[Game]:
    """Games of a random player, as the agent would be asked: of each prompt a cache holds all but what has come since
    the move before."""
    seeds = seed_pool(config.learning.pool_size).each()
    skill = float(np.mean([len(skill_text(each)) for each in seeds])) / CHARACTERS_PER_TOKEN
    thought = THOUGHT if agent.reasoning != "direct" else 0
    found: list[Game] = []
    for game in played:
        moves: list[Move] = []
        new = len(game.rules) / CHARACTERS_PER_TOKEN + skill
        for step in game.steps:
            written = len(step.action) / CHARACTERS_PER_TOKEN + thought
            prompt = new + len(step.observation) / CHARACTERS_PER_TOKEN
            moves.append(Move(agent.name, Tokens(prompt, written), 1.0 + bool(thought)))
            new = written
        found.append(tuple(moves))
    return found
