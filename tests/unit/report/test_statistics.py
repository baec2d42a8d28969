"""Bootstrap intervals and spreads."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fetal_lm.report.statistics import averaged_over_seeds, interval_of_mean, spread


def test_the_interval_agrees_with_the_normal_one_where_that_holds() -> None:
    values = np.random.default_rng(0).normal(10.0, 2.0, 400)
    low, high = interval_of_mean(values, [str(number) for number in range(400)])
    half_width = 1.96 * values.std(ddof=1) / 20
    assert low == pytest.approx(values.mean() - half_width, abs=0.02)
    assert high == pytest.approx(values.mean() + half_width, abs=0.02)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(1).exponential(5.0, 40)
    names = [str(number // 2) for number in range(40)]
    assert interval_of_mean(values, names) == interval_of_mean(values, names)
    assert interval_of_mean(values, names) != interval_of_mean(values, names, seed=1)


def test_frames_of_one_examination_are_not_independent() -> None:
    heads = np.random.default_rng(2).normal(10.0, 2.0, 30)
    values = np.repeat(heads, 10)
    examinations = [str(number // 10) for number in range(300)]
    by_examination = interval_of_mean(values, examinations)
    by_image = interval_of_mean(values, [str(number) for number in range(300)])
    ratio = (by_examination.high - by_examination.low) / (by_image.high - by_image.low)
    assert ratio == pytest.approx(math.sqrt(10), rel=0.1)


def test_coverage_for_skewed_errors_of_unequal_examinations() -> None:
    generator = np.random.default_rng(3)
    trials, hits = 200, 0
    for trial in range(trials):
        frames = generator.integers(1, 4, 60)
        head_effect = generator.exponential(4.0, 60)
        names = np.repeat(np.arange(60), frames)
        values = head_effect[names] + generator.exponential(1.0, names.size)
        low, high = interval_of_mean(values, [str(name) for name in names], seed=trial, resamples=999)
        hits += low <= 5.0 <= high
    # 95 % of 200 is 190, with a standard deviation of 3.
    assert 180 <= hits <= 198


def test_an_interval_holds_its_mean_and_leaves_nan_out() -> None:
    values = np.array([1.0, 2.0, np.nan, 4.0, 8.0])
    low, high = interval_of_mean(values, list("abcde"))
    assert low < np.nanmean(values) < high
    without = interval_of_mean(values[~np.isnan(values)], list("abde"))
    assert (low, high) == without


@pytest.mark.parametrize("values", [[], [3.0], [3.0, 4.0], [np.nan, 3.0]])
def test_one_examination_says_nothing_about_others(values: list[float]) -> None:
    names = ["a"] * len(values) if len(values) == 2 and not math.isnan(values[0]) else list("ab")[: len(values)]
    low, high = interval_of_mean(np.array(values, dtype=np.float64), names)
    assert math.isnan(low)
    assert math.isnan(high)


def test_two_examinations_still_give_numbers() -> None:
    low, high = interval_of_mean(np.array([1.0, 3.0]), ["a", "b"])
    assert 1.0 <= low <= high <= 3.0


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="3 values need as many examinations, got 2"):
        interval_of_mean(np.arange(3.0), ["a", "b"])


def test_seeds_are_averaged_image_by_image() -> None:
    def measures(images: list[str], mean_px: list[float], mean_mm: list[float]) -> pd.DataFrame:
        return pd.DataFrame({"image": images, "examination": "e", "mean_px": mean_px, "mean_mm": mean_mm})

    first = measures(["b", "a"], [1.0, 2.0], [math.nan, 1.0])
    second = measures(["a", "b", "c"], [4.0, 5.0, 9.0], [2.0, math.nan, 3.0])
    average = averaged_over_seeds([first, second])
    assert list(average["image"]) == ["a", "b", "c"]
    assert list(average["mean_px"]) == [3.0, 3.0, 9.0]
    np.testing.assert_array_equal(average["mean_mm"], [1.5, math.nan, 3.0])


def test_the_spread_of_one_seed_is_unknown() -> None:
    mean, deviation = spread([4.0])
    assert mean == 4.0
    assert math.isnan(deviation)
    assert spread([1.0, 2.0, 3.0]) == (2.0, 1.0)
