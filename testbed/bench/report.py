"""The report, timed: a made-up run directory of a matrix study, read and reported by a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from agents.skill import Skill
from testbed.config.reading.load import parse_study
from testbed.config.study import StudyConfig
from testbed.play.seeds import environment_seed
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.study_file import StudyRecord
from testbed.records.side_files.versions import Versions
from testbed.records.trial import Trial
from transfer.memory.pool import SkillPool

GAMES = (
    "Mastermind-v0",
    "Mastermind-v0-hard",
    "Mastermind-v0-extreme",
    "GuessTheNumber-v0",
    "GuessTheNumber-v0-hardcore",
)
STEPS = 5
ITERATIONS = 4


class Learned(NamedTuple):
    """Where a made-up pool was learned."""

    agent: str
    task: str
    learning_run: int


@dataclass(frozen=True)
class ReportWorkload:
    """The shape of a made-up matrix study. Every learning run has skills of its own, as a real learner's would be."""

    agents: int = 10
    tasks: int = 5
    learning_runs: int = 10
    episodes: int = 50
    skills: int = 8
    elsewhere: bool = False
    """Whether pools are also tried on tasks where they were not learned. Without it the run owes those episodes."""
    seed: int = 0

    @property
    def config(self) -> StudyConfig:
        """The study file of such a run."""
        content: dict[str, Any] = {
            "study": "matrix",
            "seed": self.seed,
            "learning_runs": self.learning_runs,
            "evaluation_episodes": self.episodes,
            "arms": ["none", "self", "transfer"],
            "agents": [{"name": f"a{k}", "model": "scripted:random"} for k in range(self.agents)],
            "tasks": [{"environment": name} for name in GAMES[: self.tasks]],
            "skills": {"embedder": "lexical"},
            "learning": {"iterations": ITERATIONS, "episodes": 2, "pool_size": self.skills},
        }
        return parse_study(content, "the made-up study")

    def write(self, out: Path) -> Path:
        """The run directory, as format 1 has it, under `out`."""
        config, rng = self.config, np.random.default_rng(self.seed)
        path = out / f"{config.study}-{config.digest}"
        path.mkdir(parents=True)
        versions = Versions(packages={}, models={}, prompts="made up")
        record = StudyRecord(format=1, digest=config.digest, config=config.model_dump(mode="json"), versions=versions)
        RunDirectory(path).study_file.write_text(record.model_dump_json(), encoding="utf-8")
        pools = {place: _pool(place, self.skills) for place in self._places()}
        with RunDirectory(path).events_file.open("w", encoding="utf-8") as stream:
            for place, pool in pools.items():
                stream.writelines(_events(place, pool, rng))
        with RunDirectory(path).episodes_file.open("w", encoding="utf-8") as stream:
            for place, pool in pools.items():
                stream.writelines(self._learning(place, pool, rng))
                stream.writelines(self._cell("none", place, None, None, rng))
            for source, target in product(pools, pools):
                if source.learning_run == target.learning_run and (self.elsewhere or source.task == target.task):
                    arm = "self" if source == target else "transfer"
                    stream.writelines(self._cell(arm, target, source, pools[source], rng))
        return path

    def _places(self) -> list[Learned]:
        agents, tasks = [f"a{k}" for k in range(self.agents)], GAMES[: self.tasks]
        return [Learned(*place) for place in product(agents, tasks, range(self.learning_runs))]

    def _learning(self, place: Learned, pool: SkillPool, rng: np.random.Generator) -> Iterator[str]:
        for iteration, episode in product(range(ITERATIONS), range(2)):
            keys = (place.task, place.learning_run, iteration, episode)
            trial = Trial(
                phase="learn", arm="learn", agent=place.agent, task=place.task, learning_run=place.learning_run,
                iteration=iteration, episode=episode, env_seed=environment_seed(self.seed, "learn", *keys),
                pool=pool.digest, selector="similarity",
            )  # fmt: skip
            yield _line(trial, pool, float(rng.random() < 0.3 + 0.1 * iteration), rng)

    def _cell(
        self, arm: str, target: Learned, source: Learned | None, pool: SkillPool | None, rng: np.random.Generator
    ) -> Iterator[str]:
        effect = {"none": 0.0, "self": 0.2, "transfer": 0.1}[arm] + 0.05 * rng.standard_normal()
        for episode in range(self.episodes):
            seed = environment_seed(self.seed, "evaluate", target.task, target.learning_run, episode)
            trial = Trial(
                phase="evaluate", arm=arm, agent=target.agent, task=target.task, learning_run=target.learning_run,
                episode=episode, env_seed=seed, pool=None if pool is None else pool.digest,
                selector="none" if pool is None else "similarity",
                source_agent=source and source.agent, source_task=source and source.task,
            )  # fmt: skip
            luck = (seed % 1000) / 1000
            yield _line(trial, pool, float(0.4 * luck + 0.6 * rng.random() < 0.4 + effect), rng)


