"""Paired statistics: against scipy, by hand, and on data whose truth is known."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fetal_lm.report.comparison import compare
from fetal_lm.report.multiplicity import holm
from fetal_lm.report.pairs import COLUMNS, MOST_EVERY_TWO, Pairs, paired_figures, signed_rank, superiority, verdict
from fetal_lm.report.predictions import write_predictions
from fetal_lm.report.sweep import read_sweep

from .conftest import MakeRun

SQUASH_X = 0.64
FIGURES = ("mean_px", "mean_mm", "bpd_mae_mm", "ofd_mae_mm", "hc_mae_mm")
NO_DIFFERENCE = "no difference in any examination"


def names(count: int, frames: int = 1) -> list[str]:
    """Examinations of `count` images, `frames` images each."""
    return [f"exam-{number // frames}" for number in range(count)]


def with_verdict(difference: np.ndarray, examinations: list[str]) -> dict[str, Any]:
    """The figures of a family of one test."""
    figures: dict[str, Any] = dict(paired_figures(difference, examinations))
    figures["p_holm"] = figures["p"]
    return {**figures, "verdict": verdict(figures)}


def pairs_of(folder: Path) -> Pairs:
    return compare(read_sweep(folder)).pairs


def of_figure(pairs: Pairs, figure: str) -> pd.DataFrame:
    return pairs.table[pairs.table["figure"] == figure].reset_index(drop=True)


@pytest.mark.parametrize("count", [9, 40, 300])
def test_the_test_is_that_of_scipy(count: int) -> None:
    first, second = np.random.default_rng(count).exponential(5.0, (2, count))
    reference = stats.wilcoxon(second, first)
    test = signed_rank(second - first, names(count))
    assert test.p == pytest.approx(reference.pvalue, rel=1e-9)
    assert test.examinations == count
    # scipy's statistic is the smaller of the two sums of ranks.
    assert abs(test.rank_biserial) == pytest.approx(1 - 2 * reference.statistic / (count * (count + 1) / 2))


def test_the_rank_biserial_correlation_by_hand() -> None:
    # Ranks of 2, -1, 3, and of two ties 5 and -5: 2, 1, 3, 4.5, 4.5; zeros have none.
    effect = signed_rank(np.array([2.0, -1.0, 3.0, 0.0, 5.0, -5.0]), names(6)).rank_biserial
    assert effect == pytest.approx((2 - 1 + 3 + 4.5 - 4.5) / 15)


def test_a_swap_turns_every_sign() -> None:
    difference = np.random.default_rng(1).normal(0.4, 1.0, 40).repeat(2) + 0.1 * np.arange(80) / 80
    examinations = names(80, frames=2)
    there, back = with_verdict(difference, examinations), with_verdict(-difference, examinations)
    for figure in ("difference", "rank_biserial"):
        assert there[figure] == pytest.approx(-back[figure])
    assert there["low"] == pytest.approx(-back["high"], abs=1e-9)
    assert there["high"] == pytest.approx(-back["low"], abs=1e-9)
    assert there["superiority"] == pytest.approx(1 - back["superiority"])
    assert there["p"] == pytest.approx(back["p"])
    assert (there["verdict"], back["verdict"]) == ("second worse", "second better")


def test_more_frames_of_the_same_examinations_are_no_more_evidence() -> None:
    difference = np.random.default_rng(2).normal(0.3, 1.0, 30)
    once = paired_figures(difference, names(30))
    often = paired_figures(difference.repeat(10), names(300, frames=10))
    assert often["images"] == 300
    for figure in ("examinations", "difference", "low", "high", "p", "rank_biserial", "superiority"):
        assert often[figure] == pytest.approx(once[figure], abs=1e-9), figure
    as_if_independent = paired_figures(difference.repeat(10), names(300))
    assert as_if_independent["p"] < once["p"] / 100
    assert as_if_independent["high"] - as_if_independent["low"] < 0.5 * (once["high"] - once["low"])


def test_one_test_in_twenty_finds_a_difference_where_there_is_none() -> None:
    generator = np.random.default_rng(3)
    trials, by_examination, by_image = 200, 0, 0
    for _ in range(trials):
        frames = generator.integers(1, 6, 40)
        exam = np.arange(40).repeat(frames)
        # Two models of the same quality, each with its own skewed trouble with every head.
        first, second = (generator.exponential(4.0, 40)[exam] + generator.exponential(1.0, exam.size) for _ in range(2))
        difference = second - first
        by_examination += signed_rank(difference, exam.astype(str).tolist()).p < 0.05
        by_image += signed_rank(difference, names(exam.size)).p < 0.05
    # 5 % of 200 is 10, with a standard deviation of 3.1: within three of them.
    assert 1 <= by_examination <= 19
    assert by_image > 40


@pytest.mark.parametrize(("shift", "expected"), [(-0.5, "second better"), (0.5, "second worse")])
def test_a_planted_difference_is_found(shift: float, expected: str) -> None:
    generator = np.random.default_rng(4)
    errors = generator.exponential(4.0, 60).repeat(2)
    difference = (errors + shift + generator.normal(0.0, 1.0, 120)) - (errors + generator.normal(0.0, 1.0, 120))
    found = with_verdict(difference, names(120, frames=2))
    assert found["verdict"] == expected
    assert found["low"] < shift < found["high"]
    assert found["p"] < 0.01
    assert found["rank_biserial"] * shift > 0
    assert (found["superiority"] - 0.5) * shift < 0


def test_identical_predictions_do_not_differ() -> None:
    found = with_verdict(np.zeros(20), names(20))
    assert found["verdict"] == NO_DIFFERENCE
    assert (found["difference"], found["low"], found["high"], found["superiority"]) == (0.0, 0.0, 0.0, 0.5)
    assert math.isnan(found["p"])
    assert math.isnan(found["rank_biserial"])


def test_rounding_is_no_difference() -> None:
    noise = 1e-13 * np.random.default_rng(5).uniform(0.5, 1.0, 40)
    found = with_verdict(noise, names(40))
    assert found["verdict"] == NO_DIFFERENCE
    assert (found["difference"], found["low"], found["high"], found["superiority"]) == (0.0, 0.0, 0.0, 0.5)
    # Ties are ties although their sums were rounded differently: all ranks are equal.
    assert signed_rank(np.where(np.arange(40) < 10, -2.0, 2.0) + noise, names(40)).rank_biserial == pytest.approx(0.5)


def test_frames_that_cancel_within_their_examination_do_not_count() -> None:
    test = signed_rank(np.array([0.1 + 0.2, -0.3, *range(1, 7)]), ["z", "z", *"abcdef"])
    assert test.examinations == 7
    assert test.rank_biserial == 1.0
    assert test.p == pytest.approx(2 / 2**6)


def test_a_constant_difference_is_clear() -> None:
    found = with_verdict(np.full(12, 0.25), names(12))
    assert (found["low"], found["difference"], found["high"]) == (0.25, 0.25, 0.25)
    assert (found["rank_biserial"], found["verdict"]) == (1.0, "second worse")


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_examinations_are_not_tested(count: int) -> None:
    found = with_verdict(np.arange(1.0, 1.0 + 10 * count), names(10 * count, frames=10))
    assert found["verdict"] == "too few examinations"
    assert math.isnan(found["p"])
    assert math.isnan(found["low"]) == (count == 1)
    assert (found["images"], found["examinations"], found["rank_biserial"]) == (10 * count, count, 1.0)


def test_nothing_known_is_nan() -> None:
    found = with_verdict(np.full(8, np.nan), names(8))
    assert found["verdict"] == "no image with a pixel spacing"
    assert (found["images"], found["examinations"]) == (0, 0)
    for figure in ("difference", "low", "high", "p", "rank_biserial", "superiority"):
        assert math.isnan(found[figure]), figure


def test_unknown_images_are_left_out() -> None:
    difference = np.random.default_rng(6).normal(0.5, 1.0, 20)
    known = paired_figures(difference, names(20))
    longer = paired_figures(np.append(difference, [np.nan, np.nan]), [*names(20), "x", "exam-0"])
    assert longer == known


def test_mean_and_ranks_must_agree_in_direction() -> None:
    # A little better on nearly every head, and lost on a few: no model to call better or worse.
    difference = np.concatenate([np.full(90, -0.1), np.full(10, 40.0)]) + np.linspace(0, 0.01, 100)
    found = with_verdict(difference, names(100))
    assert found["p"] < 0.001
    assert found["low"] > 0 > found["rank_biserial"]
    assert found["verdict"] == "no clear difference"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "second worse"),
        ({"p_holm": 0.05}, "no clear difference"),
        ({"p_holm": math.nan}, "no clear difference"),
        ({"low": -0.01}, "no clear difference"),
        ({"low": 0.0}, "no clear difference"),
        ({"low": -0.9, "high": -0.1}, "no clear difference"),
        ({"low": -0.9, "high": -0.1, "rank_biserial": -0.4}, "second better"),
        ({"examinations": 5}, "too few examinations"),
    ],
)
def test_a_clear_difference_needs_test_and_interval(change: dict[str, float], expected: str) -> None:
    row = {"images": 30, "examinations": 20, "low": 0.1, "high": 0.9, "p_holm": 0.049, "rank_biserial": 0.4}
    assert verdict({**row, **change}) == expected


def test_equal_errors_count_half() -> None:
    assert superiority(np.array([-1.0, 0.0, 0.0, 2.0, 3.0, math.nan])) == pytest.approx((1 + 2 / 2) / 5)


def test_every_pair_of_models_and_of_branches(three_models: Path) -> None:
    pairs = pairs_of(three_models)
    assert list(pairs.table.columns) == list(COLUMNS)
    assert pairs.not_compared == ()
    assert pairs.table["figure"].tolist() == [figure for figure in FIGURES for _ in range(4)]
    for figure in FIGURES:
        rows = of_figure(pairs, figure)
        assert [
            f"{row.first[:2]} {row.first_branch} {row.second[:2]} {row.second_branch}" for row in rows.itertuples()
        ] == [
            "H1 heatmap H2 coordinate",
            "H1 heatmap H3 heatmap",
            "H2 coordinate H3 heatmap",
            "H2 coordinate H2 heatmap",
        ]
    rows = of_figure(pairs, "mean_px")
    # On every image H2 is shifted by 2 px more than H1, and H3 by 4; H2's heatmap by 1 px, its coordinates by 6.5.
    assert rows["difference"].tolist() == pytest.approx(np.array([2.0, 4.0, 2.0, -5.5]) * SQUASH_X)
    assert rows["low"].tolist()[:3] == pytest.approx(np.array([2.0, 4.0, 2.0]) * SQUASH_X)
    assert set(rows["verdict"]) == {"too few examinations"}
    # A shift moves no diameter.
    assert set(of_figure(pairs, "bpd_mae_mm")["verdict"]) == {NO_DIFFERENCE}


def test_models_are_compared_image_by_image_and_corrected_by_figure(tmp_path: Path, make_run: MakeRun) -> None:
    generator = np.random.default_rng(7)
    images = [f"{number}.png" for number in range(12)]
    hardness = generator.uniform(5.0, 100.0, 12)
    shifts = {}
    for number, model in enumerate(("a", "b", "c")):
        for seed in (0, 1):
            shifts[model, seed] = hardness + 1.5 * number + generator.normal(0.0, 1.0, 12)
            make_run(tmp_path / "s" / f"{model}{seed}", shifts[model, seed], images, model=model, seed=seed)
    pairs = pairs_of(tmp_path / "s")
    rows = of_figure(pairs, "mean_px")
    by_model = {model: (shifts[model, 0] + shifts[model, 1]) / 2 * SQUASH_X for model in "abc"}
    for row, (first, second) in zip(rows.to_dict("records"), ("ab", "ac", "bc"), strict=True):
        difference = by_model[second] - by_model[first]
        assert row["difference"] == pytest.approx(difference.mean(), abs=1e-8)
        assert row["p"] == pytest.approx(stats.wilcoxon(difference).pvalue)
        assert (row["images"], row["examinations"]) == (12, 12)
    assert rows["p"].nunique() > 1
    for figure in FIGURES:
        family = of_figure(pairs, figure)
        np.testing.assert_array_equal(family["p_holm"], holm(family["p"].to_numpy(dtype=float)))
    assert rows["verdict"].tolist()[1] == "second worse"


def test_pairs_without_the_same_images_are_named(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0", images=["a.png", "b.png"])
    make_run(tmp_path / "s" / "1", images=["a.png", "c.png"], hypothesis="H3", model="stacked_hourglass")
    relabelled = make_run(tmp_path / "s" / "2", images=["a.png", "b.png"], hypothesis="H4", model="relabelled")
    regrouped = make_run(tmp_path / "s" / "3", images=["a.png", "b.png"], hypothesis="H5", model="regrouped")
    tables = {run.row.model: run.predictions for run in read_sweep(tmp_path / "s").runs}
    write_predictions(tables["relabelled"].assign(true_ofd_1_x=1.0), relabelled / "predictions.csv")
    write_predictions(tables["regrouped"].assign(examination="one"), regrouped / "predictions.csv")
    pairs = pairs_of(tmp_path / "s")
    assert pairs.table.empty
    assert len(pairs.not_compared) == 6
    against_first = pairs.not_compared[:3]
    assert against_first == (
        "H3 stacked_hourglass is not compared with H1 single_hourglass: they are tested on different images "
        "(2 and 2, 1 shared; for example b.png by one of them alone)",
        "H4 relabelled is not compared with H1 single_hourglass: their test images have different labels or pixel "
        "spacings",
        "H5 regrouped is not compared with H1 single_hourglass: their test images belong to different examinations",
    )


def test_without_spacing_only_px_are_compared(tmp_path: Path, make_run: MakeRun) -> None:
    images = [f"{number}.png" for number in range(8)]
    for number, model in enumerate(("a", "b")):
        folder = make_run(tmp_path / "s" / str(number), np.arange(8.0) + 1 + number, images, model=model)
        table = read_sweep(folder).runs[0].predictions
        millimetres = [column for column in table if str(column).endswith("_mm") or "_mm_" in str(column)]
        write_predictions(
            table.assign(mm_per_px=np.nan, **dict.fromkeys(millimetres, np.nan)), folder / "predictions.csv"
        )
    verdicts = pairs_of(tmp_path / "s").table.set_index("figure")["verdict"]
    assert verdicts["mean_px"] == "second worse"
    assert set(verdicts.drop("mean_px")) == {"no image with a pixel spacing"}


def test_one_model_of_one_branch_has_no_pair(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0")
    pairs = pairs_of(tmp_path / "s")
    assert pairs.table.empty
    assert list(pairs.table.columns) == list(COLUMNS)
    assert pairs.not_compared == ()


def test_of_many_models_each_is_compared_with_the_best(tmp_path: Path, make_run: MakeRun) -> None:
    shifts = [9.0, 8.0, *np.linspace(3.0, 7.0, MOST_EVERY_TWO - 1)]
    for number, shift in enumerate(shifts):
        make_run(tmp_path / str(number), [shift, shift + 1.0], overrides=[f"loss.weight={number}"])
    pairs = pairs_of(tmp_path)
    table = of_figure(pairs, "mean_px")
    best = "H1 single_hourglass loss.weight=2"
    assert len(table) == len(shifts) - 1
    assert ((table["first"] == best) | (table["second"] == best)).all()
    assert set(table["first"]) | set(table["second"]) == {
        f"H1 single_hourglass loss.weight={number}" for number in range(len(shifts))
    }
    (sentence,) = pairs.not_compared
    assert f"Of {MOST_EVERY_TWO + 1} models not every two are compared, but each with {best}," in sentence
