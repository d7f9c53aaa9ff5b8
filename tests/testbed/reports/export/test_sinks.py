"""Numbers of a run in other people's tools. W&B and MLflow are no dependencies of ours: tested where they are there."""

from __future__ import annotations

import subprocess
import sys

import pytest

from testbed.records.run_directory import RunDirectory
from testbed.reports.export.live import Following
from testbed.reports.export.points import RunPoints
from testbed.reports.export.sink import Point
from testbed.reports.tables import load_run


class Recorder:
    def __init__(self) -> None:
        self.points: list[Point] = []
        self.closed = False

    def log(self, point: Point) -> None:
        self.points.append(point)

    def close(self) -> None:
        self.closed = True


class Broken(Recorder):
    def log(self, point: Point) -> None:
        raise ConnectionError("the network is away")


def all_points(run) -> list[Point]:
    points = RunPoints(RunDirectory.open(run.path))
    return [*points.fresh(), *points.rest()]


def test_points_are_the_runs_own_means(run, study, one_agent):
    path = run(study(**one_agent)).path
    tables = load_run(path)
    found = {(point.name, point.step): point.value for point in all_points(RunDirectory(path))}
    own = tables.episodes[tables.episodes["arm"] == "self"]
    (value,) = [value for (name, _), value in found.items() if name.startswith("evaluation/self/")]
    assert value == own["return"].mean()
    curve = tables.learning.groupby("iteration")["return"].mean()
    learned = {step: value for (name, step), value in found.items() if name.startswith("learning/")}
    assert learned == pytest.approx(dict(curve))
    assert any(name.startswith("score/") for name, _ in found)


def test_a_population_has_its_policies_in_the_names(run, study):
    done = run(study(study="population", learning_runs=1, tasks=[{"environment": "KuhnPoker-v0"}]))
    names = {point.name for point in all_points(done)}
    assert any(name.startswith("league/") for name in names)
    assert {name.split("/")[1] for name in names if name.startswith("learning/")} == {
        policy.name for policy in done.config().population.policies
    }


def test_each_memory_has_numbers_of_its_own(run, study, one_agent):
    done = run(study(**one_agent, memories=[{"name": "recent", "learner": "rag"}], arms=["self"]))
    names = {point.name for point in all_points(done)}
    assert {"learning/a/GuessTheNumber-v0/run0", "learning/recent:a/GuessTheNumber-v0/run0"} <= names
    assert any(name.startswith("evaluation/recent:self/") for name in names)


def test_on_the_way_the_same_is_told_as_in_the_end(run, study, one_agent, tmp_path, caplog):
    config, sinks = study(**one_agent), {"one": Recorder(), "broken": Broken()}
    with Following(RunDirectory.of(tmp_path / "runs", config).path, sinks) as following:
        done = run(config)
        following._look()
    assert sorted(sinks["one"].points) == sorted(all_points(done))
    assert all(sink.closed for name, sink in sinks.items() if name == "one")
    assert caplog.text.count("the sink broken takes no more numbers") == 1
    again = {"one": Recorder()}
    with Following(done.path, again):
        run(config)
    assert again["one"].points == []


def test_what_a_means_lacks_is_told_in_the_end_only(run, study, one_agent):
    done = run(study(**{**one_agent, "fail_at": 100, "tasks": [{"environment": "tests.support.third_party:fragile"}]}))
    points = RunPoints(RunDirectory.open(done.path))
    whole = {point.name for point in points.fresh()}
    rest = {point.name for point in points.rest()}
    assert rest
    assert not any(name.startswith("evaluation") for name in whole & rest)


def test_a_sink_that_is_none(sentence, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        'study = "learn"\n[[agents]]\nname = "a"\nmodel = "scripted:random"\n[[tasks]]\nenvironment = "Doors-v0"\n'
    )
    assert "--sink: unknown 'tensorbord'; did you mean 'tensorboard'" in sentence("run", file, "--sink", "tensorbord")


def test_a_run_that_tells_on_the_way_is_a_run_like_any_other(procmem, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        'study = "learn"\nlearning_runs = 1\n[[agents]]\nname = "a"\nmodel = "scripted:random"\n[[tasks]]\n'
        'environment = "Doors-v0"\n[skills]\nembedder = "lexical"\n[learning]\niterations = 1\nepisodes = 2\n'
    )
    said = procmem("run", file, "--out", tmp_path, "--sink", "tensorboard")
    assert said.code == 0, said.err
    (run,) = tmp_path.glob("learn-*")
    (events,) = run.glob("tensorboard/*/events.out.tfevents.*")
    assert b"learning/a/Doors-v0/run0" in events.read_bytes()
    assert procmem("check", "run", run).code == 0
    assert procmem("run", file, "--out", tmp_path, "--sink", "tensorboard").code == 0


def test_tensorboard_files_are_written(procmem, sentence, run, study, one_agent, tmp_path, monkeypatch):
    path = run(study(**one_agent)).path
    said = procmem("export", path, "--out", tmp_path / "board")
    assert said.code == 0, said.err
    (file,) = (tmp_path / "board" / path.name).glob("events.out.tfevents.*")
    assert b"learning/a/GuessTheNumber-v0/run0" in file.read_bytes()
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert "pip install 'procmem[tensorboard]'" in sentence("export", path, "--out", tmp_path / "other")


@pytest.mark.parametrize(("to", "module"), [("wandb", "wandb"), ("mlflow", "mlflow"), ("inspect", "inspect_ai.log")])
def test_what_is_not_installed_is_named(sentence, run, study, one_agent, tmp_path, monkeypatch, to, module):
    path = run(study(**one_agent)).path
    monkeypatch.setitem(sys.modules, module, None)
    assert f"pip install 'procmem[{to}]'" in sentence("export", path, "--to", to, "--out", tmp_path)


def test_mlflow_keeps_every_number(run, study, one_agent, tmp_path, procmem, monkeypatch):
    tracking = pytest.importorskip("mlflow.tracking")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    done = run(study(**one_agent))
    for _ in range(2):  # the same run goes on
        assert procmem("export", done.path, "--to", "mlflow", "--out", tmp_path / "flow").code == 0
    client = tracking.MlflowClient(tracking_uri=(tmp_path / "flow").as_uri())
    experiment = client.get_experiment_by_name("procmem").experiment_id
    (kept,) = client.search_runs([experiment])
    assert kept.info.run_name == done.path.name
    history = client.get_metric_history(kept.info.run_id, "learning/a/GuessTheNumber-v0/run0")
    learned = [(p.step, p.value) for p in all_points(done) if p.name == "learning/a/GuessTheNumber-v0/run0"]
    assert sorted({(each.step, each.value) for each in history}) == sorted(learned)


def test_wandb_keeps_every_number_offline(run, study, one_agent, tmp_path, environment):
    """In a process of its own: what it logs is on the disk once that has ended."""
    pytest.importorskip("wandb")
    done = run(study(**one_agent))
    command = [sys.executable, "-m", "testbed", "export", str(done.path), "--to", "wandb", "--out", str(tmp_path)]
    subprocess.run(command, env=environment | {"WANDB_MODE": "offline"}, check=True, capture_output=True)
    (file,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    content = file.read_bytes()
    for point in all_points(done):
        assert point.name.encode() in content