def _pool(place: Learned, skills: int) -> SkillPool:
    words = [f"{place.agent} {place.task} {place.learning_run} {k}" for k in range(skills)]
    made = [Skill(name=f"skill {each}", activation="always", procedure=each, termination="never") for each in words]
    return SkillPool.of(made, capacity=skills)


def _events(place: Learned, pool: SkillPool, rng: np.random.Generator) -> Iterator[str]:
    """Per skill a verdict and an admission; two candidates a learner that failed; the commit of each iteration."""
    key = f"{place.agent}/{place.task}/{place.learning_run}"
    born = {id: k % ITERATIONS for k, id in enumerate(pool.ids)}
    for iteration in range(ITERATIONS):
        for skill in (id for id in pool.ids if born[id] == iteration):
            gain = float(rng.normal(0.1, 0.2))
            verdict = {"J": 0.2, "delta_J": gain, "noise": 0.01, "outcome": "accepted", "reason": "made up"}
            for kind, payload in (("verdict", verdict), ("admitted", {}), ("scored", {"value": gain, "n": 4})):
                event = {"kind": kind, "iteration": iteration, "skill": skill, "payload": payload, "learner": key}
                yield json.dumps(event) + "\n"
        state = {"pool": pool.model_dump(mode="json"), "iteration": iteration + 1}
        tokens = dict.fromkeys(pool.ids, 40)
        commit = {"learner": key, "committed": iteration + 1, "state": state, "tokens": tokens}
        yield json.dumps(commit) + "\n"


def _line(trial: Trial, pool: SkillPool | None, total: float, rng: np.random.Generator) -> str:
    called = None if pool is None else pool.ids[int(rng.integers(len(pool)) * rng.random())]
    step: dict[str, Any] = {
        "action": "[1 2 3 4]", "skill": called, "started": False, "units": [called] if called else [], "grammar": 0,
        "completion": "[1 2 3 4]", "prompt_digest": "0123456789abcdef", "prompt_tokens": 400, "completion_tokens": 8,
        "memory_tokens": 40 if called else 0, "reward": 0.0,
        "observation": "You said [1 2 3 4]. The game answers: two black pegs, one white peg. " * 2,
    }  # fmt: skip
    steps = [step] * (STEPS - 1) + [step | {"reward": total}]
    if called:
        steps[0] = steps[0] | {"started": True}
    seat = {
        "id": f"{trial.id}/player_0", "agent": trial.agent, "task": trial.task, "env_seed": trial.env_seed,
        "rules": "Guess it.", "steps": steps, "total": total, "solved": total > 0, "reason": "", "grammars": [None],
    }  # fmt: skip
    episode = {"trial": trial.model_dump(mode="json"), "seats": {"player_0": seat}, "focal": "player_0"}
    return json.dumps(episode) + "\n"


@dataclass(frozen=True)
class ReportFigures:
    """What one report took. Memory is that of the process and its children together, at most."""

    episodes: int
    cells: int
    bytes: int
    cpu_seconds: float
    parsing_cpu_seconds: float
    """The baseline, in the same run: a process that parses every line of the episodes, with Python's own JSON."""
    ratio: float
    """CPU seconds of the report by those of its baseline: what compares between machines, whatever their load."""
    wall_seconds: float
    load: float
    """Processes that wanted a core (mean of the last minute, this one included) per core: above 1 wall time is no
    figure of the report's."""
    peak_memory: int


_PARSE = "import json, sys; any(json.loads(line) is None for line in open(sys.argv[1], 'rb'))"


def bench_report(workload: ReportWorkload, out: Path) -> ReportFigures:
    """Write the made-up run under `out`; time `procmem report` and its baseline on it.

    Raises RuntimeError where the report fails.
    """
    run = workload.write(out)
    records = RunDirectory(run).episodes_file
    start, before = time.perf_counter(), _children_cpu()
    process = subprocess.Popen([sys.executable, "-m", "testbed", "report", str(run)], stdout=subprocess.DEVNULL)
    peak = 0
    while process.poll() is None:
        peak = max(peak, _resident(process.pid))
        time.sleep(0.05)
    seconds, load = time.perf_counter() - start, psutil.getloadavg()[0] / (psutil.cpu_count() or 1)
    if process.returncode:
        raise RuntimeError(f"`procmem report {run}` ended with exit code {process.returncode}")
    taken, before = _children_cpu() - before, _children_cpu()
    subprocess.run([sys.executable, "-c", _PARSE, str(records)], check=True)
    parsing = _children_cpu() - before
    with records.open("rb") as stream:
        episodes = sum(1 for _ in stream)
    places = workload.agents * workload.tasks
    sources = places if workload.elsewhere else workload.agents
    return ReportFigures(
        episodes=episodes,
        cells=places * (1 + sources),
        bytes=records.stat().st_size,
        cpu_seconds=taken,
        parsing_cpu_seconds=parsing,
        ratio=taken / parsing,
        wall_seconds=seconds,
        load=load,
        peak_memory=peak,
    )


def _resident(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        return sum(each.memory_info().rss for each in (process, *process.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _children_cpu() -> float:
    """CPU seconds of all children that have ended."""
    times = psutil.Process().cpu_times()
    return times.children_user + times.children_system
