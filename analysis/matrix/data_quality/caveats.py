"""What a reader must know before believing a number: missing data, too few runs, absent arms."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.findings import Finding
from analysis.statistics.cell_means import stretch
from analysis.statistics.estimates import NOTABLE_STRETCH, UNMET
from analysis.statistics.significance import LEAST_FREEDOM
from analysis.tables.population import PopulationTables
from analysis.tables.run import CELL, Tables

_LOST = {
    "none": "no gain over no memory can be computed",
    "random": "reuse and return cannot be told from those of a random selector",
    "shuffled": "the effect of a skill's content cannot be told from that of having one",
}


def caveats(tables: Tables) -> list[str]:
    """One sentence each, gravest first."""
    episodes = tables.episodes
    return [
        *_missing(episodes),
        *_learning(tables.learning),
        *_dead(episodes),
        *_runs(episodes),
        *_absent(set(episodes["arm"].astype("str"))),
        *_seeds(episodes),
        *_equal(episodes),
        *_dropped(episodes),
    ]


def widened(findings: Sequence[Finding], cells: pd.DataFrame) -> list[str]:
    """Where an interval reaches farther than its usual method would, and what would bring it back."""
    told: list[str] = []
    far = [(float(stretch(each.skewness, each.freedom)), abs(each.skewness)) for each in findings]
    far = [pair for pair in far if pair[0] >= NOTABLE_STRETCH]
    if far:
        most, skewness = max(far)
        told.append(
            f"The differences behind {len(far)} of {len(findings)} comparisons have a long tail on one side "
            f"(skewness up to {skewness:.1f}), where Student's t would end too early: that end of their intervals "
            f"reaches up to {most:.1f} times as far, and their verdicts are those of these intervals; more learning "
            "runs bring it in."
        )
    unmet = int(cells["solved_method"].str.endswith(UNMET).sum()) if len(cells) else 0
    if unmet:
        told.append(
            f"In {unmet} of {len(cells)} cells most learned pools solve nearly nothing, or nearly all: the intervals "
            "of their solve rates allow for pools of another kind that were not met; more learning runs narrow them."
        )
    return told


def _absent(arms: set[str]) -> list[str]:
    """Controls that the arms at hand call for; a population's arms are policies, which have none but `none`."""
    wanted = [arm for arm in _LOST if arm == "none" or arms & {"self", "transfer"}]
    return [f"The arm “{arm}” is absent: {_LOST[arm]}." for arm in wanted if arm not in arms]


def _missing(episodes: pd.DataFrame) -> list[str]:
    missing = episodes[episodes["error"].notna()]
    if missing.empty:
        return []
    counts = missing.groupby(CELL, observed=True).size().sort_values(ascending=False)
    place = " / ".join(str(part) for part in counts.index.tolist()[0] if part)
    return [
        f"{len(missing)} of {len(episodes)} episodes failed for technical reasons and are missing data, not zeros "
        f"(most in {place}: {int(counts.iloc[0])}); each cell shows how many it lost."
    ]


def _learning(learning: pd.DataFrame) -> list[str]:
    lost = learning[learning["return"].isna()]
    if lost.empty:
        return []
    learners = len(lost[["agent", "task", "learning_run"]].drop_duplicates())
    return [
        f"{len(lost)} of {len(learning)} learning episodes failed for technical reasons: the pools of {learners} "
        "learners were made from less than the study plans."
    ]


def learning_owed(tables: Tables, population: PopulationTables | None) -> int:
    """Learning episodes that the study plans and nobody has played."""
    plan = tables.plan[tables.plan["phase"] == "learn"]
    played = tables.learning if population is None else population.plays
    return max(0, int(plan["episodes"].sum()) - len(played))


def _dead(episodes: pd.DataFrame) -> list[str]:
    answered = episodes["error"].isna().groupby(episodes["arm"], observed=True).any()
    sentences: list[str] = []
    for arm in answered[~answered].index:
        reasons = episodes.loc[episodes["arm"] == arm, "error"].value_counts()
        why = f"most often, {int(reasons.iloc[0])} times: {str(reasons.index[0])[:200]}"
        sentences.append(f"No episode of the arm “{arm}” was answered ({why}); nothing is said about it.")
    return sentences


def _runs(episodes: pd.DataFrame) -> list[str]:
    runs = episodes[episodes["error"].isna()].groupby(CELL, observed=True)["learning_run"].nunique()
    if runs.empty or set(episodes["arm"].astype("str")) <= {"none"}:  # nothing was learned
        return []
    least, most = int(runs.min()), int(runs.max())
    warnings: list[str] = []
    needed = int(LEAST_FREEDOM) + 1
    if most < needed:
        few = f"Each cell rests on {most} learning run" + "s" * (most != 1)
        warnings.append(
            f"{few}. With fewer than {needed} the spread of runs is hardly known, so every verdict on a single cell is "
            "“undecided”."
        )
    if least != most:
        warnings.append(
            f"Cells have {least} to {most} learning runs; each run weighs the same within its cell, and every cell's "
            "own spread enters the intervals (of a cell with one run the pooled spread of the others)."
        )
    return warnings


def _seeds(episodes: pd.DataFrame) -> list[str]:
    answered = episodes[episodes["error"].isna()]
    return [*_shared_seeds(answered), *_uneven_seeds(answered)]


def _shared_seeds(answered: pd.DataFrame) -> list[str]:
    runs = answered.groupby(["task", "env_seed"], observed=True)["learning_run"].nunique()
    if runs.empty or int(runs.max()) < 2:
        return []
    return [
        f"{int((runs > 1).sum())} environment seeds are played in more than one learning run: such runs are not "
        "independent and count as one."
    ]


def _uneven_seeds(answered: pd.DataFrame) -> list[str]:
    sizes = answered.groupby([*CELL, "learning_run"], observed=True)["env_seed"].nunique()
    if sizes.empty or int(sizes.min()) == int(sizes.max()):
        return []
    return [
        f"Learning runs have {int(sizes.min())} to {int(sizes.max())} environment seeds; arms are compared on the "
        "seeds that both answered."
    ]


def _equal(episodes: pd.DataFrame) -> list[str]:
    returns = episodes["return"].dropna()
    if len(returns) and returns.nunique() == 1:
        return [f"Every episode returned {returns.iloc[0]:g}: nothing can be compared, and no interval is given."]
    return []


def _dropped(episodes: pd.DataFrame) -> list[str]:
    dropped = int((episodes["dropped_turns"] > 0).sum())
    return [f"In {dropped} episodes the context was full and the oldest turns left the prompt."] if dropped else []
