"""Folds put together: every image once, or a refusal that names what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fetal_lm.errors import InputError
from fetal_lm.report.entries import group_runs
from fetal_lm.report.pooling import on_shared_folds, out_of_fold, terciles, with_circumferences
from fetal_lm.report.predictions import read_predictions, write_predictions
from fetal_lm.report.sweep import read_sweep

from .conftest import MakeRun

IMAGES = (("e", "b"), ("d",), ("a", "c"))
"""Of three folds."""

MakeFold = Callable[..., Path]


@pytest.fixture
def make_fold(tmp_path: Path, make_run: MakeRun) -> MakeFold:
    """Makes the run of a fold in a sweep's folder, numbered by what is there."""

    def make(fold: int, images: tuple[str, ...] | None = None, folds: object = 3, **row: Any) -> Path:
        images = IMAGES[fold] if images is None else images
        sweep = tmp_path / "sweep"
        shifts = row.pop("shift_px", [2.0 + 4 * fold] * len(images))
        folder = make_run(sweep / str(len(list(sweep.glob("*")))), shifts, images=images, fold=fold, **row)
        (folder / "config.yaml").write_text(f"data: {{folds: {folds}}}\n")
        return folder

    return make


def test_every_image_is_there_once_for_each_seed(tmp_path: Path, make_fold: MakeFold) -> None:
    for seed in (1, 0):
        for fold in (2, 0, 1):
            make_fold(fold, seed=seed)
    (found,) = out_of_fold(read_sweep(tmp_path / "sweep"))
    assert found.label == "H1 single_hourglass (heatmap)"
    assert list(found.tables) == [0, 1]
    for table in found.tables.values():
        assert table["image"].tolist() == list("abcde")
        assert (table["ofd_1_x"] - table["true_ofd_1_x"]).tolist() == pytest.approx([10, 2, 10, 6, 2])


def test_branches_and_models_are_pooled_each_on_its_own(tmp_path: Path, make_fold: MakeFold) -> None:
    for fold, images in enumerate(IMAGES):
        shifts = {"coordinate": [1.0] * len(images), "heatmap": [2.0] * len(images)}
        make_fold(fold, shift_px=shifts, hypothesis="H2", model="hybrid_hourglass")
        make_fold(fold)
    found = out_of_fold(read_sweep(tmp_path / "sweep"))
    assert [one.label for one in found] == [
        "H2 hybrid_hourglass (coordinate)",
        "H2 hybrid_hourglass (heatmap)",
        "H1 single_hourglass (heatmap)",
    ]
    assert [len(one.tables[0]) for one in found] == [5, 5, 5]


def test_a_missing_fold_is_named_with_the_job_that_was_lost(tmp_path: Path, make_fold: MakeFold) -> None:
    for fold in range(3):
        make_fold(fold)
    for fold in (0, 2):
        make_fold(fold, seed=7)
    lost = tmp_path / "sweep" / "5"
    lost.mkdir()
    (lost / "error.txt").write_text("RuntimeError: out of memory\n")
    with pytest.raises(InputError, match=r"(?s)seed 7: expected every fold, but fold 1 is missing; 5 .*out of memory"):
        out_of_fold(read_sweep(tmp_path / "sweep"))


def test_an_image_of_two_folds_is_named(tmp_path: Path, make_fold: MakeFold) -> None:
    make_fold(0)
    make_fold(1)
    make_fold(2, images=("a", "b", "c"))
    with pytest.raises(InputError, match=r"1 of fold 2 \(.*2\) are in fold 0 too: b; pool runs of one split"):
        out_of_fold(read_sweep(tmp_path / "sweep"))


def test_a_fold_that_is_there_twice_is_named(tmp_path: Path, make_fold: MakeFold) -> None:
    for fold in (0, 1, 2, 1):
        make_fold(fold)
    with pytest.raises(InputError, match=r"3 \(.*\) repeats 1: single_hourglass with seed 0 and fold 1"):
        out_of_fold(read_sweep(tmp_path / "sweep"))


