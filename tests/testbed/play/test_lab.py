"""The lab: each trial once, failures are data, and a model that is gone stops the study."""

from __future__ import annotations

import json

import anyio
import pytest

from testbed.play.course.failures import PATIENCE, StudyStopped
from testbed.play.engines.local import LocalEngine
from testbed.play.lab import Lab
from testbed.play.models import build_players, versions
from testbed.play.players import HeldMemory
from testbed.records.keys import LearnerKey
from testbed.records.run_directory import RunDirectory
from testbed.studies.schedule import learning_trials
from transfer.memory.seed_pool import seed_pool


@pytest.fixture
def open_lab(study, one_agent, tmp_path, watcher):
    """Runs `use(lab, trials, pool)` in a lab of the small study, changed; the run directory."""

    def open_lab_(use, **changes) -> RunDirectory:
        config = study(**{**one_agent, "learning": {"iterations": 1, "episodes": 6}, **changes})

        async def main() -> RunDirectory:
            players = await build_players(config)
            pool = seed_pool(config.learning.pool_size)
            with RunDirectory.create(tmp_path, config, versions(players)) as run:
                lab = Lab(run, LocalEngine(players), watcher)
                source = LearnerKey("a", next(iter(players.tasks)), 0)
                await use(lab, learning_trials(lab.players, source, 0, pool), pool)
            return run

        return anyio.run(main)

    return open_lab_


def test_trials_in_episodes_out(open_lab, watcher):
    played = []

    async def use(lab, trials, pool):
        played.extend(await lab.play(trials, HeldMemory(pool)))
        assert [episode.trial for episode in played] == trials
        assert await lab.play(trials, HeldMemory(pool)) == played
        assert lab.recall(played[2].trajectory.id) == played[2].trajectory
        with pytest.raises(KeyError):
            lab.recall("nobody/player_0")

    run = open_lab(use)
    assert len(watcher.episodes) == 6
    assert sorted(run.episodes(), key=str) == sorted(played, key=str)


def test_what_is_stored_is_not_played_again_and_counts_at_once(open_lab, watcher):
    async def use(lab, trials, pool):
        await lab.play(trials[:4], HeldMemory(pool))

    async def again(lab, trials, pool):
        assert len(watcher.episodes) == 8
        await lab.play(trials, HeldMemory(pool))

    size = open_lab(use).episodes_file.stat().st_size
    run = open_lab(again)
    assert len(watcher.episodes) == 10
    assert len(list(run.stored())) == 6
    assert run.episodes_file.stat().st_size > size


def test_a_game_that_raises_is_one_failed_episode(open_lab):
    async def use(lab, trials, pool):
        episodes = await lab.play(trials, HeldMemory(pool))
        failed = [episode for episode in episodes if episode.error is not None]
        assert 0 < len(failed) < len(episodes)
        assert all(not episode.seats for episode in failed)
        assert {episode.error for episode in failed} == {
            "GameError: Fragile-v0 crashed: RuntimeError('the coin rolled away')"
        } or {episode.error for episode in failed} == {"RuntimeError: the coin rolled away"}

    open_lab(
        use, tasks=[{"environment": "tests.support.third_party:fragile"}], learning={"iterations": 1, "episodes": 12}
    )


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ("third_party:priceless", "no finite number"),
        ("third_party:generous", "in all, outside the range it declares, 0 to 1"),
        ("third_party:endless", "at its horizon"),
        ("third_party:surrogates", "surrogates not allowed"),
        ("third_party:deserting", "let player_0 go without saying that its game was over"),
        ("third_party:stuck", "did not answer within 0.3 s"),
        ("arrays:unmovable", "Countdown-v0 leaves ann no action: its action mask is empty"),
    ],
)
def test_a_game_that_breaks_its_contract_fails_and_the_record_stays_readable(open_lab, environment, said):
    async def use(lab, trials, pool):
        for episode in await lab.play(trials, HeldMemory(pool)):
            assert said in episode.error
            assert "\n" not in episode.error

    run = open_lab(use, tasks=[{"environment": f"tests.support.{environment}"}])
    assert len(list(run.episodes())) == 6


