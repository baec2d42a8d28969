"""How sure a mean is: bootstrap intervals over images, and the spread over seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

CONFIDENCE: Final = 0.95
RESAMPLES: Final = 9999

_DRAWS_AT_ONCE: Final = 200
"""Keeps a table of draws and landmarks within some MB."""


class Interval(NamedTuple):
    """A confidence interval in the unit of what it is about; NaN where it cannot be known."""

    low: float
    high: float


def interval_of_mean(
    values: Float[np.ndarray, " N"], examinations: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES
) -> Interval:
    """95 % bootstrap interval of the mean over images, resampled by examination.

    Frames of one examination resemble each other, so whole examinations are drawn, each with all its images; drawing
    images one by one would make the interval too short. The mean over the images drawn is a ratio of sums over
    examinations (error and count), which is a paired statistic, so that `scipy.stats.bootstrap` fits and gives the BCa
    interval: errors are skewed and a few bad images carry the mean, where the plain percentile interval is off centre.

    Args:
        values: one figure per image, for a model with several seeds already averaged over them; NaN is left out.
        examinations: whose head each image shows, N of them.
        seed: of the draws; the same seed gives the same interval.
        resamples: how many draws.

    Returns:
        NaN for fewer than two examinations; the value itself where they all agree.

    Example:
        >>> interval_of_mean(np.array([2.0, 2.0, 2.0]), ["a", "b", "b"])
        Interval(low=2.0, high=2.0)
    """
    names = np.asarray(examinations, dtype=object)
    if len(names) != len(values):
        raise ValueError(f"{len(values)} values need as many examinations, got {len(names)}")
    known = ~np.isnan(values)
    codes, unique = pd.factorize(names[known])
    if len(unique) < 2:
        return Interval(np.nan, np.nan)
    totals = np.bincount(codes, weights=values[known])
    counts = np.bincount(codes).astype(np.float64)
    means = totals / counts
    if np.ptp(means) <= 1e-12 * np.abs(means).max():
        return Interval(float(means[0]), float(means[0]))
    result = stats.bootstrap(
        (totals, counts),
        lambda total, count, axis: total.sum(axis=axis) / count.sum(axis=axis),
        paired=True,
        vectorized=True,
        n_resamples=resamples,
        batch=1000,
        confidence_level=CONFIDENCE,
        method="BCa",
        rng=np.random.default_rng(seed),
    )
    low, high = float(result.confidence_interval.low), float(result.confidence_interval.high)
    if np.isnan(low) or np.isnan(high):
        # With two or three examinations BCa's correction can be undefined; the draws themselves still say something.
        tail = 50 * (1 - CONFIDENCE)
        low, high = (float(bound) for bound in np.percentile(result.bootstrap_distribution, [tail, 100 - tail]))
    return Interval(low, high)


def interval_of_median(
    errors: Sequence[Float[np.ndarray, "N K"]],
    examinations: Sequence[str],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """95 % bootstrap interval of the median over all K landmarks of N images, resampled by examination.

    Of several seeds it is about the mean of their medians; an examination is drawn for all of them at once. The
    interval is the percentile one: BCa's acceleration comes from the jackknife, which fails for a median (Efron,
    "Bootstrap methods: another look at the jackknife", Ann. Statist. 7 (1979) 1-26).

    Args:
        errors: for each seed, of the same images in the same order; NaN is left out.
        examinations: whose head each image shows, N of them.
        seed: of the draws; the same seed gives the same interval.
        resamples: how many draws.

    Returns:
        NaN for fewer than two examinations with a known error.

    Example:
        >>> interval_of_median([np.array([[2.0, 2.0], [2.0, 9.0], [2.0, 2.0]])], ["a", "b", "b"])
        Interval(low=2.0, high=2.0)
    """
    if any(len(values) != len(examinations) for values in errors):
        raise ValueError(f"{len(examinations)} examinations need as many images, got {[len(v) for v in errors]}")
    codes, _ = pd.factorize(np.asarray(examinations, dtype=object))
    of_seeds = []
    for values in errors:
        owners = np.repeat(codes, values.shape[1])
        order = np.argsort(values, axis=None, kind="stable")
        order = order[~np.isnan(values.ravel()[order])]
        of_seeds.append((values.ravel()[order], owners[order]))
    drawn_from = np.unique(np.concatenate([owners for _, owners in of_seeds])) if of_seeds else np.array([])
    if len(drawn_from) < 2:
        return Interval(np.nan, np.nan)
    generator = np.random.default_rng(seed)
    medians: list[np.ndarray] = []
    for start in range(0, resamples, _DRAWS_AT_ONCE):
        count = min(_DRAWS_AT_ONCE, resamples - start)
        times = np.zeros((count, int(codes.max()) + 1), dtype=np.int64)
        shares = np.full(len(drawn_from), 1 / len(drawn_from))
        times[:, drawn_from] = generator.multinomial(len(drawn_from), shares, size=count)
        medians.append(np.mean([_medians(values, times[:, owners]) for values, owners in of_seeds], axis=0))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(np.concatenate(medians), [tail, 100 - tail])
    return Interval(float(low), float(high))


def _medians(values: Float[np.ndarray, " M"], times: np.ndarray) -> np.ndarray:
    """The median of each draw `[R]`, in which each of M ascending values comes so many times (`times`, `[R, M]`)."""
    upto = times.cumsum(axis=1)
    total = upto[:, -1:]
    # Of an even number of values the mean of the middle two.
    lower, upper = ((upto > place).argmax(axis=1) for place in ((total - 1) // 2, total // 2))
    return np.asarray((values[lower] + values[upper]) / 2)


def averaged_over_seeds(measures: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Each image's figures averaged over the seeds that tested it; NaN is left out.

    An interval over images taken from these is about new images, not about new seeds.

    Args:
        measures: for each seed, a frame of `charges.image_measures`.

    Returns:
        One row per image, sorted by image, with the columns of `measures`.
    """
    pooled = pd.concat(measures, ignore_index=True)
    return pooled.groupby(["image", "examination"], sort=True, as_index=False).mean()


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation over seeds; the deviation of one seed is NaN, not 0.

    Example:
        >>> spread([1.0, 3.0])
        (2.0, 1.4142135623730951)
    """
    array: np.ndarray = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    return mean, float(array.std(ddof=1)) if len(array) > 1 else float("nan")
