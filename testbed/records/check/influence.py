"""Whether what was measured of influence fits the episodes that it was measured of."""

from __future__ import annotations

from collections.abc import Iterator

from testbed.config.study import StudyConfig
from testbed.records.append_only import complete_lines, torn_from
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.influence import NAME, InfluenceLine
from testbed.records.side_files.manifest import Fault
from testbed.records.trial import Episode

AGAIN = "the same `procmem run` with influence = true measures it"
COPY = "restore it from a copy"


def influence_faults(run: RunDirectory, config: StudyConfig | None) -> Iterator[Fault]:
    """Nothing of a run of which influence was never measured, nor is to be."""
    if not run.influence_file.exists() and not (config and config.influence):
        return
    lines: dict[str, tuple[int, InfluenceLine]] = {}
    for number, _, text in complete_lines(run.influence_file):
        try:
            line = InfluenceLine.model_validate_json(text)
        except ValueError:
            yield Fault("error", NAME, f"line {number}", "not a measurement of influence", AGAIN, repairable=True)
            continue
        if line.trial in lines:
            what = f"the same episode as line {lines[line.trial][0]}, {line.trial}"
            yield Fault("error", NAME, f"line {number}", what, "", repairable=True)
        else:
            lines[line.trial] = number, line
    if torn := torn_from(run.influence_file):
        yield Fault("note", NAME, f"from byte {torn}", "the last line is not complete", AGAIN, repairable=True)
    yield from _against_episodes(run, lines)


def _against_episodes(run: RunDirectory, lines: dict[str, tuple[int, InfluenceLine]]) -> Iterator[Fault]:
    owed = 0
    for episode in _readable(run):
        number, line = lines.pop(episode.trial.id, (0, None))
        if line is not None:
            yield from (Fault("error", NAME, f"line {number}", what, COPY) for what in line.faults(episode))
        elif episode.trial.phase == "evaluate" and any(step.units for step in episode.trajectory.steps):
            owed += 1
    for number, line in lines.values():
        yield Fault("error", NAME, f"line {number}", f"there is no finished episode {line.trial}", COPY)
    if owed:
        yield Fault("note", NAME, "", f"the influence in {owed} episodes is not measured", AGAIN)


def _readable(run: RunDirectory) -> Iterator[Episode]:
    """Finished ones; of others their own file is told."""
    for _, _, text in complete_lines(run.episodes_file):
        try:
            episode = Episode.model_validate_json(text)
        except ValueError:
            continue
        if episode.error is None:
            yield episode
