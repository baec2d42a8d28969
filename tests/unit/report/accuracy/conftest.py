"""The study of accuracy: its files as modules, and sweeps of five folds made by hand."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fetal_lm.biometry import diameters
from fetal_lm.data.records import Record
from fetal_lm.report.predictions import prediction_table, write_predictions
from fetal_lm.report.row import RunRow, write_row

FOLDER = Path(__file__).parents[4] / "experiments" / "accuracy"
IMAGES = tuple(f"{number // 2:03d}_{'2' * (number % 2)}HC.png" for number in range(20))
"""Of ten examinations, two of each fold."""

HEAD = np.array([[100.0, 100.0], [300.0, 100.0], [200.0, 50.0], [200.0, 150.0]])
"""OFD of 200 px and BPD of 100 px in a frame of 200 x 400 (height x width)."""

MM_PER_PX = 0.5

MakeSweep = Callable[..., Path]
Modules = Mapping[str, ModuleType]


@pytest.fixture
def modules() -> Iterator[Modules]:
    """The files of the study, as Python finds them beside a script."""
    names = [path.stem for path in FOLDER.glob("*.py")]
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(FOLDER))
        for name in names:
            del sys.modules[name]


def head(number: int) -> np.ndarray:
    """The points of an image, larger from one to the next."""
    return HEAD * (0.5 + number / 40)


def stretched(number: int, ofd_px: float, bpd_px: float) -> np.ndarray:
    """The points with both diameters too long, at one end each."""
    points = head(number)
    points[1, 0] += ofd_px
    points[3, 1] += bpd_px
    return points


@pytest.fixture
def make_sweep(tmp_path: Path, make_row: Callable[..., RunRow]) -> MakeSweep:
    """Makes a finished sweep of folds; each image is predicted by a function of its number and the seed."""

    def make(
        name: str,
        predict: Callable[[int, int], np.ndarray],
        folds: Sequence[int] = range(5),
        seeds: Sequence[int] = (0,),
        images: Sequence[int] = range(20),
        **row: Any,
    ) -> Path:
        for place, (seed, fold) in enumerate((seed, fold) for seed in seeds for fold in folds):
            chosen = [number for number in images if number // 2 % 5 == fold]
            records = [
                Record(IMAGES[number], IMAGES[number][:3], (200, 400), head(number), MM_PER_PX) for number in chosen
            ]
            table = prediction_table(records, {"heatmap": np.stack([predict(number, seed) for number in chosen])})
            folder = tmp_path / name / str(place)
            folder.mkdir(parents=True)
            write_predictions(table, folder / "predictions.csv")
            pd.DataFrame({"epoch": [0], "train/loss": [1.0]}).to_csv(folder / "history.csv", index=False)
            (folder / "config.yaml").write_text("data:\n  folds: 5\n")
            about = {"parameters": 1_000_000 + 1000 * fold, **row}
            write_row(make_row(table, seed=seed, fold=fold, **about), folder / "row.json")
        return tmp_path / name

    return make


def hc18_csv(root: Path, extra_mm: float) -> Path:
    """A CSV in HC18's layout whose circumferences are so much longer than those of the points."""
    root.mkdir()
    lengths = [float(diameters(head(number), MM_PER_PX)["hc"]) + extra_mm for number in range(20)]
    rows = [f"{image},{MM_PER_PX},{length:.6f}" for image, length in zip(IMAGES, lengths, strict=True)]
    path = root / "training_set_pixel_size_and_HC.csv"
    path.write_text("\n".join(["filename,pixel size(mm),head circumference (mm)", *rows]) + "\n")
    return root
