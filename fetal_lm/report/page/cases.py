"""Every test image with its truth, and every prediction of it: what points, curves and gallery are drawn from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from fetal_lm.landmarks import NAMES
from fetal_lm.report.charges import charged_errors, image_measures
from fetal_lm.report.entries import Entry
from fetal_lm.report.page.series import Series
from fetal_lm.report.predictions import DIAMETERS
from fetal_lm.report.sweep import Run

MOST_PREDICTIONS: Final = 24_000
"""More predictions than these make a browser slow; runs beyond it are in the table alone, and the page says so."""

SIZES: Final = ("small", "middle", "large")
UNKNOWN_SIZE: Final = -1

_TRUTH: Final = [f"true_{name}_{axis}" for name in NAMES for axis in "xy"]
_POINTS: Final = [f"{name}_{axis}" for name in NAMES for axis in "xy"]


@dataclass(frozen=True, eq=False)
class Cases:
    """The predictions that the page shows.

    Attributes:
        runs: whose predictions these are.
        left_out: names of the runs that did not fit.
        images: one row per image and label: image, examination, height, width, mm_per_px, truth in original px, true
            lengths, `size` (0 to 2 by tercile of the true circumference, `UNKNOWN_SIZE` without one), `run` (number of
            the first run that tested it).
        predictions: one row per series and image of a run: columns of a `prediction_table`, and series, run, item
            (numbers of a series, a run and a row of `images`), error_px_*, error_mm_* with misses charged,
            undecoded_*, mean_px, mean_mm.
        size_edges: the circumferences between the terciles; in px where no image has a spacing.
        size_unit: of the edges.
    """

    runs: tuple[Run, ...]
    left_out: tuple[str, ...]
    images: pd.DataFrame
    predictions: pd.DataFrame
    size_edges: tuple[float, float]
    size_unit: str


def cases_of(entries: Sequence[Entry], series: Sequence[Series], most: int = MOST_PREDICTIONS) -> Cases:
    """Gathers the predictions of a comparison.

    Where there are more than `most`, whole runs are left out, the last seeds and folds of all models alike, so that
    what is compared is of the same ones. Of the first ones too, where that many models have one.

    Args:
        entries: of a `Comparison`, at least one.
        series: of `series_of`.
        most: predictions to keep; the first run is kept however long it is.
    """
    ranked = sorted(
        ((rank, number, run) for number, entry in enumerate(entries) for rank, run in enumerate(entry.runs)),
        key=lambda found: found[:2],
    )
    numbers = {(one.entry, one.branch): number for number, one in enumerate(series)}
    kept: list[Run] = []
    left_out: list[str] = []
    frames: list[pd.DataFrame] = []
    total = 0
    sizes = Counter[int]()
    for rank, _, run in ranked:
        sizes[rank] += len(run.predictions)
    fitting = {rank for rank in sizes if sum(sizes[lower] for lower in range(rank + 1)) <= most}
    for rank, entry, run in ranked:
        if rank not in fitting and (rank > 0 or (kept and total + len(run.predictions) > most)):
            left_out.append(run.name)
            continue
        total += len(run.predictions)
        branch = [numbers[entry, name] for name in run.predictions["branch"]]
        frames.append(run.predictions.assign(series=branch, run=len(kept)))
        kept.append(run)
    predictions = pd.concat(frames, ignore_index=True)
    # One image may bear different labels in different runs; each label is then an item of its own.
    keys = ["image", "height", "width", "mm_per_px", *_TRUTH]
    predictions["item"] = predictions.groupby(keys, sort=False, dropna=False).ngroup()
    images = predictions.drop_duplicates("item").sort_values("item", ignore_index=True)
    size, edges, unit = _terciles(images)
    columns = [*keys, "examination", "run", *(f"true_{name}_mm" for name in DIAMETERS)]
    return Cases(tuple(kept), tuple(left_out), images[columns].assign(size=size), _charged(predictions), edges, unit)


def _charged(predictions: pd.DataFrame) -> pd.DataFrame:
    charges = charged_errors(predictions)
    measures = image_measures(predictions)
    columns: dict[str, Any] = {"mean_px": measures["mean_px"], "mean_mm": measures["mean_mm"]}
    for k, name in enumerate(NAMES):
        columns[f"error_px_{name}"] = charges.error_px[:, k]
        columns[f"error_mm_{name}"] = charges.error_mm[:, k]
        columns[f"undecoded_{name}"] = charges.undecoded[:, k]
    return predictions.assign(**columns)


def _terciles(images: pd.DataFrame) -> tuple[np.ndarray, tuple[float, float], str]:
    unit = "mm" if images["true_hc_mm"].notna().any() else "px"
    lengths = images[f"true_hc_{unit}"].to_numpy(dtype=np.float64)
    low, high = (float(edge) for edge in np.nanquantile(lengths, [1 / 3, 2 / 3]))
    size = np.where(np.isnan(lengths), UNKNOWN_SIZE, (lengths > low).astype(int) + (lengths > high))
    return size, (low, high), unit


def case_data(cases: Cases) -> dict[str, Any]:
    """The cases as the page's scripts read them: columns, NaN as null, tenths of a pixel and hundredths of a mm."""
    images, predictions = cases.images, cases.predictions
    return {
        "runs": [{"name": run.name, "seed": run.row.seed, "fold": run.row.fold} for run in cases.runs],
        "images": {
            "name": images["image"].tolist(),
            "examination": images["examination"].tolist(),
            "height": images["height"].tolist(),
            "width": images["width"].tolist(),
            "size": images["size"].tolist(),
            "truth": _rounded(images[_TRUTH], 1),
            **{name: _rounded(images[f"true_{name}_mm"], 2) for name in DIAMETERS},
        },
        "predictions": {
            "series": predictions["series"].tolist(),
            "run": predictions["run"].tolist(),
            "item": predictions["item"].tolist(),
            "points": _rounded(predictions[_POINTS], 1),
            "error_px": _rounded(predictions[[f"error_px_{name}" for name in NAMES]], 2),
            "error_mm": _rounded(predictions[[f"error_mm_{name}" for name in NAMES]], 2),
            "missed": _bits(predictions[[f"undecoded_{name}" for name in NAMES]].to_numpy()),
            "mean_px": _rounded(predictions["mean_px"], 2),
            "mean_mm": _rounded(predictions["mean_mm"], 2),
            **{name: _rounded(predictions[f"{name}_mm"], 2) for name in DIAMETERS},
        },
    }


def _bits(flags: np.ndarray) -> list[int]:
    """Bit k of a row's number is its flag k."""
    bits: list[int] = (flags.astype(int) << np.arange(flags.shape[1])).sum(axis=1).tolist()
    return bits


def _rounded(values: pd.DataFrame | pd.Series, decimals: int) -> list[Any]:
    """Numbers as JSON has them; a column gives a list, a frame a list of rows."""
    array = values.to_numpy(dtype=np.float64)
    rounded = (np.round(array, decimals) + 0.0).astype(object)
    rounded[~np.isfinite(array)] = None
    listed: list[Any] = rounded.tolist()
    return listed
