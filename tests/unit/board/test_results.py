"""What W&B is given, before it is sent."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fetal_lm.board import names
from fetal_lm.board.distribution import GRID, distribution_points
from fetal_lm.board.overlay import PREDICTION, SIDE_PX, TRUTH, small_overlay
from fetal_lm.board.panels import TABLE_FIGURES
from fetal_lm.board.results import image_table, log_results
from fetal_lm.data.records import Record
from fetal_lm.landmarks import NAMES
from fetal_lm.report.columns import COLUMNS
from fetal_lm.report.predictions import prediction_table, read_predictions
from fetal_lm.report.row import read_row

HEAD = np.array([[100.0, 100.0], [300.0, 100.0], [200.0, 50.0], [200.0, 150.0]])


def table(*shifts_px: float, mm_per_px: float = 0.5) -> pd.DataFrame:
    """An image of 200 x 400 for each shift of the whole head to the right; NaN finds nothing."""
    records = [Record(f"{number}.png", "e", (200, 400), HEAD, mm_per_px) for number in range(len(shifts_px))]
    return prediction_table(records, {"heatmap": HEAD + np.array([(shift, 0.0) for shift in shifts_px])[:, None, :]})


def test_the_workspace_asks_for_every_figure_of_the_comparison() -> None:
    # How many seeds there are is the number of runs in a group; the success rates share a column.
    assert {column.figure for column in COLUMNS} - {"seeds"} <= set(TABLE_FIGURES)
    assert {f"sdr_{threshold}mm" for threshold in (1, 2, 3, 4)} <= set(TABLE_FIGURES)
    assert {names.name_of(figure).split("/")[0] for figure in TABLE_FIGURES} == {"test", "biometry", "cost"}


def test_the_curve_is_the_share_within_each_error() -> None:
    points = distribution_points(table(0.0, 10.0, np.nan))
    assert len(points) == len(GRID)
    share = np.array([point["distribution/within_px"] for point in points])
    errors = np.array([point["distribution/error_px"] for point in points])
    assert (np.diff(share) >= 0).all()
    # 10 px of 400 are 6.4 of 256; what was missed costs more than 100.
    assert share[errors < 6.3] == pytest.approx(1 / 3)
    assert share[(errors > 6.5) & (errors < 100)] == pytest.approx(2 / 3)
    millimetres = [point["distribution/within_mm"] for point in points if point["distribution/error_mm"] > 5.1]
    assert millimetres[0] == pytest.approx(2 / 3)
    assert all("distribution/error_mm" not in point for point in distribution_points(table(1.0, mm_per_px=np.nan)))


@pytest.mark.parametrize("size", [(200, 400), (400, 900)], ids=["as it is", "shrunk"])
def test_an_overlay_is_small_and_its_marks_are_in_place(size: tuple[int, int]) -> None:
    height, width = size
    scale = min(1.0, SIDE_PX / width)
    truth = np.array(
        [[width * 0.25, height * 0.5], [width * 0.75, height * 0.5], [width * 0.5, 40.0], [width * 0.5, 160.0]]
    )
    row = {"height": height, "width": width}
    for name, (x, y) in zip(NAMES, truth, strict=True):
        row |= {
            f"true_{name}_x": x,
            f"true_{name}_y": y,
            f"{name}_x": x + 60.0,
            f"{name}_y": np.nan if name == NAMES[0] else y,
        }
    picture = small_overlay(np.zeros(size, np.uint8), row)
    assert picture.shape == (round(height * scale), round(width * scale), 3)
    # A cross is brightest in its middle, a circle is dark there but for the diameter that passes.
    for number, point in enumerate((truth + 0.5) * scale - 0.5):
        x, y = np.rint(point).astype(int)
        assert picture[y - 5 : y + 6, x - 5 : x + 6].reshape(-1, 3).max(axis=0) == pytest.approx(TRUTH, abs=12), number
    for number, point in enumerate((truth + (60.0, 0.0) + 0.5) * scale - 0.5):
        x, y = np.rint(point).astype(int)
        found = np.abs(picture[y, x].astype(int) - PREDICTION).max() < 60
        assert found == (number != 0), "an undecoded landmark is not drawn"


def test_a_wild_prediction_is_drawn_without_an_error() -> None:
    row = {str(name): value for name, value in table(1e12).iloc[0].items()}
    assert small_overlay(np.zeros((200, 400), np.uint8), row).shape == (160, 320, 3)


def test_the_table_has_every_row_and_the_worst_have_pictures(caplog: pytest.LogCaptureFixture) -> None:
    read: list[str] = []

    def image(name: str) -> np.ndarray:
        read.append(name)
        return np.zeros((200, 400), np.uint8)

    with caplog.at_level(logging.INFO):
        content = image_table(table(1.0, np.nan, 5.0, mm_per_px=np.nan), image, overlays=2)
    rows = [dict(zip(content.columns, row, strict=True)) for row in content.data]
    assert [row["image"] for row in rows] == ["1.png", "2.png", "0.png"]
    assert read == ["1.png", "2.png"]
    assert [row["overlay"] is None for row in rows] == [False, False, True]
    assert rows[2]["mean_px"] == pytest.approx(0.64)
    assert rows[0]["undecoded_rate"] == 1.0
    assert {row["bpd_mae_mm"] for row in rows} == {None}, "unknown is empty, not NaN"
    assert "2 worst of 3 rows" in caplog.text


class Recorder:
    """Stands for a W&B run."""

    id = "abc"

    def __init__(self) -> None:
        self.summary: dict[str, Any] = {}
        self.artifacts: list[Any] = []

    def log(self, _: dict[str, Any]) -> None:
        """Takes everything."""

    def log_artifact(self, artifact: Any, **_: Any) -> None:
        self.artifacts.append(artifact)


@pytest.mark.parametrize(("models", "kinds"), [(True, ["split", "model"]), (False, ["split"])])
def test_weights_stay_at_home_if_they_shall(offline_sweep: Path, models: bool, kinds: list[str]) -> None:
    job, run = offline_sweep / "0", Recorder()
    row, found = read_row(job / "row.json"), read_predictions(job / "predictions.csv")
    log_results(run, row, found, job, lambda _: np.zeros((1, 1), np.uint8), overlays=0, models=models)
    assert [artifact.type for artifact in run.artifacts] == kinds
    assert run.summary["cost/parameters"] == 1234


def test_pictures_wait_beside_the_run_not_in_the_users_home(offline_sweep: Path) -> None:
    assert any((offline_sweep / "0" / "wandb" / "artifacts" / "staging").iterdir())
    assert not (offline_sweep.parent / "home" / ".local").exists()
    assert "WANDB_DATA_DIR" not in os.environ
