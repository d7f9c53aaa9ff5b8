"""The methods paragraph of a report, ready to paste."""

from __future__ import annotations


def methods(level: float, resamples: int, seed: int) -> str:
    """What was done, with the level of intervals, the resamples and the random seed."""
    return (
        "The independent unit is the learning run: all episodes that share a learned pool form one cluster; over "
        "several cells, evaluations that share a pool or environment seeds belong to one cluster. Arms are "
        "compared on common environment seeds; differences are averaged over seeds within a run, every run "
        f"weighing the same. Intervals are {level:.0%} intervals: studentised bootstrap of whole learning runs "
        f"({resamples:,} resamples, random seed {seed}) from five runs on, Student's t on run means below; shares "
        "have Wilson's interval on the effective number of observations with Student's quantile (studentised where"
        " many runs lie at 0 or 1). Intervals are not adjusted for their number. Differences are tested by "
        "two-sided sign-flip permutation of learning runs (exact up to 32); below six runs, where sign flips "
        "cannot reach .05, a t test is shown and the verdict is “undecided”. Declared contrasts are adjusted "
        "together by step-down max-T permutation where all rest on the same clusters, else by Holm's method; cells"
        " by Benjamini and Hochberg's. Equivalence needs a margin declared beforehand and two one-sided t tests at"
        " .05. Episodes lost to technical failures are missing data. Coverage of a pool is compared with its exact"
        " expectation under a uniformly random selector with the same number of selections. The simulated coverage"
        " of the intervals and the error rates of the tests are published with the software (docs/calibration.md)."
    )
