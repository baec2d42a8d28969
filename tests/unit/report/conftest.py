"""Run folders made by hand, as training would leave them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fetal_lm.data.records import Record
from fetal_lm.report.heatmaps import Heatmaps, write_heatmaps
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import RunRow, write_row

HEAD = np.array([[100.0, 100.0], [300.0, 100.0], [200.0, 50.0], [200.0, 150.0]])
"""OFD of 200 px and BPD of 100 px in a frame of 200 x 400 (height x width)."""

MakeRecord = Callable[..., Record]
MakeRun = Callable[..., Path]


@pytest.fixture
def make_record() -> MakeRecord:
    """Makes a record of `HEAD`: 0.5 mm per px, so that BPD is 50 mm and OFD 100 mm."""

    def make(image: str = "a.png", examination: str | None = None, **changes: Any) -> Record:
        record = Record(image, examination or image, (200, 400), HEAD.copy(), 0.5)
        return replace(record, **changes)

    return make


@pytest.fixture
def make_run(make_row: Callable[..., RunRow]) -> MakeRun:
    """Makes the folder of a finished run whose every landmark is `shift_px` to the right (one shift per image)."""

    def make(
        folder: Path,
        shift_px: Mapping[str, Sequence[float]] | Sequence[float] = (4.0, 8.0),
        images: Sequence[str] = ("a.png", "b.png"),
        **row: Any,
    ) -> Path:
        records = [Record(image, f"exam-{image}", (200, 400), HEAD.copy(), 0.5) for image in images]
        branches = shift_px if isinstance(shift_px, Mapping) else {"heatmap": shift_px}
        predicted = {
            branch: HEAD + np.stack([np.asarray(shifts), np.zeros(len(images))], axis=-1)[:, None, :]
            for branch, shifts in branches.items()
        }
        table = prediction_table(records, predicted)
        folder.mkdir(parents=True)
        write_predictions(table, folder / "predictions.csv")
        pd.DataFrame(
            {"epoch": [0, 1, 2], "train/loss": [3.0, 2.0, 1.0], "val/loss": [3.5, np.nan, 1.5], "lr": 0.001}
        ).to_csv(folder / "history.csv", index=False)
        write_row(make_row(table, **row), folder / "row.json")
        return folder

    return make


@pytest.fixture
def three_models(tmp_path: Path, make_run: MakeRun) -> Path:
    """A sweep of three models and two seeds with its list of jobs; H2 has two branches."""
    folder = tmp_path / "sweep"
    jobs: list[dict[str, Any]] = []
    models = (("H1", "single_hourglass"), ("H2", "hybrid_hourglass"), ("H3", "stacked_hourglass"))
    for hypothesis, model in models:
        for seed in (0, 1):
            number = len(jobs)
            shifts = (2.0 + number, 6.0 + number)
            branches = {"coordinate": shifts, "heatmap": (1.0, 1.0)} if hypothesis == "H2" else {"heatmap": shifts}
            overrides = [f"model={model}", f"seed={seed}"]
            make_run(folder / str(number), branches, hypothesis=hypothesis, model=model, seed=seed, overrides=overrides)
            jobs.append({"number": number, "name": f"{model}-{seed}", "overrides": overrides})
    (folder / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    return folder


@pytest.fixture
def give_heatmaps() -> Callable[[Path], None]:
    """Writes heatmaps of `make_run`'s two images, squashed to 128 x 128, with a peak at each true landmark."""

    def give(run: Path) -> None:
        to_orig = np.array([[400 / 128, 0, 400 / 256 - 0.5], [0, 200 / 128, 200 / 256 - 0.5]])
        cells = (HEAD / (400 / 32, 200 / 32)).astype(int)
        maps = np.zeros((2, 4, 32, 32), dtype=np.uint8)
        for k, (x, y) in enumerate(cells):
            maps[:, k, y, x] = 255
        write_heatmaps(Heatmaps(("a.png", "b.png"), maps, np.stack([to_orig] * 2), (128, 128)), run / "heatmaps.npz")

    return give