def test_seeds_of_other_images_or_labels_are_refused(tmp_path: Path, make_fold: MakeFold) -> None:
    for fold in range(3):
        make_fold(fold)
        make_fold(fold, seed=1, images=(*IMAGES[fold], "f") if fold == 1 else None)
    with pytest.raises(InputError, match=r"seeds 0 and 1: expected the same images, but 1 are .*alone: f; train both"):
        out_of_fold(read_sweep(tmp_path / "sweep"))
    folder = tmp_path / "sweep" / "3"
    table = read_predictions(folder / "predictions.csv").query("image != 'f'")
    row = json.loads((folder / "row.json").read_text())
    row["metrics"]["heatmap"].pop("images")
    (folder / "row.json").write_text(json.dumps(row))
    write_predictions(table, folder / "predictions.csv")
    assert len(out_of_fold(read_sweep(tmp_path / "sweep"))) == 1
    write_predictions(table.assign(true_bpd_1_x=table["true_bpd_1_x"] + 1), folder / "predictions.csv")
    with pytest.raises(InputError, match=r"seeds 0 and 1: the images have different labels or spacings"):
        out_of_fold(read_sweep(tmp_path / "sweep"))


def test_what_was_trained_on_is_not_out_of_fold(tmp_path: Path, make_fold: MakeFold) -> None:
    make_fold(0)
    make_fold(1, test_images_seen=1)
    make_fold(2)
    with pytest.raises(InputError, match=r"1 test images of .*1 show an examination that its weights were trained"):
        out_of_fold(read_sweep(tmp_path / "sweep"))


def test_how_many_folds_there_are_is_read_from_the_run(tmp_path: Path, make_fold: MakeFold) -> None:
    make_fold(0)
    make_fold(1, folds=4)
    with pytest.raises(InputError, match=r"expected one number of folds, got \[3, 4\]"):
        out_of_fold(read_sweep(tmp_path / "sweep"))
    make_fold(2, folds="many", seed=-1)
    with pytest.raises(InputError, match=r"config\.yaml: expected a whole number in data\.folds, got 'many'"):
        out_of_fold(read_sweep(tmp_path / "sweep"))


def test_pairs_are_made_on_the_folds_that_both_have(tmp_path: Path, make_fold: MakeFold) -> None:
    for fold in range(3):
        make_fold(fold)
    make_fold(1, model="stacked_hourglass")
    make_fold(2, model="stacked_hourglass")
    make_fold(0, model="hybrid_hourglass")
    (first, second, third), _ = group_runs(read_sweep(tmp_path / "sweep").runs)
    both = on_shared_folds(first, second)
    assert [[run.row.fold for run in entry.runs] for entry in both] == [[1, 2], [1, 2]]
    assert [entry.model for entry in both] == ["single_hourglass", "stacked_hourglass"]
    with pytest.raises(InputError, match=r"hybrid_hourglass cannot be compared with .*: folds 0 and 1, 2; test both"):
        on_shared_folds(second, third)


def test_another_sources_circumferences_become_the_truth(tmp_path: Path, make_fold: MakeFold) -> None:
    folder = make_fold(0)
    table = read_predictions(folder / "predictions.csv")
    table.loc[table["image"] == "b", "mm_per_px"] = np.nan
    write_predictions(table, folder / "predictions.csv")
    sweep = read_sweep(tmp_path / "sweep")
    (run,) = with_circumferences(sweep, {"b": 200.0, "e": 250.0, "z": 1.0}).runs
    assert run.predictions.set_index("image")["true_hc_mm"].to_dict() == pytest.approx(
        {"e": 250.0, "b": np.nan}, nan_ok=True
    )
    pd.testing.assert_frame_equal(
        run.predictions.drop(columns="true_hc_mm"), sweep.runs[0].predictions.drop(columns="true_hc_mm")
    )
    with pytest.raises(InputError, match="expected a circumference for each image, got none for e; give the data"):
        with_circumferences(sweep, {"b": 200.0})


def test_thirds_are_those_of_quantiles() -> None:
    generator = np.random.default_rng(0)
    for count in (3, 4, 5, 146, 802):
        sizes = pd.Series(generator.permutation(count) + generator.uniform(0.1, 0.9, count), index=range(7, 7 + count))
        expected = pd.qcut(sizes, 3, labels=["small", "middle", "large"])
        pd.testing.assert_series_equal(terciles(sizes), expected, check_names=False)


def test_thirds_of_equal_and_unknown_sizes() -> None:
    assert terciles(pd.Series([5.0, 5.0, np.nan, 5.0])).isna().tolist() == [False, False, True, False]
    assert terciles(pd.Series([5.0, 5.0, np.nan, 5.0])).dropna().tolist() == ["small", "middle", "large"]
    assert terciles(pd.Series([5.0])).tolist() == ["small"]
