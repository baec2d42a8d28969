"""How likely a row is wrong, as one number: a fixed rule over what the checks measured.

Every measurement is divided by a tolerance; the squares are added to a *strain* (1 is one tolerance, in one respect),
and a logistic curve makes it a share:

    strain    = (apart / 0.1)^2 + (skew / 15 degrees)^2 + (index beyond 0.65 to 0.97 / 0.1)^2 + (outside / 0.1)^2
              + (circumference beyond 35 to 400 mm, in natural logarithms / 0.1)^2 + (off skull / 20 px)^2
    suspicion = 1 / (1 + exp(3 - strain - (disagreement - 20 px) / 5 px))          without models without the last term

It grows with each of them. What is unknown adds nothing; a row without four points has a suspicion of 1. A perfect
shape has 1 / (1 + e^3) = 0.05, because a good shape may lie in the wrong place; about 1.7 tolerances make 0.5. Models
that disagree by 20 px, the size of a gross error, leave the verdict to the rest.

The tolerances are round numbers for how well somebody measures who takes care (a tenth of a diameter, 15 degrees); the
ranges are those of HC18's outlines, widened; 20 px is the error that an audit is judged by. They were chosen once, with
the challenge's rows at hand, and not fitted: `experiments/audit` has the figures on both halves of those rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from fetal_lm.audit.shape import Shape

APART_TOLERANCE: Final = 0.1
SKEW_TOLERANCE_DEGREES: Final = 15.0
INDEX_RANGE: Final = (0.65, 0.97)
"""Shorter over longer diameter; 0.659 to 0.962 in 802 outlines of HC18."""
INDEX_TOLERANCE: Final = 0.1
OUTSIDE_TOLERANCE: Final = 0.1
HC_RANGE_MM: Final = (35.0, 400.0)
"""Head circumference; 44 to 346 mm in HC18, from the tenth week to birth."""
HC_TOLERANCE: Final = 0.1
GROSS_ERROR_PX: Final = 20.0
"""In px of the frame squashed to 256 x 256."""
DISAGREEMENT_TOLERANCE_PX: Final = 5.0
LARGEST_SUSPICION: Final = 0.5
"""Of a row that is rather right than wrong."""
_PERFECT: Final = 3.0


@dataclass(frozen=True)
class Measured:
    """What was measured about one row; NaN where it is unknown.

    Attributes:
        shape: of the four points.
        outside: how far the farthest point lies outside the image, as a share of the mean diameter; 0 inside.
        hc_mm: circumference in mm.
        off_skull_px: distance from the skull that the image shows, if it shows one.
        disagreement_px: distance from models' predictions.
    """

    shape: Shape
    outside: float = math.nan
    hc_mm: float = math.nan
    off_skull_px: float = math.nan
    disagreement_px: float = math.nan


def log_odds(measured: Measured) -> float:
    """The logarithm of the odds that a row is wrong, by the rule of this module; infinite without four points."""
    shape = measured.shape
    if not math.isfinite(shape.hc_px) or not math.isfinite(shape.apart):
        return math.inf
    terms = (
        shape.apart / APART_TOLERANCE,
        shape.skew_degrees / SKEW_TOLERANCE_DEGREES,
        beyond(shape.index, INDEX_RANGE) / INDEX_TOLERANCE,
        measured.outside / OUTSIDE_TOLERANCE,
        _log_beyond(measured.hc_mm, HC_RANGE_MM) / HC_TOLERANCE,
        measured.off_skull_px / GROSS_ERROR_PX,
    )
    strain = sum(term**2 for term in terms if not math.isnan(term))
    disagreement = (measured.disagreement_px - GROSS_ERROR_PX) / DISAGREEMENT_TOLERANCE_PX
    return strain - _PERFECT + (0.0 if math.isnan(disagreement) else disagreement)


def suspicion(measured: Measured) -> float:
    """The chance that a row is wrong, from 0 to 1, by the rule of this module.

    Example:
        >>> from fetal_lm.audit.shape import Shape
        >>> perfect = Shape(ofd_px=100.0, bpd_px=80.0, apart=0.0, skew_degrees=0.0, index=0.8, hc_px=283.6)
        >>> round(suspicion(Measured(perfect)), 3), round(suspicion(Measured(perfect, disagreement_px=40.0)), 3)
        (0.047, 0.731)
    """
    odds = log_odds(measured)
    # In this form nothing overflows: exp(700) would.
    return 1.0 if odds > 50 else math.exp(odds) / (1 + math.exp(odds))


def can_be_a_head(shape: Shape) -> bool:
    """Whether four points by themselves are rather right than wrong."""
    return suspicion(Measured(shape)) <= LARGEST_SUSPICION


def beyond(value: float, allowed: tuple[float, float]) -> float:
    """How far a value lies outside a range; 0 inside, NaN for NaN.

    Example:
        >>> beyond(0.5, (0.75, 1.0)), beyond(0.8, (0.75, 1.0))
        (0.25, 0.0)
    """
    low, high = allowed
    return value if math.isnan(value) else max(low - value, value - high, 0.0)


def _log_beyond(value: float, allowed: tuple[float, float]) -> float:
    return beyond(math.log(value), (math.log(allowed[0]), math.log(allowed[1]))) if value > 0 else math.nan
