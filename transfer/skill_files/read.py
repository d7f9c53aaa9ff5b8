"""A folder of skills, read. Of each skill's folder SKILL.md alone is opened: scripts, references and assets are not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from transfer.memory.pool import SkillPool
from transfer.skill_files.front_matter import SkillFileError
from transfer.skill_files.skill_file import SkillFile

SKILL_MD = "SKILL.md"
LARGEST_FILE = 1 << 20
LARGEST_FOLDER = 10 << 20
"""Bytes of one SKILL.md, and of all of a folder's together."""
MOST = 1000
"""Skills in a folder."""


def is_skill_folder(path: Path) -> bool:
    """Whether it is one skill's own folder, or holds those of several."""
    return path.is_dir() and any((each / SKILL_MD).exists() for each in (path, *_folders(path)))


def read_skills(path: Path) -> tuple[SkillFile, ...]:
    """The skill in this folder, or those in the folders in it, in the order of their names.

    Hidden entries and single files beside the folders are passed over. Raises SkillFileError in one sentence for the
    first folder that is no skill, and where two of them hold the same one.
    """
    if not path.is_dir():
        raise SkillFileError(f"{path}: there is no such folder")
    places = [path] if os.path.lexists(path / SKILL_MD) else _folders(path)
    if not places:
        raise SkillFileError(f"{path} holds no skill: put a {SKILL_MD} into it, or folders that have one each")
    if len(places) > MOST:
        raise SkillFileError(f"{path} holds {len(places)} folders; at most {MOST} skills are read at once")
    files: dict[str, SkillFile] = {}
    size = 0
    for place in places:
        text = _text(place)
        size += len(text)
        if size > LARGEST_FOLDER:
            raise SkillFileError(
                f"{path}: its skills are larger than {LARGEST_FOLDER >> 20} MiB in all; split the folder"
            )
        file = SkillFile.parse(text, place.resolve().name, str(place / SKILL_MD))
        if twin := files.get(file.skill.id):
            raise SkillFileError(
                f"{path}: {twin.name!r} and {file.name!r} are the same skill; remove one of the folders"
            )
        files[file.skill.id] = file
    return tuple(files.values())


def as_pool(files: tuple[SkillFile, ...]) -> SkillPool:
    """A pool that these skills fill."""
    return SkillPool.of((file.skill for file in files), max(1, len(files)))


def left_alone(path: Path) -> int:
    """Files and folders beside the SKILL.md files: never opened, never run."""
    places = [path] if os.path.lexists(path / SKILL_MD) else _folders(path)
    return sum(entry.name != SKILL_MD for place in places for entry in os.scandir(place))


def _folders(path: Path) -> list[Path]:
    """A link to a folder is none of them: it could lead anywhere."""
    entries = sorted(os.scandir(path), key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_symlink() and entry.is_dir():
            raise SkillFileError(f"{path / entry.name} is a link to another folder; copy what it means here")
    return [path / entry.name for entry in entries if entry.is_dir() and not entry.name.startswith(".")]


def _text(folder: Path) -> str:
    """Raises SkillFileError for what is no plain file of UTF-8 text, or too large."""
    path = folder / SKILL_MD
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        within = any(os.path.lexists(each / SKILL_MD) for each in _folders(folder))
        remedy = "its folders do, so name it in place of what it lies in" if within else "add one, or take it away"
        raise SkillFileError(f"{folder} holds no {SKILL_MD}; {remedy}") from None
    except OSError as error:
        why = "it is a link" if path.is_symlink() else str(error.strerror)
        raise SkillFileError(f"{path} cannot be read: {why}; put the file itself there") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise SkillFileError(f"{path} is no plain file; put the file itself there")
    with os.fdopen(handle, "rb") as stream:
        content = stream.read(LARGEST_FILE + 1)
    if len(content) > LARGEST_FILE:
        raise SkillFileError(
            f"{path} is larger than {LARGEST_FILE >> 20} MiB; a skill of that size fits into no prompt"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SkillFileError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
