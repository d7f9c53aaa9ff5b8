"""What a study's games and models were made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from environments.registry import ENVIRONMENTS
from environments.spec import EnvSpec
from testbed.config.study import StudyConfig
from testbed.records.side_files.study_file import StudyRecord


def study_games(config: StudyConfig, played: Iterable[str]) -> dict[str, EnvSpec | None]:
    """The study's games by id. Of another package's game nothing is known here but the id under which it was played."""
    named = {task.environment: ENVIRONMENTS.get(task.environment) for task in config.tasks}
    foreign = sorted(set(played) - set(named))
    return {name: game for name, game in named.items() if game is not None} | dict.fromkeys(foreign)


def game_cards(
    study: StudyRecord, config: StudyConfig, specs: Mapping[str, EnvSpec | None]
) -> dict[str, dict[str, str]]:
    """What each task's game was made of: what the study says of it, step limit, packages and who sits opposite."""
    made: dict[str, dict[str, str]] = {}
    ids = list(study.versions.games) or [task.environment for task in config.tasks]
    for id, task in zip(ids, config.tasks, strict=False):
        spec = specs.get(id)
        alone = spec is not None and spec.seats == 1
        settings = task.model_dump(mode="json", exclude={"environment", *(["opponent"] if alone else [])})
        game = {name: str(value) for name, value in settings.items()}
        if spec is not None:
            game |= {name: version for name, version in study.versions.packages.items() if name == spec.package}
        game |= {name: str(value) for name, value in study.versions.games.get(id, {}).items()}
        card = {} if alone else study.versions.opponents.get(id, {})
        made[id] = game | ({"opponent's weights": str(card["weights"])[:12]} if "weights" in card else {})
    return made


def recorded_versions(study: StudyRecord) -> dict[str, str]:
    models = {
        f"model {name}": ", ".join(f"{key} {value}" for key, value in card.items())
        for name, card in study.versions.models.items()
    }
    return {
        "study digest": study.digest,
        "prompts": study.versions.prompts,
        **study.versions.packages,
        **models,
        **_others(study),
    }


def _others(study: StudyRecord) -> dict[str, str]:
    """What runs of before did not record."""
    versions = study.versions
    cards = {"embedder": versions.embedder} | {f"opponent in {task}": card for task, card in versions.opponents.items()}
    texts = {name: ", ".join(f"{key} {value}" for key, value in card.items()) for name, card in cards.items() if card}
    texts |= {"evolver's prompts": versions.evolver_prompts, "date": study.date}
    return {name: text for name, text in texts.items() if text}
