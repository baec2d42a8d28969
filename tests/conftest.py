"""Real data where the environment names it, and a tiny HC18 folder where it does not."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import hypothesis
import numpy as np
import pandas as pd
import pytest
import torch

from fetal_lm.report.predictions import summarise
from fetal_lm.report.row import RunRow

# How long an example takes is a question of how busy the machine is.
hypothesis.settings.register_profile("busy", deadline=None)
hypothesis.settings.load_profile("busy")

_PROCESSES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
if _PROCESSES > 1:
    # Each process, and what it starts, has its share of the cores: more threads than cores are ten times slower.
    _THREADS = max(1, (os.cpu_count() or 1) // _PROCESSES)
    os.environ.setdefault("OMP_NUM_THREADS", str(_THREADS))
    torch.set_num_threads(_THREADS)
    cv2.setNumThreads(_THREADS)

Ellipse = tuple[tuple[int, int], tuple[int, int], float]
"""(centre x, y), (radius along the angle, radius across), angle in degrees."""

HEADS: dict[str, Ellipse] = {
    "000_HC.png": ((40, 27), (24, 18), 0.0),
    "001_HC.png": ((38, 26), (22, 16), 20.0),
    "001_2HC.png": ((42, 28), (23, 17), 150.0),
    "002_HC.png": ((40, 27), (16, 24), 10.0),
}


@pytest.fixture(scope="session")
def make_row() -> Callable[..., RunRow]:
    """Makes the row of a finished run of H1 with the figures of its prediction table, but for what is given."""

    def make(table: pd.DataFrame, **given: Any) -> RunRow:
        branches = list(table["branch"].unique())
        defaults: dict[str, Any] = {
            "model": "single_hourglass",
            "hypothesis": "H1",
            "seed": 0,
            "fold": None,
            "data": "phantom",
            "split": "examination",
            "split_digest": "0123456789abcdef",
            "parameters": 1_320_000,
            "ms_per_image": 9.0,
            "train_seconds": 120.0,
            "epochs": 3,
            "primary_branch": branches[0],
            "overrides": [],
            "package_version": "0.1.0",
            "code_version": "deadbeef",
            "metrics": {branch: summarise(table[table["branch"] == branch]) for branch in branches},
        }
        return RunRow(**defaults | given)

    return make


@pytest.fixture
def hc18_root() -> Path:
    """The real HC18 folder that FETAL_LM_HC18 names."""
    root = os.environ.get("FETAL_LM_HC18")
    if not root:
        pytest.skip("set FETAL_LM_HC18 to the HC18 folder to test on real images")
    return Path(root)


@pytest.fixture
def make_hc18(tmp_path: Path) -> Callable[..., Path]:
    """Writes a folder in HC18's layout with images of 80 x 54 px and returns its root."""

    def make(heads: Mapping[str, Ellipse] | None = None) -> Path:
        heads = HEADS if heads is None else heads
        root = tmp_path / "hc18"
        folder = root / "training_set"
        folder.mkdir(parents=True)
        generator = np.random.default_rng(0)
        for name, (centre, radii, degrees) in heads.items():
            image = generator.integers(0, 256, (54, 80), dtype=np.uint8)
            outline = np.zeros((54, 80), np.uint8)
            cv2.ellipse(outline, centre, radii, degrees, 0, 360, 255, 1)
            cv2.imwrite(str(folder / name), image)
            cv2.imwrite(str(folder / name.replace(".png", "_Annotation.png")), outline)
        lines = ["filename,pixel size(mm),head circumference (mm)", *(f"{name},0.5,100.0" for name in heads)]
        (root / "training_set_pixel_size_and_HC.csv").write_text("\n".join(lines) + "\n")
        return root

    return make