@pytest.mark.parametrize("model", ["Silent", "Garbage"])
@pytest.mark.parametrize(
    "environment", ["GuessTheNumber-v0", "Mastermind-v0", "KuhnPoker-v0", "tests.support.third_party:COIN"]
)
def test_whatever_a_model_answers_is_an_episode(open_lab, model, environment):
    async def use(lab, trials, pool):
        for episode in await lab.play(trials, HeldMemory(pool)):
            assert episode.error is None
            assert episode.trajectory.invalid > 0 or environment == "tests.support.third_party:COIN"

    run = open_lab(
        use,
        agents=[{"name": "a", "model": f"tests.support.third_party:{model}"}],
        tasks=[{"environment": environment}],
        skills={"embedder": "lexical", "selector": "model"},
    )
    assert all(json.loads(line) for line in run.episodes_file.read_bytes().splitlines())


def test_a_bug_of_a_model_is_a_failed_episode(open_lab):
    async def use(lab, trials, pool):
        assert {episode.error for episode in await lab.play(trials, HeldMemory(pool))} == {
            "ZeroDivisionError: a bug of the model"
        }

    open_lab(use, agents=[{"name": "a", "model": "tests.support.third_party:Broken"}])


def test_a_model_that_is_gone_stops_the_study_and_the_next_run_makes_it_good(open_lab, monkeypatch, tmp_path):
    switch = tmp_path / "gone"
    switch.touch()
    monkeypatch.setenv("FAKE_GONE", str(switch))
    changes = {
        "agents": [{"name": "a", "model": "tests.support.third_party:Gone"}],
        "learning": {"iterations": 1, "episodes": PATIENCE + 12},
        "concurrency": 2,
    }

    async def use(lab, trials, pool):
        with pytest.raises(StudyStopped) as caught:
            await lab.play(trials, HeldMemory(pool))
        assert str(caught.value) == (
            "agent a: fake at http://127.0.0.1:9/v1 does not answer: connection refused. "
            "Finished episodes are stored; the same command resumes."
        )

    run = open_lab(use, **changes)
    stored = list(run.episodes())
    failed = [episode for episode in stored if episode.error is not None]
    assert len(failed) >= PATIENCE
    assert len(stored) > len(failed)
    assert {episode.error for episode in failed} == {
        "ModelUnavailable: fake at http://127.0.0.1:9/v1 does not answer: connection refused."
    }

    async def again(lab, trials, pool):
        assert all(episode.error is None for episode in await lab.play(trials, HeldMemory(pool)))

    switch.unlink()
    run = open_lab(again, **changes)
    assert all(episode.error is None for episode in run.episodes())
    assert len(list(run.stored())) == len(list(run.episodes())) + len(failed)


def test_an_opponent_plays_alike_whoever_sits_opposite(study):
    """Its temperature is its own: a greedy agent does not meet a greedy random player."""
    greedy, warm = (
        {"name": name, "model": "scripted:random", "temperature": t} for name, t in (("a", 0.0), ("b", 1.0))
    )
    config = study(agents=[greedy, warm], tasks=[{"environment": "KuhnPoker-v0"}])

    async def main():
        players = await build_players(config)
        sampling = []
        for name in ("a", "b"):
            trial = next(
                trial
                for trial in learning_trials(players, LearnerKey(name, "KuhnPoker-v0", 0), 0, seed_pool(8))
                if trial.seat == 0
            )
            seated, names = players.players(trial, HeldMemory()), players.names(trial)
            assert names == {"player_0": name, "player_1": "opponent:scripted:random"}
            sampling.append((seated["player_0"]._sampling, seated["player_1"]._sampling))
        return sampling

    (own_a, against_a), (own_b, against_b) = anyio.run(main)
    assert own_a != own_b
    assert against_a == against_b


def test_equal_models_are_loaded_once(study):
    agents = [
        {"name": name, "model": "tests.support.third_party:Silent", "temperature": t}
        for name, t in (("a", 0.0), ("b", 1.0))
    ]
    tasks = [
        {"environment": "KuhnPoker-v0", "opponent": "a"},
        {"environment": "TicTacToe-v0", "opponent": "tests.support.third_party:Silent"},
    ]

    async def main():
        return await build_players(study(agents=agents, tasks=tasks))

    players = anyio.run(main)
    assert players.models["a"] is players.models["b"]
    assert {id(part.model) for part in players._opponents.values()} == {id(players.models["a"])}
