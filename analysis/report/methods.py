"""The methods paragraph of a report, ready to paste."""

from __future__ import annotations


def methods(level: float, resamples: int, seed: int) -> str:
    """What was done, with the level of intervals, the resamples and the random seed."""
    return (
        "The independent unit is the learning run: all episodes that share a learned pool form one cluster; over "
        "several cells, evaluations that share a pool or environment seeds belong to one cluster. Arms are "
        "compared on common environment seeds; differences are averaged over seeds within a run, every run "
        f"weighing the same. A mean over cells, its {level:.0%} interval and its test rest on one pivot: the estimate "
        "over a CR2 standard error, to which every cell contributes its own variance and cells that share pools or "
        "environment seeds their covariance, referred to Student's t with Satterthwaite's degrees of freedom. Rates of "
        "a cell have a beta-binomial likelihood interval, other shares Wilson's on the effective number of "
        f"observations; bootstraps of second opinions have {resamples:,} resamples, random seed {seed}. Intervals are "
        "not adjusted for their number. Declared contrasts, in return and in solve rate, form one family adjusted by "
        "Holm's method; cells are adjusted by Benjamini and Hochberg's. With fewer than three degrees of freedom the "
        "verdict is “undecided”. “Worse” and “equivalent” must withstand the share of learned pools that so many runs "
        "can miss with 5 % chance, each as good as the task allows, “better” the same of a learned reference; "
        "where such a share at the bottom of the task would undo a verdict, it is given on an assumption. Where "
        "episodes are missing a verdict must withstand the interval of their worst case. "
        "Equivalence needs a margin declared beforehand and two one-sided t tests, adjusted within the family. "
        "Episodes lost to technical failures are missing data. Coverage of a pool is compared with its exact "
        "expectation under a uniformly random selector with the same number of selections. The simulated coverage "
        "of the intervals and the error rates of the tests are published with the software (docs/calibration.md)."
    )
