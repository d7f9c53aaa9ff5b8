"""Numbers of a run in other people's tools."""

from __future__ import annotations

import sys

from testbed.reports.tables import load_run
from testbed.reports.tensorboard import points


def test_points_are_the_runs_own_means(run, study, one_agent):
    path = run(study(**one_agent)).path
    tables = load_run(path)
    found = {(point.name, point.step): point.value for point in points(tables)}
    own = tables.episodes[tables.episodes["arm"] == "self"]
    (value,) = [value for (name, _), value in found.items() if name.startswith("evaluation/self/")]
    assert value == own["return"].mean()
    assert {step for name, step in found if name.startswith("learning/")} == {0, 1}
    assert any(name.startswith("score/") for name, _ in found)


def test_tensorboard_files_are_written(procmem, sentence, run, study, one_agent, tmp_path, monkeypatch):
    path = run(study(**one_agent)).path
    said = procmem("export", path, "--out", tmp_path / "board")
    assert said.code == 0, said.err
    (file,) = (tmp_path / "board" / path.name).glob("events.out.tfevents.*")
    assert b"learning/a/GuessTheNumber-v0/run0" in file.read_bytes()
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert "pip install 'procmem[tensorboard]'" in sentence("export", path, "--out", tmp_path / "other")
