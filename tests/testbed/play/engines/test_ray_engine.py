"""A real Ray: the same episodes as in this process, whatever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import anyio
import psutil
import pytest

from testbed.play.engines.cluster.address import EngineError
from testbed.studies.run import run_study
from tests.integration.test_resume import content
from tests.support.studies import Watcher

ray = pytest.importorskip("ray")

MEMORIES = [{"name": "recent", "learner": "rag"}, {"name": "rules", "learner": "reflexion"}]


def test_episodes_are_the_same_by_ray(study, run_in, tmp_path):
    """On a cluster that is started for it; begun in this process, and finished there."""
    config = study(learning_runs=1, memories=MEMORIES[:1], arms=["none", "self", "random"])
    whole = run_in(tmp_path / "here", config)
    stop = Watcher()
    stop.advance = _cancelling(stop, 12)
    with pytest.raises(RuntimeError, match="enough"):
        run_in(tmp_path / "there", config, stop)
    there = run_in(tmp_path / "there", study(**_changes(config), engine={"name": "ray", "workers": 2}))
    assert content(there) == content(whole)
    assert not ray.is_initialized()


def _changes(config):
    return config.model_dump(mode="json", exclude={"engine"})


def _cancelling(watcher, after):
    def advance(episode):
        Watcher.advance(watcher, episode)
        if len(watcher.episodes) == after:
            raise RuntimeError("enough")

    return advance


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Three machines as Ray sees them: one processor each."""
    from ray.cluster_utils import Cluster

    plays = tmp_path_factory.mktemp("plays") / "plays.txt"
    plays.touch()
    os.environ["PROCMEM_TEST_PLAYS"] = str(plays)
    store = {"object_store_memory": 80 << 20, "num_cpus": 1}
    cluster = Cluster(initialize_head=True, head_node_args=store)
    cluster.others = [cluster.add_node(**store) for _ in range(2)]
    cluster.plays = plays
    yield cluster
    cluster.shutdown()
    del os.environ["PROCMEM_TEST_PLAYS"]


def by(cluster, **engine):
    return {"engine": {"name": "ray", "address": cluster.address, **engine}}


@pytest.mark.slow
def test_a_population_is_the_same_on_three_machines(study, run_in, tmp_path, cluster):
    changes = {"study": "population", "learning_runs": 1, "tasks": [{"environment": "KuhnPoker-v0"}]}
    changes |= {"memories": [], "learning": {"iterations": 2, "episodes": 4}}
    here = run_in(tmp_path / "here", study(**changes))
    there = run_in(tmp_path / "there", study(**changes, **by(cluster)))
    assert sorted(here.episodes_file.read_bytes().splitlines()) == sorted(there.episodes_file.read_bytes().splitlines())
    assert sorted(here.events_file.read_bytes().splitlines()) == sorted(there.events_file.read_bytes().splitlines())


@pytest.mark.slow
def test_every_failure_is_the_same(study, run_in, tmp_path, cluster):
    """Games that raise, and a model that refuses: lost with the same reasons."""
    changes = {
        "study": "matrix",
        "learning_runs": 1,
        "fail_at": 100,
        "agents": [{"name": "a", "model": "scripted:random"}],
        "tasks": [{"environment": "tests.support.third_party:fragile"}],
    }
    here = run_in(tmp_path / "here", study(**changes))
    there = run_in(tmp_path / "there", study(**changes, **by(cluster)))
    errors = [episode.error for episode in here.episodes() if episode.error]
    assert "RuntimeError: the coin rolled away" in errors
    assert content(there) == content(here)


@pytest.mark.slow
def test_a_machine_that_dies_costs_what_it_had_in_hand(study, run_in, tmp_path, cluster):
    changes = {
        "study": "learn",
        "learning_runs": 2,
        "concurrency": 12,
        "agents": [{"name": "a", "model": "tests.support.slow_model:SlowModel"}],
        "learning": {"iterations": 3, "episodes": 12},
    }
    here = run_in(tmp_path / "here", study(**changes))
    planned = len(list(here.episodes()))
    cluster.plays.write_text("")
    watcher = Watcher()

    def advance(episode):
        Watcher.advance(watcher, episode)
        if len(watcher.episodes) == planned // 3:
            cluster.remove_node(cluster.others.pop(), allow_graceful=False)

    watcher.advance = advance
    there = anyio.run(run_study, study(**changes, **by(cluster, workers=3)), tmp_path / "there", watcher).run
    plays = cluster.plays.read_text().split()
    assert content(there) == content(here)
    assert planned < len(plays) <= planned + 12
    assert len(set(plays)) == planned


@pytest.mark.slow
def test_what_no_machine_has_is_said_before_the_first_episode(study, run_in, tmp_path, cluster):
    """Ray would wait for a better machine for ever."""
    agent = {"name": "a", "model": str(tmp_path), "device": "cuda"}
    with pytest.raises(EngineError, match='agent a: device = "cuda", and no machine of the cluster has a GPU'):
        run_in(tmp_path / "runs", study(agents=[agent], **by(cluster)))
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_sigterm_ends_the_command_and_the_cluster_it_started(tmp_path, environment):
    file = tmp_path / "study.toml"
    file.write_text(
        'study = "learn"\nengine = { name = "ray", workers = 1 }\n[[agents]]\nname = "a"\nmodel = "scripted:random"\n'
        '[[tasks]]\nenvironment = "Mastermind-v0"\n[skills]\nembedder = "lexical"\n[learning]\nepisodes = 4000\n'
    )
    command = [sys.executable, "-m", "testbed", "run", str(file), "--out", str(tmp_path), "--json"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (written := list(tmp_path.glob("*/episodes.jsonl"))) or not written[0].stat().st_size:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    started = psutil.Process(process.pid).children(recursive=True)
    assert any("raylet" in child.name() for child in started)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (75, "")
    assert "Stopped. Finished episodes are stored; the same command resumes." in err
    assert "Traceback" not in err
    _, alive = psutil.wait_procs(started, timeout=30)
    assert alive == []


@pytest.mark.slow
def test_weights_run_in_a_process_of_their_own(study, run_in, tmp_path, smollm2, cluster):
    changes = {
        "study": "matrix",
        "learning_runs": 1,
        "evaluation_episodes": 2,
        "arms": ["none", "self"],
        "agents": [{"name": "a", "model": str(smollm2), "precision": "float32", "temperature": 0.0}],
        "tasks": [{"environment": "OneDoor-v0"}],
        "learning": {"iterations": 1, "episodes": 2},
    }
    here = run_in(tmp_path / "here", study(**changes))
    there = run_in(tmp_path / "there", study(**changes, **by(cluster, workers=1)))
    moves = [
        {e.trial.id: [step.action for step in e.trajectory.steps] for e in run.episodes()} for run in (here, there)
    ]
    assert moves[0] == moves[1]
    assert here.study().versions.models == there.study().versions.models
