"""How fast models are, by the accounts of runs that are there."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from agents.models.adapters.metered import Account
from agents.models.weights.folders import is_pulled
from testbed.config.study import ConfigError
from testbed.records.run_directory import RunDirectory
from testbed.records.side_files.accounts import NAME, AccountLine, account_lines, total
from testbed.serving.fleet import weights_gib
from testbed.studies.cost.workload import takes_time, who_asks

PERIODS = 40
"""A run's time is cut into so many periods, where it is long enough."""
LEAST_SECONDS = 4.0
"""Shorter ones say little: a call is on the account only when it is answered."""
LEAST_PERIODS = 6


@dataclass(frozen=True)
class Cost:
    """What a model's work takes, in seconds: a pass over a batch, and each token in it (see `_terms`)."""

    model: str
    prompt: float
    """Of a token that is read."""
    written: float
    """Of a token that is written, whatever the batch."""
    passing: float
    """Of a pass, which gives every request in the batch one token."""
    scored: float
    """Of a scored token, its prompt among it; 0 where nothing was scored."""
    largest: float
    """Requests at once, over the period in which there were most."""

    def decode(self) -> dict[int, float]:
        """Tokens a second by batch, as far as batches were seen."""
        sizes = [2**power for power in range(12) if 2 ** (power - 1) < max(1.0, self.largest)]
        return {size: size / (self.passing + size * self.written) for size in sizes}


@dataclass(frozen=True)
class Measurement:
    """What was found for models that share a processor."""

    costs: tuple[Cost, ...]
    error: float
    """Mean absolute error of a period's seconds, as a share of the mean."""
    periods: int


def measure(runs: Sequence[Path]) -> list[Measurement]:
    """The models in a process of ours together, since they share it, and every served one for itself.

    Raises ConfigError where runs are too short or their accounts say nothing; StoreError where one cannot be read.
    """
    lines: list[list[AccountLine]] = []
    served: set[str] = set()
    here: set[str] = set()
    for run in runs:
        config = RunDirectory.open(run).config()
        for agent in filter(takes_time, who_asks(config)):
            (served if agent.base_url or agent.serve else here).add(agent.model)
        lines.append(list(account_lines(run / NAME)))
    groups = [*([sorted(here)] if here else []), *([model] for model in sorted(served - here))]
    if not groups:
        raise ConfigError(f"{runs[0]}: only scripted models play there, and they take no time")
    return [
        _fit(group, [period for each in lines for period in _periods(each, group)], ours=here.issuperset(group))
        for group in groups
    ]


@dataclass(frozen=True)
class _Period:
    seconds: float
    processor: float
    accounts: tuple[Account, ...]
    """Of each model."""

    @property
    def busy(self) -> float:
        """Seconds in which something was asked, at least."""
        return min(self.seconds, sum(account.seconds for account in self.accounts))


def _periods(lines: Sequence[AccountLine], models: Sequence[str]) -> Iterator[_Period]:
    whole = sum(line.seconds for line in lines)
    least = max(LEAST_SECONDS, whole / PERIODS)
    group: list[AccountLine] = []
    for line in lines:
        group.append(line)
        seconds = sum(each.seconds for each in group)
        if seconds >= least:
            processor = sum(each.processor for each in group)
            yield _Period(seconds, processor, tuple(_of(group, model) for model in models))
            group = []


def _of(lines: Sequence[AccountLine], model: str) -> Account:
    return total(entry.account for line in lines for entry in line.entries if entry.model == model)


def _fit(models: Sequence[str], periods: Sequence[_Period], *, ours: bool) -> Measurement:
    """By least squares with costs that are not negative, and then so that all periods together come out exactly.

    Of models in a process of ours, how much of its time a period took is told by its processor time: it does not depend
    on what else the machine did meanwhile.
    """
    periods = [period for period in periods if period.busy > 0]
    if len(periods) < LEAST_PERIODS:
        raise ConfigError(
            f"{', '.join(models)}: {len(periods)} periods of {LEAST_SECONDS:g} s or more are on the accounts, and "
            f"{LEAST_PERIODS} are needed; measure a longer run"
        )
    seconds = np.array([period.busy for period in periods])
    if ours and all(period.processor > 0 for period in periods):
        processor = np.array([period.processor for period in periods])
        seconds = processor * seconds.sum() / processor.sum()
    terms = np.array([[term for account in period.accounts for term in _terms(account, period)] for period in periods])
    scale = np.where(terms.max(axis=0) > 0, terms.max(axis=0), 1.0)
    found: NDArray[np.float64] = nnls(terms / scale, seconds)[0] / scale
    guessed = terms @ found
    if not guessed.sum() > 0:
        raise ConfigError(f"{', '.join(models)}: the accounts tell of no tokens; does its server count them?")
    found *= seconds.sum() / guessed.sum()
    error = float(np.abs(seconds - terms @ found).mean() / seconds.mean())
    costs = tuple(
        _cost(
            model, found[4 * index : 4 * index + 4], max(_batch(period.accounts[index], period) for period in periods)
        )
        for index, model in enumerate(models)
    )
    return Measurement(costs, error, len(periods))


def _terms(account: Account, period: _Period) -> tuple[float, float, float, float]:
    """What is paid for: tokens in passes, those of them that are written, passes, scored tokens."""
    read = account.prompt_tokens - account.cached_tokens
    written = account.completion_tokens
    return read + written, written, written / _batch(account, period), account.scored_tokens


def _batch(account: Account, period: _Period) -> float:
    """Requests at once, by Little's law."""
    return max(1.0, account.seconds / period.seconds)


def _cost(model: str, found: NDArray[np.float64], largest: float) -> Cost:
    token, more, passing, scored = map(float, found)
    return Cost(model, max(token, 1e-9), max(token + more, 1e-9), passing, scored, largest)


def fleet_toml(
    measurements: Sequence[Measurement], runs: Sequence[Path], memory: float, weights: dict[str, float | None]
) -> str:
    """A fleet of one GPU (or processor) of this machine, with what was measured on it; `memory`, `weights` in GiB."""
    where = f"{', '.join(run.name for run in runs)} on {socket.gethostname()}, {date.today().isoformat()}"
    parts = ["[[gpus]]", "count = 1", f"memory = {memory:.1f}"]
    for measurement in measurements:
        for cost in measurement.costs:
            size = weights.get(cost.model)
            parts += ["", "[[models]]", f"model = {_quoted(cost.model)}"]
            parts += [f"weights = {size:.2f}" if size else "# weights = GiB, of one copy over all its GPUs"]
            parts += [f"prompt = {1 / cost.prompt:.1f}"]
            decode = ", ".join(f"{batch} = {tokens:.2f}" for batch, tokens in cost.decode().items())
            parts += [f"decode = {{ {decode} }}"]
            parts += [f"score = {1 / cost.scored:.1f}"] if cost.scored else []
            parts += [f"measured = {_quoted(f'{where}; its periods within {measurement.error:.0%}')}"]
    return "\n".join(parts) + "\n"


def weights(model: str) -> float | None:
    """GiB, where they lie on this machine; nothing is fetched."""
    there = is_pulled(model) or Path(model).expanduser().is_dir()
    return weights_gib(model) or None if there else None


def _quoted(text: str) -> str:
    """As TOML's basic strings are those of JSON."""
    return json.dumps(text)
