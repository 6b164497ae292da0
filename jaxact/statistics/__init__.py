"""Intervals, exact tests and decompositions for accuracies over seeds. NumPy and SciPy only.

Random numbers come from an explicit `numpy.random.Generator`. NaN (a diverged seed) is counted by `summarize` and
refused everywhere else: whether to leave it out is the caller's decision. The ends of an interval that
no simulation showed to cover are NaN: there is none.
"""

from jaxact.statistics.association import RankCorrelation, r_squared, spearman
from jaxact.statistics.clusters import clustered_interval
from jaxact.statistics.factorial import Decomposition, VarianceShare, decompose
from jaxact.statistics.intervals import (
    Estimate,
    SdBounds,
    Summary,
    bootstrap_mean,
    bootstrap_mean_difference,
    clopper_pearson,
    healthy_sd_bounds,
    passes_for_normal,
    prediction_interval,
    sd_interval,
    summarize,
)
from jaxact.statistics.permutation import PermutationResult, holm, paired_permutation_test, permutation_test

__all__ = [
    "Decomposition",
    "Estimate",
    "PermutationResult",
    "RankCorrelation",
    "SdBounds",
    "Summary",
    "VarianceShare",
    "bootstrap_mean",
    "bootstrap_mean_difference",
    "clopper_pearson",
    "clustered_interval",
    "decompose",
    "healthy_sd_bounds",
    "holm",
    "passes_for_normal",
    "paired_permutation_test",
    "permutation_test",
    "prediction_interval",
    "r_squared",
    "sd_interval",
    "spearman",
    "summarize",
]
