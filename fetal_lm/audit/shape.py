"""What four points say by themselves: whether two diameters can belong to one head."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fetal_lm.biometry import bpd, head_circumference, ofd
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
        >>> shape_of(np.array([[0.0, 5.0], [10.0, 5.0], [6.0, 1.0], [6.0, 9.0]]))
        Shape(ofd_px=10.0, bpd_px=8.0, apart=0.1111111111111111, skew_degrees=0.0, index=0.8, hc_px=28.36166788897448)
    """
    ofd_px, bpd_px = float(ofd(points_orig)), float(bpd(points_orig))
    hc_px = float(head_circumference(np.float64(bpd_px), np.float64(ofd_px)))
    shorter, longer = sorted((ofd_px, bpd_px))
    # Also false for NaN.
    if not shorter > 0:
        return Shape(ofd_px, bpd_px, math.nan, math.nan, math.nan if longer == 0 else shorter / longer, hc_px)
    middles = points_orig[list(OFD)].mean(axis=0) - points_orig[list(BPD)].mean(axis=0)
    along = (points_orig[OFD[1]] - points_orig[OFD[0]]) / ofd_px
    across = (points_orig[BPD[1]] - points_orig[BPD[0]]) / bpd_px
    return Shape(
        ofd_px=ofd_px,
        bpd_px=bpd_px,
        apart=float(np.hypot(*middles)) / ((ofd_px + bpd_px) / 2),
        skew_degrees=math.degrees(math.asin(min(1.0, abs(float(along @ across))))),
        index=shorter / longer,
        hc_px=hc_px,
    )
