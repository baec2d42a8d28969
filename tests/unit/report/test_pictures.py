"""Pictures are drawn, hold what they should, and never break on a name or a missing file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import image as mpl_image
from matplotlib.colors import to_rgb

from fetal_lm.landmarks import NAMES
from fetal_lm.report.entries import group_runs
from fetal_lm.report.pictures import (
    MOST_OVERLAYS,
    PREDICTION_COLOUR,
    TRUTH_COLOUR,
    comparison_picture,
    error_distribution,
    learning_curves,
    overlay_picture,
)
from fetal_lm.report.predictions import best_median_worst, prediction_table
from fetal_lm.report.sweep import read_sweep

from .conftest import HEAD, MakeRecord


def colour_share(path: Path, colour: str) -> float:
    """The share of a picture's pixels that have a colour."""
    picture = mpl_image.imread(path)[..., :3]
    return float((np.abs(picture - to_rgb(colour)).max(-1) < 0.02).mean())


def test_truth_and_prediction_are_drawn(make_record: MakeRecord, tmp_path: Path) -> None:
    # matplotlib would read $x_1$ as a formula and fail on a broken one.
    records = [make_record(name) for name in ("a_$x_1$.png", "b_$\\broken{$.png")]
    table = prediction_table(records, {"heatmap": np.stack([HEAD + 15, HEAD * np.nan])})
    images = [np.zeros((200, 400), np.uint8), np.full((200, 400), 255, np.uint8)]
    both, silent = tmp_path / "both.png", tmp_path / "silent.png"
    overlay_picture(images, best_median_worst(table), both, title="a_$b")
    overlay_picture(images[1:], table.iloc[1:], silent)
    assert colour_share(both, TRUTH_COLOUR) > 1e-3
    assert colour_share(both, PREDICTION_COLOUR) > 2 * colour_share(silent, PREDICTION_COLOUR)


def test_images_must_fit_their_rows(make_record: MakeRecord, tmp_path: Path) -> None:
    table = prediction_table([make_record()], {"heatmap": HEAD[None]})
    with pytest.raises(ValueError, match=r"\(400, 200\), its row says \(200"):
        overlay_picture([np.zeros((400, 200), np.uint8)], table, tmp_path / "x.png")
    with pytest.raises(ValueError, match="1 rows and at least one, got 0"):
        overlay_picture([], table, tmp_path / "x.png")
    assert not list(tmp_path.iterdir())


def test_the_comparison_shows_each_model_once(three_models: Path, tmp_path: Path) -> None:
    def overlay(number: int, colour: tuple[float, float, float]) -> None:
        mpl_image.imsave(three_models / str(number) / "overlay.png", np.full((30, 90, 3), colour))

    entries, _ = group_runs(read_sweep(three_models).runs)
    path = tmp_path / "predictions.png"
    assert comparison_picture(entries, path) is False
    assert not path.exists()
    overlay(0, (1.0, 0.0, 0.0))
    overlay(1, (0.0, 1.0, 0.0))
    # The first seed's is damaged, so that the second stands in; H3 has none.
    (three_models / "2" / "overlay.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    overlay(3, (0.0, 0.0, 1.0))
    assert comparison_picture(entries, path)
    assert colour_share(path, "#ff0000") == pytest.approx(colour_share(path, "#0000ff"), abs=0.02)
    assert colour_share(path, "#ff0000") > 0.3
    assert colour_share(path, "#00ff00") == 0.0


def test_of_many_models_the_first_ones_are_shown_and_the_others_counted(three_models: Path, tmp_path: Path) -> None:
    mpl_image.imsave(three_models / "0" / "overlay.png", np.full((30, 90, 3), (1.0, 0.0, 0.0)))
    entry = group_runs(read_sweep(three_models).runs)[0][0]
    heights = []
    for count in (MOST_OVERLAYS, 4 * MOST_OVERLAYS):
        assert comparison_picture([entry] * count, tmp_path / "predictions.png")
        heights.append(mpl_image.imread(tmp_path / "predictions.png").shape[0])
    assert 0 < heights[1] - heights[0] < 0.02 * heights[0]


def test_learning_curves(three_models: Path, tmp_path: Path) -> None:
    history = pd.read_csv(three_models / "0" / "history.csv")
    history.assign(**{"val/coordinate/mean_px": [-1.0, 0.0, 1.0]}).to_csv(
        three_models / "0" / "history.csv", index=False
    )
    history.head(1).to_csv(three_models / "1" / "history.csv", index=False)
    (three_models / "2" / "history.csv").unlink()
    entries, _ = group_runs(read_sweep(three_models).runs)
    assert learning_curves(entries, tmp_path / "curves.png")
    assert colour_share(tmp_path / "curves.png", "#ffffff") < 0.99


def test_without_a_history_there_are_no_curves(three_models: Path, tmp_path: Path) -> None:
    for number in range(6):
        (three_models / str(number) / "history.csv").unlink()
    entries, _ = group_runs(read_sweep(three_models).runs)
    assert learning_curves(entries, tmp_path / "curves.png") is False
    assert learning_curves((), tmp_path / "curves.png") is False
    assert not (tmp_path / "curves.png").exists()


def test_error_distribution(three_models: Path, tmp_path: Path) -> None:
    entries, _ = group_runs(read_sweep(three_models).runs)
    assert error_distribution(entries, tmp_path / "errors.png")
    assert error_distribution((), tmp_path / "none.png") is False


def test_a_perfect_model_and_unknown_spacing_can_be_drawn(three_models: Path, tmp_path: Path) -> None:
    runs = read_sweep(three_models).runs[:1]
    for name in NAMES:
        runs[0].predictions[f"error_px_{name}"] = 0.0
        runs[0].predictions[f"error_mm_{name}"] = np.nan
    runs[0].predictions["mm_per_px"] = np.nan
    entries, _ = group_runs(runs)
    assert error_distribution(entries, tmp_path / "errors.png")
