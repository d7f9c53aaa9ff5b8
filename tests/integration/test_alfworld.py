"""ALFWorld in a study: many games at once, each in a process of its own, and none that stops the others."""

from __future__ import annotations

import os
import signal
import threading
import time

import anyio
import numpy as np
import pytest

from agents.agent import SkillAgent
from agents.guide import NoGuide
from agents.models.scripted import scripted
from environments.worlds.alfworld.files import KINDS, game_files
from environments.worlds.alfworld.game import PROCESSES
from testbed.config.plugins import find_environment
from testbed.play.engines.rollout import play
from testbed.records.check.find import check_run
from testbed.reports.audit import audit_run
from testbed.reports.write import write_report

LEARNED = "ALFWorld-put-v0:steps=12,told=walkthrough"
HELD_OUT = "ALFWorld-put-v0:split=valid_unseen,steps=12,told=walkthrough"


@pytest.fixture
def alfworld_study(alfworld, study):
    return lambda **changes: study(
        **{
            "learning_runs": 1,
            "agents": [{"name": "oracle", "model": "scripted:walkthrough"}],
            "tasks": [{"environment": LEARNED, "evaluation_environment": HELD_OUT}],
            "arms": ["none", "self"],
            **changes,
        }
    )


def test_the_oracle_wins_what_it_learns_on_and_what_was_held_out(alfworld_study, run):
    found = run(alfworld_study())
    episodes = list(found.episodes())
    assert all(episode.error is None and episode.trajectory.solved for episode in episodes)
    assert {episode.trajectory.total for episode in episodes} == {1.0}
    held_out = [episode.trajectory for episode in episodes if episode.trial.phase == "evaluate"]
    learned = [episode.trajectory for episode in episodes if episode.trial.phase == "learn"]
    assert {"soapbottle" in each.steps[0].observation for each in held_out} == {True}
    assert {"book" in each.steps[0].observation for each in learned} == {True}
    assert check_run(found.path) == []


def test_each_game_once_and_its_type_on_record(alfworld, study, run):
    """Every learning run is judged by every game of the split, and the report tells the types apart."""
    count = sum(map(len, game_files("valid_unseen").values()))
    game = "ALFWorld-v0:split=valid_unseen,steps=4,games=each"
    found = run(
        study(
            agents=[{"name": "a", "model": "scripted:random"}],
            tasks=[{"environment": "ALFWorld-v0:steps=4", "evaluation_environment": game}],
            arms=["none", "seed"],
            evaluation_episodes=count,
            learning={"iterations": 0},
            resamples=100,
        )
    )
    played: dict[tuple[str, int], list[str]] = {}
    for episode in found.episodes():
        infos = episode.trajectory.infos
        assert infos["task_type"] in KINDS.values()
        assert not any(infos["task_type"] in step.observation for step in episode.trajectory.steps)
        played.setdefault((episode.trial.arm, episode.trial.learning_run), []).append(infos["game"])
    assert len(played) == 4
    assert all(len(set(games)) == len(games) == count for games in played.values())
    types = write_report(found.path).types
    assert types is not None
    assert types["n"].sum() == 4 * count
    assert set(types["task_type"]) <= set(KINDS.values())
    assert set(types["task"]) == {"ALFWorld-v0:steps=4"}
    assert audit_run(found.path) == []
    assert check_run(found.path) == []


def test_a_game_that_dies_is_a_failed_episode_and_the_study_goes_on(alfworld_study, outcome, tmp_path):
    """One game process is killed while sixteen games are under way."""
    config = alfworld_study(
        agents=[{"name": "a", "model": "scripted:random"}],
        tasks=[{"environment": "ALFWorld-v0:steps=40"}],
        arms=["none"],
        evaluation_episodes=16,
        learning={"iterations": 0},
        fail_at=8,
    )
    PROCESSES.end()
    killed: list[int] = []

    def kill_one() -> None:
        while len(PROCESSES.running) < 16:
            time.sleep(0.01)
        time.sleep(1.0)
        killed.append(PROCESSES.running[3])
        os.kill(killed[0], signal.SIGKILL)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    ended = outcome(tmp_path / "runs", config)
    killer.join(timeout=1)
    assert killed
    episodes = list(ended.run.episodes())
    failed = [episode.error for episode in episodes if episode.error is not None]
    assert len(episodes) == 16
    assert len(failed) == 1
    assert failed[0].startswith("GameError: the game ")
    assert failed[0].endswith("game.tw-pddl: its process was killed by SIGKILL")
    assert killed[0] not in PROCESSES.running


def test_other_things_go_on_while_a_game_computes(alfworld):
    spec = find_environment("ALFWorld-v0:steps=5")
    ticks: list[float] = []

    async def tick() -> None:
        while True:
            ticks.append(time.monotonic())
            await anyio.sleep(0.01)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(tick)
            player = SkillAgent("player_0", scripted("random"), NoGuide(), np.random.default_rng(0))
            await play(spec, {"player_0": player}, 3, trial="t", names={"player_0": "a"})
            group.cancel_scope.cancel()

    anyio.run(main)
    assert len(ticks) > 3  # a game computed in this thread would let it tick before and after alone
