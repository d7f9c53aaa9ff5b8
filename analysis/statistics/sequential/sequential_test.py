"""What every test that may be looked at after each datum can be asked."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from analysis.statistics.bootstrap import Array


class SequentialTest(Protocol):
    """A family of tests, one for every value that the centre of the data may have.

    Evidence is −log of a p value that holds at every look: of an e-process the logarithm of its wealth, of which the
    largest so far counts. `values` (..., n) stand in the order they came; `centre` broadcasts against (...).
    """

    @property
    def low(self) -> float:
        """Least value that the centre can have; −∞ where that is not known."""
        ...

    @property
    def high(self) -> float: ...

    @property
    def scan(self) -> int:
        """At how many points at once the ends of a confidence sequence are looked for."""
        ...

    def one_sided(self, values: Array, centre: Array) -> tuple[Array, Array]:
        """Evidence after each datum against a centre of at most `centre`, and of at least it, both (..., n)."""
        ...

    def two_sided(self, values: Array, centre: Array) -> Array:
        """Evidence after each datum against the centre, shape (..., n)."""
        ...

    def rejects(self, values: Array, centre: Array, level: float) -> NDArray[Any]:
        """Whether any look has rejected the centre, with a chance of at most 1 − `level` if it is true, shape (...)."""
        ...


def settled_at(evidence: Array, enough: float) -> NDArray[Any]:
    """Number of data after which evidence (..., n) has first reached `enough`; n + 1 where it never does."""
    reached = evidence >= enough
    return np.where(reached.any(axis=-1), reached.argmax(axis=-1) + 1, evidence.shape[-1] + 1)
