"""What a population study recorded, as tables with documented columns. The cluster is the learning run."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd

from analysis.tables.run import Ranges, ordered
from analysis.tables.schema import Column, check

LIFE = ["arm", "task", "learning_run"]
"""What names one population: its policy, its task, its replicate."""

_LIFE = (
    Column("arm", "text", "name of the policy"),
    Column("task", "text", "the game"),
    Column("learning_run", "integer", "which replicate, from 0: the cluster"),
)
POLICIES = (
    Column("arm", "text", "name of the policy"),
    Column("exchange", "text", "how skills are passed on"),
    Column("admission", "text", "how they are let in"),
    Column("maintenance", "text", "what leaves a pool"),
    Column("poison", "text", "which harmful skill is planted", blank=True),
    Column("poison_round", "integer", "at the exchange of which round", blank=True),
    Column("twin", "text", "the same policy without the poison, where the study has it", blank=True),
)
MEMBERS = (
    Column("agent", "text", "name of the member"),
    Column("kind", "text", "the agent it is a copy of"),
    Column("model", "text", "its model"),
)
PLAYS = (
    *_LIFE,
    Column("round", "integer", "from 1"),
    Column("agent", "text", "who played the focal seat"),
    Column("episode", "integer", "within the round"),
    Column("return", "number", "return of the focal seat; missing when the episode failed", blank=True),
    Column("solved", "truth", "whether it solved the game", blank=True),
    Column("invalid", "integer", "illegal moves", blank=True),
    Column("steps", "integer", "decisions", blank=True),
    Column("skill_steps", "integer", "decisions under a skill", blank=True),
    Column("error", "text", "an infrastructure failure: missing data", blank=True),
)
USES = (
    *_LIFE,
    Column("round", "integer", "from 1"),
    Column("agent", "text", "who used it"),
    Column("unit", "text", "id of the skill"),
    Column("calls", "integer", "times it was selected in that round"),
)
HOLDINGS = (
    *_LIFE,
    Column("round", "integer", "from 1"),
    Column("agent", "text", "in whose pool it stands after the round"),
    Column("unit", "text", "id of the skill"),
)
DEEDS = (
    *_LIFE,
    Column("round", "integer", "from 1"),
    Column("order", "integer", "position in time"),
    Column("agent", "text", "to whom it happened (commons: to the shared pool)"),
    Column("kind", "text", "gift, verdict, admitted, pruned, planted, skipped, missing, lost or warning"),
    Column("unit", "text", "the skill", blank=True),
    Column("giver", "text", "who gave it", blank=True),
    Column("outcome", "text", "accepted, rejected or undecided", blank=True),
    Column("change", "number", "ΔJ of a verdict", blank=True),
    Column("why", "text", "the reason (untrusted)", blank=True),
)
SKILLS = (
    *_LIFE,
    Column("unit", "text", "id of the skill"),
    Column("name", "text", "its name (untrusted)"),
    Column("author", "text", "who held it first without having been given it; blank for seeds", blank=True),
    Column("parents", "text", "ids of its parents, separated by spaces", blank=True),
    Column("words", "text", "activation and procedure (untrusted)"),
    Column("poison", "text", "which poison it is", blank=True),
    Column("signs", "text", "signs of harm in its words", blank=True),
    Column("traces", "text", "signs of harm in the trajectories it came from", blank=True),
)
SEATS = (
    *_LIFE,
    Column("game", "text", "id of the episode"),
    Column("env_seed", "integer", "environment seed"),
    Column("seat", "integer", "seat"),
    Column("agent", "text", "who sat there"),
    Column("focal", "truth", "whether the episode was arranged for this seat"),
    Column("return", "number", "what it earned"),
)


@dataclass(frozen=True)
class PopulationTables:
    """All tables of a population study."""

    policies: pd.DataFrame
    members: pd.DataFrame
    plays: pd.DataFrame
    """Learning episodes, one row each."""
    uses: pd.DataFrame
    holdings: pd.DataFrame
    deeds: pd.DataFrame
    skills: pd.DataFrame
    """Every skill that was ever held, once per population."""
    seats: pd.DataFrame
    """The league's games, one row per seat; empty where games have one seat."""
    ranges: Ranges = field(default_factory=dict[str, tuple[float, float]])
    """As those of the run's `Tables`."""

    @classmethod
    def of(
        cls,
        *,
        policies: pd.DataFrame,
        members: pd.DataFrame,
        plays: pd.DataFrame,
        uses: pd.DataFrame,
        holdings: pd.DataFrame,
        deeds: pd.DataFrame,
        skills: pd.DataFrame,
        seats: pd.DataFrame,
        ranges: Ranges | None = None,
    ) -> PopulationTables:
        """Check every table, and put its rows into an order of their own: who finished first leaves no trace.

        Raises TableError with one sentence that names table, column and row.
        """
        deeds_ = ordered(check(deeds, DEEDS, "deeds"), [*LIFE, "order"])
        return cls(
            policies=check(policies, POLICIES, "policies"),
            members=check(members, MEMBERS, "members"),
            plays=ordered(check(plays, PLAYS, "plays"), [*LIFE, "round", "agent", "episode"]),
            uses=ordered(check(uses, USES, "uses"), [*LIFE, "round", "agent", "unit"]),
            holdings=ordered(check(holdings, HOLDINGS, "holdings"), [*LIFE, "round"]),
            deeds=deeds_.assign(order=range(len(deeds_))),
            skills=ordered(check(skills, SKILLS, "skills"), LIFE),
            seats=ordered(check(seats, SEATS, "seats"), [*LIFE, "game", "seat"]),
            ranges=dict(ranges or {}),
        )

    @property
    def arms(self) -> list[str]:
        """Policies in the study's order."""
        return list(self.policies["arm"])

    @property
    def rounds(self) -> int:
        """Rounds that at least one population has finished."""
        return int(self.holdings["round"].max()) if len(self.holdings) else 0
