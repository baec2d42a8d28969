"""How far two labels of one head lie apart, and by which names they fit."""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Float

from fetal_lm.geometry import Size
from fetal_lm.landmarks import BPD, OFD

REFERENCE_SIZE_PX: Final = 256.0
"""Distances are those of the frame squashed to this width and height, the unit of `report`."""


def distances_px(
    points_orig: Float[np.ndarray, "4 2"], other_orig: Float[np.ndarray, "4 2"], size_orig: Size
) -> tuple[float, float]:
    """Mean distance of four points from four others, as they are named and with the first's names exchanged.

    The ends of each pair are compared without order.

    Args:
        points_orig: original px, in the order of `landmarks.NAMES`.
        other_orig: the same of somebody else.
        size_orig: (height, width) of the image.

    Returns:
        The two means in px of the frame squashed to 256 x 256; NaN if a point is missing.

    Example:
        >>> head = np.array([[0.0, 5.0], [10.0, 5.0], [5.0, 1.0], [5.0, 9.0]])
        >>> [round(distance, 3) for distance in distances_px(head[[3, 2, 0, 1]], head, (256, 256))]
        [6.403, 0.0]
    """
    scale = REFERENCE_SIZE_PX / np.array(size_orig[::-1], dtype=np.float64)
    ours, theirs = points_orig * scale, other_orig * scale
    as_named = (_pair(ours[list(OFD)], theirs[list(OFD)]) + _pair(ours[list(BPD)], theirs[list(BPD)])) / 2
    exchanged = (_pair(ours[list(OFD)], theirs[list(BPD)]) + _pair(ours[list(BPD)], theirs[list(OFD)])) / 2
    return as_named, exchanged


def _pair(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(min(np.hypot(*(ours - other).T).mean() for other in (theirs, theirs[::-1])))
