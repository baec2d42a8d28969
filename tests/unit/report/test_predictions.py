"""Prediction tables: numbers that can be checked by hand, in frames that are not square."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fetal_lm.errors import InputError
from fetal_lm.landmarks import NAMES, half_turn
from fetal_lm.report.charges import image_measures, without_gross_error
from fetal_lm.report.predictions import (
    COLUMNS,
    best_median_worst,
    prediction_table,
    read_predictions,
    summarise,
    write_predictions,
)

from .conftest import HEAD, MakeRecord

# In a frame of 200 x 400 squashed to 256 x 256, 1 px is 0.64 wide and 1.28 high.
SQUASH_X, SQUASH_Y = 0.64, 1.28


def table_of(make_record: MakeRecord, *points: np.ndarray, mm_per_px: float = 0.5) -> pd.DataFrame:
    """A table with one image per array of predicted points `[4, 2]`."""
    records = [make_record(f"{number}.png", mm_per_px=mm_per_px) for number in range(len(points))]
    return prediction_table(records, {"heatmap": np.stack(points)})


def test_errors_are_in_squashed_px_and_isotropic_mm(make_record: MakeRecord) -> None:
    row = table_of(make_record, HEAD + np.array([[10.0, 0.0], [0.0, 10.0], [3.0, 4.0], [0.0, 0.0]])).iloc[0]
    assert row["error_px_ofd_1"] == pytest.approx(10 * SQUASH_X)
    assert row["error_px_ofd_2"] == pytest.approx(10 * SQUASH_Y)
    assert row["error_px_bpd_1"] == pytest.approx(math.hypot(3 * SQUASH_X, 4 * SQUASH_Y))
    assert row["error_mm_ofd_1"] == pytest.approx(5.0)
    assert row["error_mm_ofd_2"] == pytest.approx(5.0)
    assert row["error_mm_bpd_1"] == pytest.approx(2.5)
    assert row["error_px_bpd_2"] == row["error_mm_bpd_2"] == 0.0


def test_biometry_is_in_original_px_and_mm(make_record: MakeRecord) -> None:
    row = table_of(make_record, HEAD + np.array([[-10.0, 0.0], [10.0, 0.0], [0.0, -1.0], [0.0, 1.0]])).iloc[0]
    assert (row["true_bpd_px"], row["true_ofd_px"], row["true_bpd_mm"], row["true_ofd_mm"]) == (100, 200, 50, 100)
    assert (row["bpd_px"], row["ofd_px"], row["bpd_mm"], row["ofd_mm"]) == (102, 220, 51, 110)
    # A circle's circumference bounds that of an ellipse on either side.
    assert 100 * math.pi / 2 < row["true_hc_mm"] < 100 * math.pi
    assert row["true_hc_px"] == pytest.approx(2 * row["true_hc_mm"])


def test_half_turn_is_forgiven_in_order_free_errors_only(make_record: MakeRecord) -> None:
    row = table_of(make_record, half_turn(HEAD) + np.array([1.0, 0.0])).iloc[0]
    for name in NAMES:
        assert row[f"error_px_{name}"] == pytest.approx(SQUASH_X)
        assert row[f"error_mm_{name}"] == pytest.approx(0.5)
    assert row["raw_error_px_ofd_1"] == pytest.approx(201 * SQUASH_X)
    assert row["raw_error_px_bpd_1"] == pytest.approx(math.hypot(SQUASH_X, 100 * SQUASH_Y))
    # The prediction itself is kept as the model named it.
    assert (row["ofd_1_x"], row["ofd_2_x"]) == (301.0, 101.0)


def test_half_turns_are_counted(make_record: MakeRecord) -> None:
    turned = half_turn(HEAD)
    silent = np.full((4, 2), np.nan)
    one_point = np.where(np.arange(4)[:, None] == 0, turned, np.nan)
    odd = HEAD + np.array([[1 / 3, 0.1], [0.7, 0.2], [0.3, 1 / 7], [0.9, 0.6]])
    table = table_of(make_record, HEAD, turned, turned + 1.7, odd, silent, one_point)
    assert image_measures(table)["half_turned"].tolist() == [0, 1, 1, 0, 0, 1]
    assert summarise(table)["half_turned"] == 0.5
    # A turn that gains what two sums are rounded by is none.
    table.loc[3, "raw_error_px_ofd_1"] += 1e-12
    assert image_measures(table)["half_turned"].iloc[3] == 0


def test_swapping_one_pair_alone_is_an_error(make_record: MakeRecord) -> None:
    row = table_of(make_record, HEAD[[1, 0, 2, 3]]).iloc[0]
    assert row["error_mm_ofd_1"] + row["error_mm_bpd_1"] >= 50.0


def test_the_match_is_made_in_the_squashed_frame(make_record: MakeRecord) -> None:
    truth = np.array([[100.0, 100.0], [220.0, 100.0], [160.0, 40.0], [160.0, 160.0]])
    # The half turn costs 10 px more along the OFD and 7 px less along the BPD: dearer as it is, cheaper once squashed.
    predicted = np.array([[155.0, 100.0], [165.0, 100.0], [160.0, 103.5], [160.0, 96.5]])
    row = prediction_table([make_record(points_orig=truth)], {"heatmap": predicted[None]}).iloc[0]
    assert row["error_px_ofd_1"] == pytest.approx(65 * SQUASH_X)
    assert row["error_px_bpd_1"] == pytest.approx(56.5 * SQUASH_Y)
    # Millimetres follow the same choice.
    assert row["error_mm_ofd_1"] == pytest.approx(32.5)


def test_undecoded_stays_nan_in_the_table(make_record: MakeRecord) -> None:
    points = HEAD + np.array([1.0, 0.0])
    points[2] = np.nan
    row = table_of(make_record, points).iloc[0]
    for column in ("bpd_1_x", "bpd_1_y", "error_px_bpd_1", "raw_error_px_bpd_1", "error_mm_bpd_1"):
        assert math.isnan(row[column])
    for column in ("bpd_px", "hc_px", "bpd_mm", "hc_mm"):
        assert math.isnan(row[column])
    assert row["ofd_mm"] == pytest.approx(100.0)
    assert row["error_px_ofd_1"] == pytest.approx(SQUASH_X)


@pytest.mark.parametrize("half", [[np.nan, 50.0], [np.inf, 50.0]])
def test_half_a_point_is_undecoded(make_record: MakeRecord, half: list[float]) -> None:
    points = HEAD.copy()
    points[2] = half
    table = table_of(make_record, points)
    assert table[["bpd_1_x", "bpd_1_y"]].isna().all(axis=None)
    assert summarise(table)["undecoded_rate"] == 0.25


def test_summary_by_hand(make_record: MakeRecord) -> None:
    # Every landmark of the first image is 2 px right (1 mm), of the second 10 px right (5 mm).
    summary = summarise(table_of(make_record, HEAD + np.array([2.0, 0.0]), HEAD + np.array([10.0, 0.0]), HEAD))
    assert summary["mean_px"] == pytest.approx(4 * SQUASH_X)
    assert summary["median_px"] == pytest.approx(2 * SQUASH_X)
    assert summary["raw_mean_px"] == pytest.approx(4 * SQUASH_X)
    assert summary["mean_mm"] == pytest.approx(2.0)
    assert summary["median_mm"] == pytest.approx(1.0)
    assert [summary[f"sdr_{limit}mm"] for limit in (1, 2, 3, 4)] == pytest.approx([2 / 3] * 4)
    assert summary["bpd_mae_mm"] == summary["ofd_nme"] == summary["undecoded_rate"] == 0.0
    assert (summary["images"], summary["landmarks"], summary["images_without_mm"]) == (3, 12, 0)


def test_relative_errors_by_hand(make_record: MakeRecord) -> None:
    longer = HEAD + np.array([[0.0, 0.0], [20.0, 0.0], [0.0, 0.0], [0.0, 5.0]])
    summary = summarise(table_of(make_record, longer, HEAD))
    assert (summary["bpd_mae_mm"], summary["ofd_mae_mm"]) == pytest.approx((1.25, 5.0))
    assert (summary["bpd_nme"], summary["ofd_nme"]) == pytest.approx((0.025, 0.05))


def test_relative_errors_of_the_ends_by_hand(make_record: MakeRecord) -> None:
    # BPD of 100 px: its ends are 3 px and 5 px off although its length is 2 px off; OFD of 200 px: 30 and 10 px off.
    moved = HEAD + np.array([[30.0, 0.0], [0.0, 10.0], [0.0, 3.0], [0.0, 5.0]])
    for named in (moved, half_turn(moved)):
        summary = summarise(table_of(make_record, named, HEAD, mm_per_px=math.nan))
        assert summary["bpd_nme"] == pytest.approx(0.02 / 2)
        assert summary["bpd_endpoint_nme"] == pytest.approx(0.04 / 2)
        assert summary["ofd_endpoint_nme"] == pytest.approx(0.10 / 2)


def test_the_relative_error_of_an_end_charges_a_miss_the_farthest_corner(make_record: MakeRecord) -> None:
    points = HEAD.copy()
    points[0] = np.nan
    summary = summarise(table_of(make_record, points))
    assert summary["ofd_endpoint_nme"] == pytest.approx(math.hypot(299.5, 100.5) / 2 / 200)
    assert summary["bpd_endpoint_nme"] == 0.0


def test_the_relative_error_of_the_ends_is_never_below_the_benchmarks(make_record: MakeRecord) -> None:
    generator = np.random.default_rng(0)
    predicted = HEAD + generator.normal(0, 60, (200, 4, 2))
    measures = image_measures(table_of(make_record, *predicted))
    for name, ends in (("ofd", [0, 1]), ("bpd", [2, 3])):
        pair, truth = predicted[:, ends], HEAD[ends]
        length = np.linalg.norm(truth[0] - truth[1])
        # Each pair on its own, as compute_nme of the Multicentre benchmark frees the order.
        orders = [np.linalg.norm(pair[:, order] - truth, axis=-1).sum(axis=1) for order in ([0, 1], [1, 0])]
        theirs = np.minimum(*orders) / (2 * length)
        ours = measures[f"{name}_endpoint_nme"].to_numpy()
        assert (ours >= theirs - 1e-12).all()
        assert np.isclose(ours, theirs).mean() > 0.5


def test_a_miss_is_charged_the_farthest_corner_and_the_whole_length(make_record: MakeRecord) -> None:
    points = HEAD.copy()
    points[0] = np.nan
    summary = summarise(table_of(make_record, points))
    # OFD_1 is at (100, 100); the farthest corner of 400 x 200 is at (399.5, -0.5), 299.5 right and 100.5 up.
    assert summary["mean_px"] == pytest.approx(math.hypot(299.5 * SQUASH_X, 100.5 * SQUASH_Y) / 4)
    assert summary["mean_mm"] == pytest.approx(math.hypot(299.5, 100.5) * 0.5 / 4)
    assert summary["median_px"] == 0.0
    assert summary["sdr_4mm"] == 0.75
    assert summary["undecoded_rate"] == 0.25
    assert summary["ofd_mae_mm"] == pytest.approx(100.0)
    assert summary["ofd_nme"] == 1.0
    assert summary["bpd_mae_mm"] == 0.0
    table = table_of(make_record, HEAD)
    assert summary["hc_mae_mm"] == pytest.approx(table["true_hc_mm"].iloc[0])


def test_silence_never_beats_a_guess_within_the_frame(make_record: MakeRecord) -> None:
    silent = summarise(table_of(make_record, np.full((4, 2), np.nan)))
    generator = np.random.default_rng(0)
    for _ in range(50):
        guess = generator.uniform([0, 0], [399, 199], size=(4, 2))
        bold = summarise(table_of(make_record, guess))
        assert bold["mean_px"] <= silent["mean_px"]
        assert bold["raw_mean_px"] <= silent["raw_mean_px"]
        assert bold["mean_mm"] <= silent["mean_mm"]
        assert bold["sdr_4mm"] >= silent["sdr_4mm"] == 0.0


def test_a_miss_fails_every_threshold_however_small_the_frame_is(make_record: MakeRecord) -> None:
    summary = summarise(table_of(make_record, np.full((4, 2), np.nan), mm_per_px=0.001))
    assert summary["mean_mm"] < 1.0
    assert summary["sdr_1mm"] == summary["sdr_4mm"] == 0.0


def test_a_gross_error_is_a_tenth_of_the_ofd_off_in_the_original_frame(make_record: MakeRecord) -> None:
    # The OFD is 200 px; squashed the two axes have different scales.
    shifts = [(0, (20.0, 0.0)), (3, (0.0, -20.0)), (1, (20.1, 0.0)), (2, (0.0, 20.1)), (2, (15.0, 15.0))]
    predicted = [HEAD.copy() for _ in shifts]
    for points, (landmark, shift) in zip(predicted, shifts, strict=True):
        points[landmark] += shift
    silent, silent_at_the_edge = HEAD.copy(), HEAD.copy()
    silent[2] = silent_at_the_edge[1] = np.nan
    table = table_of(make_record, *predicted, half_turn(HEAD), silent, silent_at_the_edge)
    expected = [True, True, False, False, False, True, False, False]
    assert without_gross_error(table).tolist() == expected
    assert without_gross_error(table.assign(mm_per_px=np.nan)).tolist() == expected


def test_a_miss_is_a_gross_error_however_small_the_frame_is(make_record: MakeRecord) -> None:
    # Of a head far larger than its frame even the farthest corner is near.
    silent = 100 * HEAD
    silent[0] = np.nan
    record = make_record(points_orig=100 * HEAD, size_orig=(20, 20))
    assert without_gross_error(prediction_table([record], {"b": silent[None]})).tolist() == [False]


def test_unknown_spacing_gives_no_mm_and_is_counted(make_record: MakeRecord) -> None:
    known = table_of(make_record, HEAD + np.array([2.0, 0.0]))
    unknown = table_of(
        make_record, HEAD + np.array([[-100.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]), mm_per_px=math.nan
    )
    summary = summarise(pd.concat([known, unknown], ignore_index=True))
    assert summary["mean_mm"] == summary["median_mm"] == pytest.approx(1.0)
    assert summary["sdr_1mm"] == 1.0
    assert (summary["images"], summary["images_without_mm"]) == (2, 1)
    assert summary["ofd_nme"] == pytest.approx(0.25)
    alone = summarise(unknown)
    assert all(math.isnan(alone[name]) for name in ("mean_mm", "median_mm", "sdr_4mm", "bpd_mae_mm", "hc_mae_mm"))
    assert alone["mean_px"] == pytest.approx(25 * SQUASH_X)


def test_a_miss_without_spacing_is_charged_in_px_alone(make_record: MakeRecord) -> None:
    summary = summarise(table_of(make_record, np.full((4, 2), np.nan), mm_per_px=math.nan))
    assert summary["mean_px"] > 100
    assert math.isnan(summary["mean_mm"])
    assert math.isnan(summary["bpd_mae_mm"])
    assert summary["bpd_nme"] == 1.0


def test_measures_average_to_the_summary(make_record: MakeRecord) -> None:
    generator = np.random.default_rng(1)
    points = [HEAD + generator.normal(0, 5, (4, 2)) for _ in range(7)]
    points[3][1] = np.nan
    table = table_of(make_record, *points)
    measures, summary = image_measures(table), summarise(table)
    for name in measures.columns.drop(["image", "examination"]):
        assert measures[name].mean() == pytest.approx(summary[name])


def test_branches_become_rows(make_record: MakeRecord) -> None:
    records = [make_record("a.png"), make_record("b.png")]
    table = prediction_table(records, {"coordinate": np.stack([HEAD, HEAD]), "heatmap": np.stack([HEAD, HEAD + 1])})
    assert list(table["branch"]) == ["coordinate", "coordinate", "heatmap", "heatmap"]
    assert list(table.columns) == list(COLUMNS)
    with pytest.raises(ValueError, match="one branch"):
        summarise(table)


def test_wrong_count_and_bad_label_are_refused(make_record: MakeRecord) -> None:
    with pytest.raises(ValueError, match="for 1 records"):
        prediction_table([make_record()], {"heatmap": np.stack([HEAD, HEAD])})
    bad = make_record("bad.png", points_orig=HEAD * np.nan)
    with pytest.raises(ValueError, match=r"bad\.png is not finite"):
        prediction_table([bad], {"heatmap": HEAD[None]})


def test_a_table_survives_its_file(make_record: MakeRecord, tmp_path: Path) -> None:
    points = HEAD + 1 / 3
    points[1] = np.nan
    records = [make_record(name, mm_per_px=spacing) for name, spacing in (("NA", 0.1), ("007", math.nan), ("ü,|", 1.0))]
    table = prediction_table(records, {"heatmap": np.stack([points, HEAD, points])})
    write_predictions(table, tmp_path / "predictions.csv")
    pd.testing.assert_frame_equal(read_predictions(tmp_path / "predictions.csv"), table, check_exact=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda _: "", "expected the column 'image'"),
        (lambda text: text.replace("true_ofd_1_x", "x", 1), "expected the column 'true_ofd_1_x'"),
        (lambda text: text.splitlines()[0] + "\n", "at least one prediction"),
        (lambda text: text.replace(",200.0,400.0,", ",200.0,wide,"), "row 2: expected a number in 'width', got 'wide'"),
        (lambda text: text[: text.index("a.png") + 20], r"row 2: expected \d+ fields, got \d+"),
        (lambda text: text.replace(",200.0,400.0,", ",200.0,,"), "row 2: expected a size and a label"),
        (lambda text: text + text.splitlines()[1] + "\n", "row 3: image 'a.png' occurs twice"),
    ],
)
def test_a_damaged_file_is_named(make_record: MakeRecord, tmp_path: Path, damage, message) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "predictions.csv"
    write_predictions(prediction_table([make_record()], {"heatmap": HEAD[None]}), path)
    path.write_text(damage(path.read_text()))
    with pytest.raises(InputError, match=message) as raised:
        read_predictions(path)
    assert str(path) in str(raised.value)


def test_best_median_worst(make_record: MakeRecord) -> None:
    shifts = [3.0, 0.0, 9.0, 6.0, math.nan, 1.0, 4.0]
    table = table_of(make_record, *(HEAD + np.array([shift, 0.0]) for shift in shifts))
    chosen = best_median_worst(table, each=1)
    assert list(chosen["case"]) == ["best", "median", "worst"]
    assert list(chosen.index) == [1, 6, 4]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_no_case_is_shown_twice(make_record: MakeRecord, count: int) -> None:
    table = table_of(make_record, *(HEAD + np.array([number, 0.0]) for number in range(count)))
    chosen = best_median_worst(table, each=2)
    assert sorted(set(chosen.index)) == sorted(chosen.index) == list(range(count))
