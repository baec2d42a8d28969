"""Challenge folders made of phantom heads, whose labels are exact until a test spoils them."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetal_lm.data.adapters.challenge import Challenge
from fetal_lm.data.adapters.phantom import Phantom

IMAGES = 7
Labels = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def phantom_heads(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Labels, float]:
    """Drawn images of 800 x 540 px as `EXAMINATION_FRAME.png`, their exact labels, and their spacing."""
    root = tmp_path_factory.mktemp("phantoms")
    source = Phantom(seed=0, images=IMAGES)
    labels = {}
    for record in source.records():
        name = record.image.rpartition("-")[0] + "_" + record.image.rpartition("-")[2]
        cv2.imwrite(str(root / name), source.read(record))
        labels[name] = record.points_orig
    return root, labels, source.records()[0].mm_per_px


@pytest.fixture
def write_labels(tmp_path: Path, phantom_heads: tuple[Path, Labels, float]) -> Callable[..., Challenge]:
    """Writes labels (and lines as they are) as a challenge CSV over the drawn images, whose spacing is known."""

    def write(labels: Labels, lines: Sequence[str] = (), folder: str = "challenge") -> Challenge:
        drawn, known, mm_per_px = phantom_heads
        root = tmp_path / folder
        (root / "training_set").mkdir(parents=True)
        for name in known:
            (root / "training_set" / name).symlink_to(drawn / name)
        spacing = [f"{name},{mm_per_px}" for name in known]
        (root / "training_set_pixel_size_and_HC.csv").write_text("\n".join(["filename,pixel size(mm)", *spacing]))
        with (root / "role_challenge_dataset_ground_truth.csv").open("w", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(Challenge.columns)
            writer.writerows([name, *points.ravel().tolist()] for name, points in labels.items())
            handle.writelines(f"{line}\n" for line in lines)
        return Challenge(root)

    return write
