"""The figures that have a target, on one set of images: value, interval, and whether the target is met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import pandas as pd

from fetal_lm.report.charges import GROSS_ERROR_OF_OFD, charged_errors, image_measures, without_gross_error
from fetal_lm.report.statistics import CONFIDENCE, Interval, averaged_over_seeds, interval_of_mean, interval_of_median

Verdict = Literal["met", "met, interval reaches beyond", "missed, interval reaches it", "missed", ""]


@dataclass(frozen=True)
class Target:
    """A figure and what it has to be.

    Attributes:
        figure: a column of `measures`, or `median_mm`.
        label: what it is, with its unit.
        limit: at most so much, or at least where more is better; None for a figure without a target.
        better: which end is the better one.
        decimals: that it is printed with.
    """

    figure: str
    label: str
    limit: float | None
    better: Literal["low", "high"] = "low"
    decimals: int = 2

    def verdict(self, value: float, interval: Interval) -> Verdict:
        """Whether a value meets the target, and whether all of its interval is on the same side."""
        if self.limit is None or np.isnan(value):
            return ""
        if self.better == "low":
            met, worst_met, best_met = (figure <= self.limit for figure in (value, interval.high, interval.low))
        else:
            met, worst_met, best_met = (figure >= self.limit for figure in (value, interval.low, interval.high))
        if met:
            return "met" if worst_met else "met, interval reaches beyond"
        return "missed, interval reaches it" if best_met else "missed"


FOUND: Final = "found"

TARGETS: Final = (
    Target("hc_mae_mm", "HC, mean absolute error, mm", 1.70),
    Target("bpd_mae_mm", "BPD, mean absolute error, mm", 0.55),
    Target("ofd_mae_mm", "OFD, mean absolute error, mm", 1.20),
    Target("bpd_nme", "BPD, error / true length (`bpd_nme`)", 0.012, decimals=4),
    Target("ofd_nme", "OFD, error / true length (`ofd_nme`)", 0.017, decimals=4),
    # The other definition of an NME (`charges.image_measures`) stands beside it so that the two are not confused.
    Target("bpd_endpoint_nme", "BPD, error of its ends / true length (`bpd_endpoint_nme`)", None, decimals=4),
    Target("ofd_endpoint_nme", "OFD, error of its ends / true length (`ofd_endpoint_nme`)", None, decimals=4),
    Target("median_mm", "landmarks, median error, mm", 1.30),
    Target(FOUND, f"images with no landmark off by more than {GROSS_ERROR_OF_OFD:g} OFD, share", 0.99, "high", 4),
)


_TAIL: Final = (1 - CONFIDENCE) / 2


class Measured(NamedTuple):
    """A figure of `TARGETS` with its 95 % interval by examination; NaN where unknown."""

    target: Target
    value: float
    interval: Interval

    @property
    def verdict(self) -> Verdict:
        """Whether the target is met."""
        return self.target.verdict(self.value, self.interval)


def shown(value: float, interval: Interval, decimals: int = 2) -> str:
    """A figure and its interval, as tables print them.

    Example:
        >>> shown(1.234, Interval(1.0, 1.5))
        '1.23 [1.00, 1.50]'
    """
    return f"{value:.{decimals}f} [{interval.low:.{decimals}f}, {interval.high:.{decimals}f}]"


def measured(tables: Sequence[pd.DataFrame]) -> list[Measured]:
    """Every figure of `TARGETS`, mean over seeds; a miss is charged as in `report.charges`.

    Args:
        tables: for each seed, rows of a `predictions.prediction_table` of one branch; the same images, sorted by image.
    """
    images = averaged_over_seeds([measures(table) for table in tables])
    examinations = images["examination"].tolist()
    found = []
    for target in TARGETS:
        if target.figure == "median_mm":
            errors_mm = [charged_errors(table).error_mm for table in tables]
            # The images without a spacing are the same for every seed.
            known = [error[~np.isnan(error)] for error in errors_mm]
            value = float(np.mean([np.median(error) if error.size else np.nan for error in known]))
            interval = interval_of_median(errors_mm, examinations)
        else:
            value = float(images[target.figure].mean())
            interval = interval_of_mean(images[target.figure].to_numpy(dtype=np.float64), examinations)
            if target.figure == FOUND and value == 1:
                # No draw from all ones is anything else; Clopper and Pearson's bound, exact for so many examinations.
                interval = Interval((_TAIL ** (1 / len(set(examinations)))), 1.0)
        found.append(Measured(target, value, interval))
    return found


def measures(table: pd.DataFrame) -> pd.DataFrame:
    """`charges.image_measures` and, as `FOUND`, 1 for an image without a gross error, else 0."""
    return image_measures(table).assign(**{FOUND: without_gross_error(table).astype(np.float64)})
