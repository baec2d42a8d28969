"""What four points say by themselves: whether two diameters can belong to one head."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fetal_lm.biometry import head_circumference
from fetal_lm.landmarks import BPD, OFD


@dataclass(frozen=True)
class Shape:
    """Two diameters, whatever they are called; NaN where a point is missing or a diameter has no length.

    Attributes:
        ofd_px: length of the pair that is called OFD, in original px.
        bpd_px: length of the pair that is called BPD.
        apart: distance between the middles of the two diameters as a share of their mean length; 0 for an ellipse.
        skew_degrees: how far from a right angle they cross, 0 to 90.
        index: the shorter divided by the longer: the cephalic index if the names are left aside.
        hc_px: circumference of the ellipse that has these diameters.
    """

    ofd_px: float
    bpd_px: float
    apart: float
    skew_degrees: float
    index: float
    hc_px: float


def shape_of(points_orig: Float[np.ndarray, "4 2"]) -> Shape:
    """Measures four points.

    Args:
        points_orig: in the order of `landmarks.NAMES`, original px.

    Example:
        >>> shape = shape_of(np.array([[0.0, 5.0], [10.0, 5.0], [6.0, 1.0], [6.0, 9.0]]))
        >>> shape.index, round(shape.apart, 3), shape.skew_degrees, round(shape.hc_px, 3)
        (0.8, 0.111, 0.0, 28.362)
    """
    # Plain floats: for four points numpy's calls cost twenty times as much, and there may be 100,000 rows.
    points = points_orig.tolist()
    (ofd_1, ofd_2), (bpd_1, bpd_2) = ([points[end] for end in pair] for pair in (OFD, BPD))
    ofd_px, bpd_px = math.dist(ofd_1, ofd_2), math.dist(bpd_1, bpd_2)
    hc_px = float(head_circumference(np.asarray(bpd_px), np.asarray(ofd_px)))
    shorter, longer = sorted((ofd_px, bpd_px))
    # Also where a length is NaN.
    if not (shorter > 0 and longer > 0):
        return Shape(ofd_px, bpd_px, math.nan, math.nan, math.nan, hc_px)
    middles = [_middle(ofd_1, ofd_2), _middle(bpd_1, bpd_2)]
    dot = sum((ofd_2[k] - ofd_1[k]) * (bpd_2[k] - bpd_1[k]) for k in range(2))
    return Shape(
        ofd_px=ofd_px,
        bpd_px=bpd_px,
        apart=math.dist(*middles) / ((ofd_px + bpd_px) / 2),
        skew_degrees=math.degrees(math.asin(min(1.0, abs(dot) / (ofd_px * bpd_px)))),
        index=shorter / longer,
        hc_px=hc_px,
    )


def _middle(first: list[float], second: list[float]) -> tuple[float, float]:
    return (first[0] + second[0]) / 2, (first[1] + second[1]) / 2
