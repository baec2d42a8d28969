"""What trained models say about a head that they never saw: the second stage of an audit.

The predictions are those that finished runs wrote for their test images. A run may speak about a row only if none of
its training and validation images is of the row's examination: a model repeats the labels that it was fitted or
selected on, wrong ones too. Its names are not asked: models that learnt exchanged names from the other rows of the same
source repeat them about heads that they never saw. They say where the head is, and the longer diameter is its OFD.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float

from fetal_lm.audit.distance import distances_px
from fetal_lm.audit.shape import shape_of
from fetal_lm.data.manifest import FILE_NAME, Manifest, read_manifest
from fetal_lm.data.rows import LabelRow
from fetal_lm.errors import InputError
from fetal_lm.geometry import Size
from fetal_lm.landmarks import BPD, OFD
from fetal_lm.report.predictions import POINT_COLUMNS
from fetal_lm.report.sweep import read_sweep


@dataclass(frozen=True)
class Disagreement:
    """Models against one row.

    Attributes:
        distance_px: median over the runs of the mean distance of the row's four points from the prediction, ends and
            names left aside, in px of the frame squashed to 256 x 256.
        exchange_gain_px: median over the runs of how much nearer the row is to the prediction, whose longer diameter
            counts as OFD, with OFD and BPD exchanged; negative if it is farther.
        runs: how many runs spoke.
    """

    distance_px: float
    exchange_gain_px: float
    runs: int


@dataclass(frozen=True, eq=False)
class _Prediction:
    run: int
    points_orig: Float[np.ndarray, "4 2"]
    size_orig: Size


@dataclass(eq=False)
class CrossFitted:
    """Predictions of finished runs, each used only where its run knows nothing about the head.

    Attributes:
        runs: names of the runs that were read.
        problems: runs that could not be read, and why.
        refused: predictions asked for whose run had seen the examination; they were not used.
        undecoded: predictions asked for that lack a landmark; they were not used.
        rows: rows that at least one run spoke about.
    """

    runs: list[str]
    problems: list[str]
    _predictions: dict[str, list[_Prediction]]
    _seen: list[Manifest]
    refused: int = field(default=0, init=False)
    undecoded: int = field(default=0, init=False)
    rows: int = field(default=0, init=False)

    def disagreement(self, row: LabelRow) -> Disagreement | None:
        """Compares a row with the runs that never saw its head; None if there is none, or a point is missing."""
        if not np.isfinite(row.points_orig).all():
            return None
        as_named, exchanged = [], []
        for prediction in self._predictions.get(row.image, ()):
            if self._seen[prediction.run].seen_by_name(row.image, row.examination):
                self.refused += 1
                continue
            if not np.isfinite(prediction.points_orig).all():
                self.undecoded += 1
                continue
            named, other = distances_px(row.points_orig, prediction.points_orig, prediction.size_orig)
            as_named.append(named)
            exchanged.append(other)
        if not as_named:
            return None
        self.rows += 1
        nearest = np.minimum(as_named, exchanged)
        gain_px = float(np.median(np.array(as_named) - np.array(exchanged)))
        return Disagreement(float(np.median(nearest)), gain_px, len(as_named))


def read_cross_fitted(folder: Path) -> CrossFitted:
    """Reads the predictions of a sweep's finished runs, of their primary branch, and what each run was trained on.

    Args:
        folder: of a sweep over folds, or of a single run.

    Raises:
        InputError: there is no run in the folder, or none with predictions and a split that can be read.
    """
    sweep = read_sweep(folder)
    problems = [f"{problem.name}: {problem.reason}" for problem in sweep.problems if problem.fatal]
    predictions: dict[str, list[_Prediction]] = defaultdict(list)
    seen: list[Manifest] = []
    names: list[str] = []
    for run in sweep.runs:
        try:
            knows = read_manifest(run.folder / FILE_NAME)
        except InputError as error:
            problems.append(f"{run.name}: {error}")
            continue
        table = run.predictions[run.predictions["branch"] == run.row.primary_branch]
        points = table[list(POINT_COLUMNS)].to_numpy(dtype=np.float64).reshape(-1, 4, 2)
        sizes = table[["height", "width"]].to_numpy(dtype=np.float64)
        for image, points_orig, (height, width) in zip(table["image"], points, sizes.tolist(), strict=True):
            named = _longer_is_ofd(points_orig)
            predictions[str(image)].append(_Prediction(len(names), named, (int(height), int(width))))
        names.append(run.name)
        seen.append(knows)
    if not names:
        raise InputError(
            f"{folder}: expected at least one finished run with predictions.csv and split.json, got none:\n  "
            + "\n  ".join(problems)
        )
    return CrossFitted(names, problems, dict(predictions), seen)


def _longer_is_ofd(points_orig: Float[np.ndarray, "4 2"]) -> Float[np.ndarray, "4 2"]:
    shape = shape_of(points_orig)
    return points_orig[[*BPD, *OFD]] if shape.bpd_px > shape.ofd_px else points_orig
