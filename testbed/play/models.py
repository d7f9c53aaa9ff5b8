"""From a study's names to the objects they mean."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from agents import prompts
from agents.embedding import Embedder, LexicalEmbedder, SentenceEmbedder
from agents.models.adapters.cached import Cached
from agents.models.adapters.call_cache import CallCache
from agents.models.model import Model, ModelMisconfigured
from agents.models.scripted import scripted
from agents.models.served.model import ServedModel
from agents.models.served.probe import ServerProbe, probe
from agents.models.weights.folders import path as weights_path
from agents.models.weights.folders import weights_digest
from agents.options import TERMINATIONS
from agents.selection import SELECTORS
from environments.spec import EnvSpec
from testbed.config.agent import AgentConfig
from testbed.config.plugins import call, find_environment, resolve
from testbed.config.study import ConfigError, StudyConfig, TaskConfig
from testbed.config.table import digested
from testbed.play.learners import admission_rule, memory_kind, policy_parts
from testbed.play.players import AgentModel, Players
from testbed.records.side_files.versions import Versions
from testbed.records.trial import one_line
from testbed.serving.fleet import NO_FLEET, Served
from transfer.nppo import evolver as wording
from transfer.nppo.config import make_config
from transfer.registry import LEARNERS, check_parts

_WEIGHTS = {"model", "precision", "device", "context", "chat_template_kwargs"}
_SERVICE = {
    *("model", "base_url", "context", "tokenizer", "chat_template_kwargs", "reasoning_budget"),
    *("timeout", "patience", "api_key_env", "serve"),
}
"""Keys of an agent that say which model it has, in process or served; the others say how it plays."""
_ANSWERING = {"context", "tokenizer", "chat_template_kwargs", "reasoning_budget", "serve"}

RECORDED = ("torch", "transformers", "xgrammar", "textarena", "pettingzoo", "autogen-agentchat", "numpy", "scipy")
"""Packages whose versions can change a result."""
ROOMS = ("environments", "agents", "transfer", "analysis", "testbed")
ROOT = Path(__file__).parent.parent.parent


LoadModel = Callable[[AgentConfig], Awaitable[Model]]


async def build_players(
    config: StudyConfig,
    today: date | None = None,
    load: LoadModel | None = None,
    fleet: Served = NO_FLEET,
    cache: CallCache | None = None,
) -> Players:
    """Load every model and embedder that the study names; equal ones once.

    `today` is what dated chat templates print: the day on which the run was begun. Models come from `load`, or else
    into this process; from the `fleet` where an agent says `serve`. What stands in the `cache` they are not asked.
    Raises ModelError or ConfigError in one sentence.
    """
    load = load or partial(build_model, concurrency=config.concurrency, today=today, fleet=fleet)
    tasks = build_tasks(config)  # before any model: weights take a while, and a mistyped name does not
    evaluations = build_evaluations(config, tasks)
    loaded: dict[str, Model] = {}

    async def part(name: str, agent: AgentConfig) -> AgentModel:
        model = identity(agent)
        if model not in loaded:
            loaded[model] = await load(agent) if cache is None else Cached(await load(agent), cache, _manner(agent))
        return AgentModel.of(name, agent, loaded[model])

    agents = {agent.name: await part(agent.name, agent) for agent in who_acts(config)}
    opponents: dict[str, AgentModel] = {}
    for id, task in zip(tasks, config.tasks, strict=True):
        opponents[id] = await part(f"opponent:{task.opponent}", opponent(config, task))
    queues = {agent.name: fleet.queue(agent) for agent in who_acts(config)}
    return Players(config, tasks, agents, opponents, build_embedder(config.skills.embedder), evaluations, queues)


def identity(agent: AgentConfig) -> str:
    """Agents that differ only in name and manner share a model: what tells models apart."""
    return json.dumps(agent.model_dump(mode="json", include=_SERVICE if agent.base_url or agent.serve else _WEIGHTS))


def _manner(agent: AgentConfig) -> str:
    """What makes a model's answers what they are and stands on no card: how its server is told to answer."""
    content = digested(agent)
    return json.dumps({key: content[key] for key in sorted(_ANSWERING & content.keys())}, sort_keys=True)


def who_acts(config: StudyConfig) -> tuple[AgentConfig, ...]:
    """The study's agents, and an evolver that does not play among them."""
    evolver = config.learning.evolver
    return (*config.agents, evolver) if isinstance(evolver, AgentConfig) else config.agents


def opponent(config: StudyConfig, task: TaskConfig) -> AgentConfig:
    """One of the study's agents by name, or a model with the default manner: it plays alike whoever sits opposite."""
    named = {agent.name: agent for agent in config.agents}
    return named.get(task.opponent) or AgentConfig(name="opponent", model=task.opponent)


def in_process(agent: AgentConfig) -> bool:
    """Whether the agent's model is weights that this program runs itself."""
    return not (agent.base_url or agent.serve or agent.model.startswith("scripted:") or ":" in agent.model)


