"""The games: each one an `EnvSpec`, plain data under its id in `ENVIRONMENTS`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from environments.diagnostics.boxes import BOXES
from environments.diagnostics.dial import DIALS
from environments.diagnostics.doors import DOORS
from environments.diagnostics.levers import LEVERS
from environments.diagnostics.setpoint import SETPOINTS
from environments.spec import ChoiceError, EnvSpec
from environments.worlds.alfworld.specs import ALFWORLD
from environments.worlds.text_arena.specs import GAMES
from environments.worlds.text_view.babyai import BABYAI
from environments.worlds.text_view.classic import CLASSIC
from environments.worlds.text_view.control import CONTROL
from environments.worlds.text_view.toy_text import TOY_TEXT
from environments.worlds.textworld.specs import TEXTWORLD
from environments.worlds.textworld_express.specs import TEXTWORLD_EXPRESS


class Environments(Mapping[str, EnvSpec]):
    """Games by id; under `ID:key=value,…` also those that are the same game under other choices."""

    def __init__(self, *specs: EnvSpec) -> None:
        self._specs = {spec.id: spec for spec in specs}

    def __getitem__(self, id: str) -> EnvSpec:
        """Raises KeyError, and ChoiceError for a known game under choices that it does not offer."""
        if id in self._specs:
            return self._specs[id]
        name, _, choices = id.partition(":")
        spec = self._specs[name]
        try:
            if spec.choose is None:
                raise ChoiceError(f"{name} offers no choices")
            return spec.choose(choices)
        except ChoiceError as error:
            raise ChoiceError(f"{id}: {error}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)


ENVIRONMENTS = Environments(
    *GAMES,
    *DOORS,
    *BOXES,
    *DIALS,
    *LEVERS,
    *SETPOINTS,
    *CLASSIC,
    *TOY_TEXT,
    *CONTROL,
    *BABYAI,
    *TEXTWORLD,
    *TEXTWORLD_EXPRESS,
    *ALFWORLD,
)
