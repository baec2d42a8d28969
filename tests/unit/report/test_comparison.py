"""Comparisons: seeds averaged, folds pooled, variants apart, unfair ones flagged."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from fetal_lm.data.records import Record
from fetal_lm.landmarks import half_turn
from fetal_lm.report.comparison import Comparison, compare
from fetal_lm.report.fairness import digest_of_test_set
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.sweep import read_sweep
from fetal_lm.report.tables import markdown

from .conftest import HEAD, MakeRun

SQUASH_X = 0.64


def comparison_of(folder: Path) -> Comparison:
    """The comparison of a sweep that has no problem."""
    sweep = read_sweep(folder)
    assert not sweep.problems
    return compare(sweep)


def test_a_row_by_hand(three_models: Path) -> None:
    comparison = comparison_of(three_models)
    assert not comparison.warnings
    # Seed 0 is shifted by 2 and 6 px, seed 1 by 3 and 7: means 4 and 5, images' averages 2.5 and 6.5.
    row = comparison.table.iloc[0]
    assert row["mean_px"] == pytest.approx(4.5 * SQUASH_X)
    assert row["mean_px_sd"] == pytest.approx(math.sqrt(0.5) * SQUASH_X)
    assert 2.49 * SQUASH_X < row["mean_px_low"] < row["mean_px"] < row["mean_px_high"] < 6.51 * SQUASH_X
    assert row["mean_mm"] == pytest.approx(2.25)
    assert row["sdr_1mm"] == pytest.approx(0.25)
    assert (row["seeds"], row["folds"], row["images"], row["parameters"]) == (2, 1, 2, 1_320_000)


def test_rows_follow_the_sweep_with_a_row_per_branch(three_models: Path) -> None:
    table = comparison_of(three_models).table
    assert list(zip(table["hypothesis"], table["branch"], table["primary"], strict=True)) == [
        ("H1", "heatmap", True),
        ("H2", "coordinate", True),
        ("H2", "heatmap", False),
        ("H3", "heatmap", True),
    ]


def test_a_model_whose_first_job_crashed_keeps_its_place(three_models: Path) -> None:
    # Seeds in the outer loop, as a sweep over `seed` and then `model` has them.
    listed = json.loads((three_models / "sweep.json").read_text())
    listed["jobs"] = [listed["jobs"][number] for number in (0, 2, 4, 1, 3, 5)]
    (three_models / "sweep.json").write_text(json.dumps(listed))
    (three_models / "0" / "row.json").unlink()
    assert [entry.hypothesis for entry in compare(read_sweep(three_models)).entries] == ["H1", "H2", "H3"]


def test_what_the_names_cost(tmp_path: Path, make_run: MakeRun) -> None:
    for seed, turned in ((0, ["b"]), (1, ["b", "c"])):
        folder = make_run(tmp_path / "s" / str(seed), (0.0, 0.0, 0.0, 0.0), images=list("abcd"), seed=seed)
        points = np.stack([half_turn(HEAD) if image in turned else HEAD for image in "abcd"])
        records = [Record(image, f"exam-{image}", (200, 400), HEAD.copy(), 0.5) for image in "abcd"]
        write_predictions(prediction_table(records, {"heatmap": points}), folder / "predictions.csv")
    (row,) = comparison_of(tmp_path / "s").table.to_dict("records")
    # A turn moves the ends of the OFD by 200 px to the side and those of the BPD by 100 px up or down (0.64 and 1.28).
    one_turn = (200 * 0.64 + 100 * 1.28) / 2
    assert row["mean_px"] == 0.0
    assert row["naming_px"] == row["raw_mean_px"] == pytest.approx((0.25 + 0.5) / 2 * one_turn)
    assert row["half_turned"] == pytest.approx((0.25 + 0.5) / 2)
    assert 0.0 <= row["naming_px_low"] < row["naming_px"] < row["naming_px_high"] <= one_turn


def test_folds_are_pooled_for_each_seed(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0", (1.0,), images=["a"], fold=0, split_digest="zero")
    make_run(tmp_path / "s" / "1", (2.0, 6.0), images=["b", "c"], fold=1, split_digest="one")
    comparison = comparison_of(tmp_path / "s")
    (row,) = comparison.table.to_dict("records")
    assert (row["seeds"], row["folds"], row["images"]) == (1, 2, 3)
    assert row["mean_px"] == pytest.approx(3 * SQUASH_X)
    assert math.isnan(row["mean_px_sd"])
    assert not comparison.warnings


def test_other_overrides_make_a_variant(tmp_path: Path, make_run: MakeRun) -> None:
    common = ["experiment=x", "trainer=cpu"]
    make_run(tmp_path / "s" / "0", overrides=[*common, "model=single_hourglass", "optim.lr=0.1", "hydra.verbose=true"])
    make_run(tmp_path / "s" / "1", overrides=[*common, "optim.lr=0.2", "data.root=/b", "logger=csv"])
    make_run(tmp_path / "s" / "2", overrides=[*common, "optim.lr=0.2", "model.depth=3"])
    comparison = comparison_of(tmp_path / "s")
    assert list(comparison.table["variant"]) == ["optim.lr=0.1", "optim.lr=0.2", "model.depth=3 optim.lr=0.2"]
    assert comparison.entries[0].label == "H1 single_hourglass optim.lr=0.1"


def test_what_may_change_when_a_sweep_goes_on_makes_no_variant(tmp_path: Path, make_run: MakeRun) -> None:
    free = (
        "trainer.log_every_n_steps=5",
        "data.workers=1",
        "data.study_seeds='0,1'",
        "+callbacks.checkpoint.verbose=1",
    )
    make_run(tmp_path / "s" / "0", seed=0, overrides=["seed=0", "optim.lr=0.1"])
    make_run(tmp_path / "s" / "1", seed=1, overrides=["seed=1", "optim.lr=0.1", *free, "~callbacks.learning_rate"])
    comparison = comparison_of(tmp_path / "s")
    assert not comparison.warnings
    assert [(entry.variant, len(entry.runs)) for entry in comparison.entries] == [("", 2)]


def test_what_a_result_may_depend_on_makes_a_variant(tmp_path: Path, make_run: MakeRun) -> None:
    overrides = ("data.default_epochs=8", "data.source.root=/b", "trainer.max_epochs=3", "callbacks=ema")
    for number, override in enumerate(overrides):
        make_run(tmp_path / "s" / str(number), overrides=[override])
    assert list(comparison_of(tmp_path / "s").table["variant"]) == list(overrides)


def test_a_repeated_run_counts_once_and_is_named(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0", (1.0, 1.0))
    make_run(tmp_path / "s" / "1", (9.0, 9.0))
    comparison = comparison_of(tmp_path / "s")
    assert comparison.table["mean_px"].tolist() == pytest.approx([SQUASH_X])
    assert "repeats 0: single_hourglass with seed 0; only 0 counts" in comparison.warnings[0]


@pytest.mark.parametrize(
    ("change", "warning"),
    [
        ({"data": "hc18"}, "Runs are about different data: phantom (0); hc18 (1)."),
        ({"split": {"by": "image"}}, 'Runs use different kinds of split: examination (0); {"by": "image"} (1).'),
        ({"split_digest": "f" * 64}, "Runs are split differently: 0123456789ab (0); ffffffffffff (1)."),
        ({"images": ["a.png", "c.png"]}, "Runs are tested on different images or labels: 2 images, "),
        ({"images": ["a.png"], "shift_px": [1.0]}, "Runs are tested on different images or labels: 2 images, "),
        ({"seed": 5}, "Models have different seeds: seed 0 (H1 single_hourglass); seed 5 (H3 stacked_hourglass)."),
        ({"test_images_seen": 2}, "2 of the 2 test images of 1 show an examination that its weights were trained"),
        ({"code_version": None}, "Runs come from different versions of the code: deadbeef (0); unknown (1)."),
        ({"package_version": "0.2.0"}, "Runs come from different versions of fetal_lm: 0.1.0 (0); 0.2.0 (1)."),
        ({"package_version": None}, "Runs come from different versions of fetal_lm: 0.1.0 (0); unknown (1)."),
    ],
)
def test_what_is_unfair_is_said(tmp_path: Path, make_run: MakeRun, change: dict[str, object], warning: str) -> None:
    make_run(tmp_path / "s" / "0")
    make_run(tmp_path / "s" / "1", hypothesis="H3", model="stacked_hourglass", **change)
    comparison = comparison_of(tmp_path / "s")
    assert len(comparison.warnings) == 1
    assert comparison.warnings[0].startswith(warning)
    # Without the same images there are no pairs.
    assert bool(len(comparison.pairs.table)) == ("images" not in change)
    assert bool(comparison.pairs.not_compared) == ("images" in change)


def test_a_study_of_the_training_set_may_split_differently(tmp_path: Path, make_run: MakeRun) -> None:
    for number, share in enumerate(("0.1", "1.0")):
        make_run(tmp_path / "s" / str(number), split_digest=share, overrides=[f"split.train_fraction={share}"])
    comparison = comparison_of(tmp_path / "s")
    assert comparison.warnings == ()
    assert [entry.variant for entry in comparison.entries] == ["split.train_fraction=0.1", "split.train_fraction=1.0"]


def test_other_labels_of_the_same_images_are_another_test_set(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0")
    folder = make_run(tmp_path / "s" / "1", hypothesis="H3", model="stacked_hourglass")
    table = read_sweep(tmp_path / "s").runs[1].predictions
    table["true_ofd_1_x"] += 1.0
    write_predictions(table, folder / "predictions.csv")
    (warning,) = comparison_of(tmp_path / "s").warnings
    assert "different images or labels" in warning


def test_where_a_job_is_missing_mean_and_interval_are_of_the_same_images(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0", (1.0, 1.0), images=["a", "b"], seed=0, fold=0, split_digest="zero")
    make_run(tmp_path / "s" / "1", (20.0, 20.0), images=["c", "d"], seed=0, fold=1, split_digest="one")
    make_run(tmp_path / "s" / "2", (1.0, 1.0), images=["a", "b"], seed=1, fold=0, split_digest="zero")
    comparison = compare(read_sweep(tmp_path / "s"))
    row = comparison.table.iloc[0]
    # By seeds it would be (10.5 + 1) / 2, and what lies between the seeds would be the fold.
    assert row["mean_px"] == pytest.approx(10.5 * SQUASH_X)
    assert math.isnan(row["mean_px_sd"])
    assert (row["images"], row["runs"]) == (4, 3)
    text = markdown(comparison)
    assert "| 3 of 2 x 2 folds |" in text
    assert "Test images: 4, some of them not for each seed." in text


def test_an_image_in_two_folds_counts_once_and_is_named(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0", (1.0, 1.0), images=["a", "b"], fold=0, split_digest="zero")
    make_run(tmp_path / "s" / "1", (9.0, 1.0), images=["a", "c"], fold=1, split_digest="one")
    comparison = comparison_of(tmp_path / "s")
    assert comparison.table["images"].tolist() == [3]
    assert comparison.table["mean_px"].tolist() == pytest.approx([SQUASH_X])
    assert comparison.warnings[0].startswith("1 images of 1 are already in the test set of 0")


def test_the_digest_ignores_order_and_predictions(tmp_path: Path, make_run: MakeRun) -> None:
    make_run(tmp_path / "s" / "0")
    table = read_sweep(tmp_path / "s").runs[0].predictions
    moved = table.iloc[::-1].assign(ofd_1_x=np.nan)
    assert digest_of_test_set(moved) == digest_of_test_set(table)
    assert digest_of_test_set(table.assign(mm_per_px=0.6)) != digest_of_test_set(table)
    assert digest_of_test_set(table.assign(mm_per_px=np.nan)) == digest_of_test_set(table.assign(mm_per_px=np.nan))


def test_no_surviving_run_is_an_empty_comparison(three_models: Path) -> None:
    for number in range(6):
        (three_models / str(number) / "row.json").unlink()
    comparison = compare(read_sweep(three_models))
    assert comparison.table.empty
    assert comparison.entries == ()
    assert comparison.pairs.table.empty
    assert comparison.pairs.not_compared == ()
