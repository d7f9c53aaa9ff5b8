"""`procmem run --engine`: what is asked for is there, or one sentence says why it is not."""

from __future__ import annotations

import socket
import sys

import pytest

STUDY = """
study = "learn"
[[agents]]
name = "a"
model = "scripted:random"
[[tasks]]
environment = "OneDoor-v0"
[skills]
embedder = "lexical"
"""


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(STUDY)
    return file


@pytest.fixture
def no_port() -> int:
    """One on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def failed(said) -> str:
    assert said.code == 1
    assert said.out == ""
    assert "Traceback" not in said.err
    assert said.err.count("Error:") == 1
    return said.err


def test_without_ray(procmem, file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    said = failed(procmem("run", file, "--engine", "ray", "--out", tmp_path))
    assert "the engine \"ray\" needs Ray: pip install 'procmem[ray]'" in said
    assert not list(tmp_path.glob("learn-*"))


def test_an_address_that_nobody_answers(procmem, file, tmp_path, no_port):
    pytest.importorskip("ray")
    said = failed(procmem("run", file, "--ray-address", f"127.0.0.1:{no_port}", "--out", tmp_path))
    assert f"nobody answers at 127.0.0.1:{no_port}" in said
    assert "ray start --head" in said


@pytest.mark.parametrize(
    ("address", "complaint"),
    [("ray://head:10001", "is an address of Ray Client"), ("head", "write host:port"), ("head:99999", "host:port")],
)
def test_what_is_no_address(procmem, file, tmp_path, address, complaint):
    pytest.importorskip("ray")
    assert complaint in failed(procmem("run", file, "--ray-address", address, "--out", tmp_path))


def test_an_engine_that_is_none(procmem, file):
    assert "engine.name: Input should be 'local' or 'ray'" in failed(procmem("run", file, "--engine", "rai"))


def test_a_table_of_the_local_engine_has_nothing_to_say(procmem, file):
    file.write_text(f"{STUDY}[engine]\nworkers = 3\n")
    assert 'workers and gpus are of Ray; write name = "ray"' in failed(procmem("run", file))


def test_gpus_are_whole_or_parts_of_one(procmem, file):
    file.write_text(f'{STUDY}[engine]\nname = "ray"\ngpus = 1.5\n')
    assert "gpus = 1.5: Ray gives whole GPUs, or a part of one" in failed(procmem("run", file))


def test_the_engine_is_no_part_of_a_study(procmem, file, study):
    plain = study()
    for engine in ("local", "ray", {"name": "ray", "address": "auto", "workers": 3, "gpus": 0.5}):
        assert study(engine=engine).digest == plain.digest
