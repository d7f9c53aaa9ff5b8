"""Diversity of a population's pools, round by round: how many skills, how evenly held, how different in wording."""

from __future__ import annotations

import re
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from scipy.sparse import csr_array

from analysis.statistics.bootstrap import Array
from analysis.tables.population import LIFE, PopulationTables

_WORD = re.compile(r"\w+")
_DIMENSIONS = 4096


def diversity(population: PopulationTables) -> pd.DataFrame:
    """One row per population and round.

    Columns: arm, task, learning_run, round; skills (distinct), entropy (bits, of how often each skill is held),
    evenness (entropy over its maximum, 0 to 1), overlap (mean share of skills that two members have in common,
    intersection over union: 1 is a homogenised population), distance (mean cosine distance between the wording of two
    skills held by two different members, bags of words).
    """
    wordings = {key: _Wording(part) for key, part in population.skills.groupby(LIFE, observed=True, sort=False)}
    rows: list[dict[str, Any]] = []
    for key, held in population.holdings.groupby([*LIFE, "round"], observed=True, sort=False):
        *life, _ = key
        codes, units = pd.factorize(held["unit"])
        members, names = pd.factorize(held["agent"])
        table = csr_array((np.ones(len(held)), (members, codes)), shape=(len(names), len(units)))
        counts = np.asarray(table.sum(axis=0), float).ravel()
        bits = entropy(counts)
        rows.append(
            dict(zip([*LIFE, "round"], key, strict=True))
            | {
                "skills": len(units),
                "entropy": bits,
                "evenness": bits / np.log2(len(units)) if len(units) > 1 else 0.0,
                "overlap": overlap(table),
                "distance": wordings[tuple(life)].distance(units, table),
            }
        )
    return pd.DataFrame(rows, columns=[*LIFE, "round", "skills", "entropy", "evenness", "overlap", "distance"])


def entropy(counts: Array) -> float:
    """Shannon's entropy in bits of the shares of these counts."""
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log2(shares)).sum() + 0.0)


def overlap(table: csr_array) -> float:
    """Mean Jaccard index of two members' pools (members × skills, 0/1); NaN for one member."""
    members = table.shape[0]
    if members < 2:
        return float("nan")
    shared = (table @ table.T).toarray()
    sizes = np.diag(shared)
    union = sizes[:, None] + sizes[None, :] - shared
    index = np.divide(shared, union, out=np.ones_like(shared), where=union > 0)
    return float((index.sum() - members) / (members * (members - 1)))


class _Wording:
    """Bags of words of one population's skills, as unit rows of a sparse matrix; a word's place is its CRC-32."""

    def __init__(self, skills: pd.DataFrame) -> None:
        texts = [str(text).lower() for text in skills["words"]]
        found = [[crc32(word.encode()) % _DIMENSIONS for word in _WORD.findall(text)] for text in texts]
        rows = np.repeat(np.arange(len(found)), [len(words) for words in found])
        columns = np.array([word for words in found for word in words], dtype=np.int64)
        bags = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(found), _DIMENSIONS))
        lengths = np.sqrt(np.asarray(bags.multiply(bags).sum(axis=1)).ravel())
        scale = csr_array((1 / np.maximum(lengths, 1e-12), (np.arange(len(found)), np.arange(len(found)))))
        self._rows = csr_array(scale @ bags)
        self._index = {unit: place for place, unit in enumerate(skills["unit"])}

    def distance(self, units: pd.Index, table: csr_array) -> float:
        """Mean of 1 − cosine over all pairs of a skill of one member and a skill of another."""
        members = table.shape[0]
        if members < 2:
            return float("nan")
        rows = self._rows[[self._index[unit] for unit in units]]
        # mean over pairs of members of the mean over pairs of skills = dot products of the members' mean rows
        sizes = np.asarray(table.sum(axis=1), float).ravel()
        means = (table @ rows).toarray() / sizes[:, None]
        total = means.sum(axis=0)
        return float(1 - (total @ total - (means * means).sum()) / (members * (members - 1)))