def build_tasks(config: StudyConfig) -> dict[str, EnvSpec]:
    """The study's games by id, in its order. All other names but those of models and embedders are tried, too.

    Raises ConfigError or ChoiceError.
    """
    resolve(LEARNERS, config.learning.learner, group="learning.learner")
    check_parts(make_config(config.learning.preset, config.learning.choices), resolve)
    resolve(SELECTORS, config.skills.selector, group="skills.selector")
    resolve(TERMINATIONS, config.skills.termination, group="skills.termination")
    for memory in config.memories:
        memory_kind(memory)
    for pool in config.pools:
        admission_rule(pool)
    for policy in config.population.policies if config.study == "population" else ():
        policy_parts(policy)
        resolve(
            LEARNERS,
            policy.learner or config.learning.learner,
            group="learning.learner",
            place=f"policy {policy.name}: learner",
        )
    tasks: dict[str, EnvSpec] = {}
    for index, task in enumerate(config.tasks):
        spec = find_environment(task.environment, f"tasks.{index}.environment")
        if spec.id in tasks:
            raise ConfigError(f"tasks.{index}: {task.environment!r} is the game {spec.id!r}, which stands there twice")
        _try_out(spec, f"tasks.{index}")
        tasks[spec.id] = spec
    return tasks


def build_evaluations(config: StudyConfig, tasks: Mapping[str, EnvSpec]) -> dict[str, EnvSpec]:
    """By task, the game that it is evaluated on where that is another; records call it by the task's id.

    Raises ConfigError, also where returns in the two could not be compared.
    """
    games: dict[str, EnvSpec] = {}
    for index, (task, learned) in enumerate(zip(config.tasks, tasks.values(), strict=True)):
        if task.evaluation_environment is None:
            continue
        place = f"tasks.{index}.evaluation_environment"
        game = find_environment(task.evaluation_environment, place)
        _try_out(game, place)
        if (game.seats, game.reward_range) != (learned.seats, learned.reward_range):
            raise ConfigError(f"{place}: {game.id} has other seats or pays in another range than {learned.id}")
        games[learned.id] = replace(game, id=learned.id)
    return games


def _try_out(spec: EnvSpec, place: str) -> None:
    """Whether the game can be set up at all. Raises ConfigError."""
    try:
        env = spec.make()
        seats = list(env.possible_agents)
        env.close()
    except Exception as error:
        raise ConfigError(f"{place}: {spec.id} cannot be set up: {one_line(error)}") from error
    if seats != [f"player_{index}" for index in range(spec.seats)]:
        raise ConfigError(f"{place}: {spec.id} must call its {spec.seats} seats player_0, player_1, …, not {seats}")


async def build_model(
    agent: AgentConfig, concurrency: int, today: date | None = None, fleet: Served = NO_FLEET
) -> Model:
    """The model behind one agent: scripted, served, anybody's ("package.module:factory"), or in process."""
    if agent.model.startswith("scripted:"):
        return scripted(agent.model)
    if agent.base_url or agent.serve:
        return await ServedModel.connect(
            agent.model,
            agent.base_url or [fleet.url(agent)],
            tokenizer=agent.tokenizer,
            context=agent.context,
            timeout=agent.timeout,
            patience=agent.patience,
            api_key_env=agent.api_key_env,
            reasoning_budget=agent.reasoning_budget or 0,
            today=today,
            chat_template_kwargs=agent.chat_template_kwargs,
            turn=fleet.turn(agent),
        )
    if ":" in agent.model:
        return _plugged(agent.model)
    folder = weights_path(agent.model)
    from agents.models.local import LocalModel

    return LocalModel.load(
        folder,
        name=agent.model,
        precision=agent.precision,
        device=agent.device,
        rows=concurrency,
        context=agent.context,
        today=today,
        chat_template_kwargs=agent.chat_template_kwargs,
    )


def _plugged(name: str) -> Model:
    found = resolve(dict[str, Any](), name, group="agents.model")
    model = call(found, name, "agents.model") if callable(found) else found
    if not isinstance(model, Model):
        raise ConfigError(f"agents.model: {name!r} gives a {type(model).__name__}, not a Model")
    return model


def build_embedder(name: str) -> Embedder:
    """The embedder of that name: "lexical", or a sentence embedder from the catalog or a folder."""
    return LexicalEmbedder() if name == "lexical" else SentenceEmbedder.load(weights_path(name))


async def probe_servers(config: StudyConfig, players: Players) -> dict[str, ServerProbe]:
    """What the server of each served agent can and cannot do, by the agent's name.

    Raises ModelMisconfigured where moves could not be played there.
    """
    probes: dict[Model, ServerProbe] = {}
    for agent in who_acts(config):
        model = players.models[agent.name]
        server = model.model if isinstance(model, Cached) else model
        if isinstance(server, ServedModel) and model not in probes:
            probes[model] = found = await probe(server, agent.max_tokens)
            if found.advice:
                raise ModelMisconfigured(f"agent {agent.name}: {found.advice}")
    return {name: probes[model] for name, model in players.models.items() if model in probes}


def versions(players: Players, probes: Mapping[str, ServerProbe] = {}) -> Versions:
    """What `study.json` keeps so that a run can be told from another."""
    name = players.config.skills.embedder
    embedder = {} if name == "lexical" else {"weights": weights_digest(weights_path(name))}
    used = sorted({*RECORDED, *(spec.package for spec in players.tasks.values() if spec.package)})
    return Versions(
        packages={name: importlib.metadata.version(name) for name in used} | {"procmem": program()},
        models={name: asdict(card) for name, card in players.cards().items()},
        prompts=prompts.digest(),
        servers={name: found.record() for name, found in probes.items()},
        games=players.game_cards(),
        opponents={task: asdict(card) for task, card in players.opponent_cards().items()},
        embedder={"name": name, **embedder},
        evolver_prompts=wording.digest(),
    )


@lru_cache
def program() -> str:
    """The version of this program, with a digest (12 digits of SHA-256) of its source: also between two releases."""
    digest = hashlib.sha256()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            digest.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return f"{importlib.metadata.version('procmem')}+{digest.hexdigest()[:12]}"
