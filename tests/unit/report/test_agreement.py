"""Agreement of lengths against worked examples and other computations."""

from __future__ import annotations

import numpy as np
import pytest

from fetal_lm.report.agreement import agreement
from fetal_lm.report.statistics import interval_of_mean


def test_icc_against_the_analysis_of_variance() -> None:
    rng = np.random.default_rng(3)
    true = rng.normal(70, 12, 40)
    measured = true + rng.normal(1.5, 3, 40)
    found = agreement(true, measured, [f"e{n // 2}" for n in range(40)])
    scores = np.stack([true, measured], axis=1)
    n, k = scores.shape
    rows = k * ((scores.mean(1) - scores.mean()) ** 2).sum() / (n - 1)
    columns = n * ((scores.mean(0) - scores.mean()) ** 2).sum() / (k - 1)
    rest = scores - scores.mean(1, keepdims=True) - scores.mean(0) + scores.mean()
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    expected = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    assert found.icc == pytest.approx(expected, abs=1e-12)


def test_bias_and_limits() -> None:
    rng = np.random.default_rng(4)
    true = rng.normal(70, 12, 60)
    difference = rng.normal(-2, 3, 60)
    examinations = [f"e{n // 3}" for n in range(60)]
    found = agreement(true, true + difference, examinations)
    assert found.bias == pytest.approx(difference.mean())
    assert found.upper - found.bias == pytest.approx(1.96 * difference.std(ddof=1))
    assert found.bias - found.lower == pytest.approx(1.96 * difference.std(ddof=1))
    assert found.bias_interval == pytest.approx(interval_of_mean(difference, examinations, resamples=999))
    for value, interval in (
        (found.lower, found.lower_interval),
        (found.upper, found.upper_interval),
        (found.icc, found.icc_interval),
    ):
        assert interval.low < value < interval.high


def test_what_was_not_measured_counts_as_nothing_and_an_unknown_length_not_at_all() -> None:
    true = np.array([50.0, 60.0, np.nan, 80.0])
    found = agreement(true, np.array([50.0, np.nan, np.nan, 80.0]), list("abcd"))
    assert (found.pairs, found.charged) == (3, 1)
    assert found.bias == pytest.approx(-20)


def test_differences_all_alike_and_too_few() -> None:
    true = np.array([50.0, 50.0, 50.0])
    found = agreement(true, true + 1, list("abc"))
    assert (found.bias, found.lower, found.upper) == (1, 1, 1)
    assert found.bias_interval == (1, 1)
    assert np.isnan(agreement(true[:1], true[:1], ["a"]).bias)
