"""The `[adaptive]` table of a study file: the study looks at its data as they come, and stops where it is sure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from testbed.config.table import Table


class AdaptiveConfig(Table):
    """Learning runs are added in batches, up to the study's `learning_runs`, as long as a claim is open.

    The margin of equivalence is the study's own `margin`.
    """

    level: float = Field(default=0.95, ge=0.5, lt=1.0)
    """1 − the chance that any claim is ever falsely decided, however often the data are looked at."""
    test: Literal["symmetric", "bounded", "sign-flips"] = "symmetric"
    """"sign-flips": differences under the null are symmetric and independent, and the level is spent over the declared
    `learning_runs`, which takes fewest runs; "symmetric": an e-process, which needs no such number; "bounded": nothing
    is assumed but their bounds."""
    look: int = Field(default=1, ge=1)
    """Learning runs of a batch: after each the data are looked at."""
    tokens: int | None = Field(default=None, ge=1)
    """Tokens after which no further batch is begun; the batches then go where they decide most per token."""
    futility: float = Field(default=0.05, ge=0.0, lt=1.0)
    """A claim is given up where the predicted chance of settling it within the budget is below this."""
