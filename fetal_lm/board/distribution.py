"""The cumulative curve of a run's landmark errors, as points that W&B draws and averages like any other metric."""

from __future__ import annotations

from typing import Final

import numpy as np
import pandas as pd

from fetal_lm.report.charges import charged_errors

ERROR_PX, WITHIN_PX = "distribution/error_px", "distribution/within_px"
ERROR_MM, WITHIN_MM = "distribution/error_mm", "distribution/within_mm"
CURVES: Final = ((ERROR_PX, WITHIN_PX), (ERROR_MM, WITHIN_MM))
"""(x axis, share of landmarks at most so far off)."""

GRID: Final = np.geomspace(0.1, 200.0, 40)
"""The same errors for every run, in px of 256 and in mm: curves of several seeds are averaged point by point."""


def distribution_points(table: pd.DataFrame) -> list[dict[str, float]]:
    """The curve's points, one a step; misses are charged (`report.charges`).

    Args:
        table: rows of one branch of a `prediction_table`.

    Returns:
        For each error of `GRID` both curves' x and y; without those in mm where no spacing is known.
    """
    charges = charged_errors(table)
    points: list[dict[str, float]] = [{} for _ in GRID]
    for (x, y), errors in zip(CURVES, (charges.error_px, charges.error_mm), strict=True):
        known = errors[~np.isnan(errors)]
        if known.size:
            within = (known[None, :] <= GRID[:, None]).mean(axis=1)
            for point, error, share in zip(points, GRID, within, strict=True):
                point |= {x: float(error), y: float(share)}
    return points
