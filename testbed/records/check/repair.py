"""`procmem check run --repair`: what can be mended in a run directory without losing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from testbed.records.append_only import complete_lines, drop_torn_line, set_aside, writing
from testbed.records.check.find import partial_files, read_pools
from testbed.records.lines import Commit, parse_line
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files import episode_index
from testbed.records.side_files.influence import InfluenceLine
from testbed.records.side_files.manifest import Manifest
from testbed.records.trial import Episode
from transfer.memory.pool import SkillPool


def repair_run(path: Path) -> list[str]:
    """Mend what can be mended, each deed in a sentence. Nothing is thrown away: lines that cannot be read are moved to
    `*.damaged.jsonl` beside their file.

    Raises StoreError while another process writes the run, or where it cannot be written.
    """
    run, manifest = RunDirectory(path), Manifest(path)
    with run.locked(), writing(path):
        deeds = [
            *_repair_episodes(run, manifest),
            *_repair_events(run, manifest),
            *_repair_influence(run, manifest),
            *_repair_pools(run),
            *_remove_strays(run),
        ]
        if deeds and run.study_file.exists():
            for deed in (*manifest.resume(), *deeds):
                manifest.note(deed)
            manifest.seal()
    return deeds


def _repair_episodes(run: RunDirectory, manifest: Manifest) -> Iterator[str]:
    file = run.episodes_file
    if drop_torn_line(file):
        yield f"{file.name}: an incomplete last line was taken out"
    parts: list[tuple[int, int]] = []
    finished: set[str] = set()
    for _, place, line in complete_lines(file):
        try:
            episode = Episode.model_validate_json(line)
        except ValueError:
            parts.append((place, place + len(line)))
            continue
        if episode.trial.id in finished:
            parts.append((place, place + len(line)))
        elif episode.error is None:
            finished.add(episode.trial.id)
    if parts:
        yield _take_out(manifest, file, parts, f"{len(parts)} lines that are no episodes, or came twice, were moved")


def _repair_events(run: RunDirectory, manifest: Manifest) -> Iterator[str]:
    file = run.events_file
    if drop_torn_line(file):
        yield f"{file.name}: an incomplete last line was taken out"
    done = 0
    for number, place, line in complete_lines(file):
        try:
            event = parse_line(line)
        except ValueError:
            parts = [(done, file.stat().st_size)]
            yield _take_out(
                manifest, file, parts, f"line {number} is no event: what was learned from there on was moved"
            )
            return
        if isinstance(event, Commit):
            done = place + len(line)
    if file.exists() and file.stat().st_size > done:
        os.truncate(file, done)
        yield f"{file.name}: an iteration that was not finished was taken out"


def _repair_influence(run: RunDirectory, manifest: Manifest) -> Iterator[str]:
    file = run.influence_file
    if drop_torn_line(file):
        yield f"{file.name}: an incomplete last line was taken out"
    parts: list[tuple[int, int]] = []
    met: set[str] = set()
    for _, place, line in complete_lines(file):
        try:
            trial = InfluenceLine.model_validate_json(line).trial
        except ValueError:
            trial = ""
        if not trial or trial in met:
            parts.append((place, place + len(line)))
        met.add(trial)
    if parts:
        what = f"{len(parts)} lines that are no measurements, or came twice, were moved"
        yield _take_out(manifest, file, parts, what)


def _take_out(manifest: Manifest, file: Path, parts: list[tuple[int, int]], what: str) -> str:
    aside = set_aside(file, parts)
    manifest.cut(file.name, parts[0][0])
    (file.parent / episode_index.NAME).unlink(missing_ok=True)
    return f"{file.name}: {what} to {aside.name}"


def _repair_pools(run: RunDirectory) -> Iterator[str]:
    """Every committed pool stands in its commit, too. What was evaluated besides, the run writes itself."""
    good, broken = read_pools(run)
    missing: dict[str, SkillPool] = {}
    for _, _, line in complete_lines(run.events_file):
        event = parse_line(line)
        if isinstance(event, Commit):
            missing |= {pool.digest: pool for pool in event.pools() if pool.digest not in good}
    for digest, pool in missing.items():
        run.keep(pool)
        yield f"pools/{digest}.json: written anew from its commit"
    for fault in broken:
        path = run.path / fault.file
        if path.stem not in missing:
            path.replace(path.with_suffix(".damaged"))
            yield f"{fault.file}: moved to {path.stem}.damaged; the same `procmem run` writes it anew"


def _remove_strays(run: RunDirectory) -> Iterator[str]:
    for path in partial_files(run):
        path.unlink()
        yield f"{path.relative_to(run.path)}: removed"
