"""Bootstrap intervals and spreads."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from fetal_lm.report.statistics import averaged_over_seeds, interval_of_mean, interval_of_median, spread


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


def drawn_medians(errors: np.ndarray, examinations: list[str], draws: int) -> np.ndarray:
    """Medians of bootstrap draws, drawn one by one."""
    generator = np.random.default_rng(5)
    names = sorted(set(examinations))
    rows = {name: [place for place, one in enumerate(examinations) if one == name] for name in names}
    found = []
    for _ in range(draws):
        chosen = [place for name in generator.choice(names, len(names)) for place in rows[name]]
        found.append(np.nanmedian(errors[chosen]))
    return np.array(found)


def test_the_medians_interval_is_that_of_draws_of_whole_examinations() -> None:
    generator = np.random.default_rng(4)
    examinations = [str(number) for number in generator.integers(0, 60, 200)]
    head = {name: generator.lognormal(0.0, 0.6) for name in sorted(set(examinations))}
    errors = np.array([head[name] for name in examinations])[:, None] * generator.lognormal(0.0, 0.3, (200, 3))
    errors[7] = np.nan
    low, high = interval_of_median([errors], examinations, resamples=2999)
    expected = np.percentile(drawn_medians(errors, examinations, 2999), [2.5, 97.5])
    # Two sets of 2999 draws: an end moves by a few hundredths of the interval's width.
    assert [low, high] == pytest.approx(expected.tolist(), abs=0.07 * (high - low))
    assert low < np.nanmedian(errors) < high
    by_image = interval_of_median([errors], [str(number) for number in range(200)], resamples=2999)
    assert high - low > 1.2 * (by_image.high - by_image.low)


def test_of_several_seeds_the_mean_of_their_medians_counts() -> None:
    errors = np.random.default_rng(6).exponential(2.0, (30, 4))
    names = [str(number) for number in range(30)]
    low, high = interval_of_median([errors], names, resamples=499)
    shifted = interval_of_median([errors, errors + 3.0], names, resamples=499)
    assert shifted == pytest.approx((low + 1.5, high + 1.5))
    assert interval_of_median([errors], names, resamples=499, seed=1) != (low, high)


def test_medians_of_what_is_not_known() -> None:
    unknown = np.full((2, 4), np.nan)
    assert all(map(math.isnan, interval_of_median([unknown], ["a", "b"])))
    half = np.array([[1.0, 2.0], [np.nan, np.nan], [3.0, 4.0]])
    assert all(map(math.isnan, interval_of_median([half], ["a", "b", "a"])))
    # Either examination alone, or both: 1.5, 3.5 or 2.5.
    assert interval_of_median([half], ["a", "b", "c"]) == (1.5, 3.5)
    with pytest.raises(ValueError, match=r"2 examinations need as many images, got \[3\]"):
        interval_of_median([half], ["a", "b"])
