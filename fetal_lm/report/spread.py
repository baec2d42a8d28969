"""Where the spread between the runs of one model comes from: seeds and folds as separate sources.

A seed sets weights and batches; a fold sets which examinations are tested, and so which ones are trained on. Each image
is tested in exactly one fold, so that the spread over folds holds the difference between the images themselves: it says
how unlike the parts of the data are, not how unsure the figure of all folds together is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from fetal_lm.report.entries import Entry
from fetal_lm.report.predictions import summarise
from fetal_lm.report.statistics import spread


class Components(NamedTuple):
    """Standard deviations of one run's figure by source, in its unit; NaN where they cannot be told apart.

    Attributes:
        seed: of what a seed does in every fold.
        fold: of what a fold does with every seed.
        rest: of what is left: one more training, of another seed in another fold.
    """

    seed: float
    fold: float
    rest: float


def figures_of_runs(entry: Entry, branch: str) -> pd.DataFrame:
    """The figures of `predictions.summarise` run by run, with columns seed and fold (NaN for no folds)."""
    rows = []
    for run in entry.runs:
        table = run.predictions[run.predictions["branch"] == branch]
        if len(table):
            rows.append({"seed": run.row.seed, "fold": run.row.fold, **summarise(table)})
    return pd.DataFrame(rows)


def spread_over_folds(runs: pd.DataFrame, figure: str) -> float:
    """Sample standard deviation over folds, each averaged over its seeds; NaN for one fold.

    Args:
        runs: of `figures_of_runs`.
        figure: one of its columns.
    """
    by_fold = [float(np.mean(same[figure])) for _, same in runs.groupby("fold", dropna=False)]
    return spread(by_fold)[1]


def components(runs: pd.DataFrame, figure: str) -> Components:
    """Splits the spread of a figure between runs into seed, fold and the rest, by the method of moments.

    Two-way random effects with one run per cell: figure = mean + seed + fold + rest. The standard deviation over folds
    still holds the rest, divided by the number of seeds, and that over seeds likewise; here the mean squares are solved
    for each source alone. An estimate below zero is zero. With few seeds or folds these are rough.

    Source: Searle, Casella and McCulloch, Variance Components (1992), section 4.2.

    Args:
        runs: of `figures_of_runs`.
        figure: one of its columns.

    Returns:
        NaN unless there are several seeds and several folds and every seed has every fold.

    Example:
        The second seed adds 2, the second fold adds 4, and nothing is left.

        >>> runs = pd.DataFrame({"seed": [0, 0, 1, 1], "fold": [0, 1, 0, 1], "mean_px": [1.0, 5.0, 3.0, 7.0]})
        >>> seed, fold, rest = components(runs, "mean_px")
        >>> round(seed**2, 6), round(fold**2, 6), round(rest**2, 6)
        (2.0, 8.0, 0.0)
    """
    seed_codes, seeds = pd.factorize(runs["seed"])
    fold_codes, folds = pd.factorize(runs["fold"], use_na_sentinel=False)
    grid = np.full((len(seeds), len(folds)), np.nan)
    grid[seed_codes, fold_codes] = runs[figure]
    if min(grid.shape) < 2 or np.isnan(grid).any():
        return Components(np.nan, np.nan, np.nan)
    of_seed, of_fold = grid.mean(axis=1), grid.mean(axis=0)
    rest = grid - of_seed[:, None] - of_fold + grid.mean()
    rest_variance = float((rest**2).sum()) / ((len(seeds) - 1) * (len(folds) - 1))
    seed_variance = float(of_seed.var(ddof=1)) - rest_variance / len(folds)
    fold_variance = float(of_fold.var(ddof=1)) - rest_variance / len(seeds)
    return Components(*(max(variance, 0.0) ** 0.5 for variance in (seed_variance, fold_variance, rest_variance)))
