"""A test image with its truth and its prediction, small enough for a table of hundreds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fetal_lm.landmarks import BPD, NAMES, OFD

SIDE_PX: Final = 320
"""Of the longer side; as a JPEG such an image has about 10 kB (HC18, 40 images: 9.4, at most 11.7)."""

# Red, green, blue of `report.pictures`: truth sky blue circles, prediction orange crosses.
TRUTH: Final = (86, 180, 233)
PREDICTION: Final = (230, 159, 0)
_SUBPIXEL_BITS: Final = 4
_RADIUS_PX: Final = 4


def small_overlay(image: UInt8[np.ndarray, "H W"], row: Mapping[str, Any]) -> UInt8[np.ndarray, "h w 3"]:
    """The image, its longer side at most `SIDE_PX`, with circles at the truth and crosses at the prediction.

    Args:
        image: grey, in its original size.
        row: of a `prediction_table`; an undecoded landmark is not drawn, nor a diameter without both ends.

    Returns:
        In red, green, blue.
    """
    scale = min(1.0, SIDE_PX / max(image.shape))
    if scale < 1.0:
        size = tuple(max(1, round(side * scale)) for side in image.shape[::-1])
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
    for prefix, colour in (("true_", TRUTH), ("", PREDICTION)):
        points_orig = np.array([[row[f"{prefix}{name}_{axis}"] for axis in "xy"] for name in NAMES], dtype=np.float64)
        # Pixel centres are on integers: the first pixel's centre is half a pixel from the edge at every size.
        points = (points_orig + 0.5) * scale - 0.5
        for pair in (OFD, BPD):
            if np.isfinite(ends := points[list(pair)]).all():
                cv2.line(canvas, _fixed(ends[0]), _fixed(ends[1]), colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
        for point in points[np.isfinite(points).all(axis=1)]:
            if prefix:
                cv2.circle(canvas, _fixed(point), _RADIUS_PX << _SUBPIXEL_BITS, colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
                continue
            for arm in ((_RADIUS_PX, _RADIUS_PX), (_RADIUS_PX, -_RADIUS_PX)):
                start, end = _fixed(point - arm), _fixed(point + arm)
                cv2.line(canvas, start, end, colour, 1, cv2.LINE_AA, _SUBPIXEL_BITS)
    return np.asarray(canvas)


def _fixed(point: Float[np.ndarray, "2"]) -> tuple[int, int]:
    """OpenCV's fixed-point coordinates; a wild prediction is cut to where it cannot overflow."""
    x, y = np.clip(np.rint(point * (1 << _SUBPIXEL_BITS)), -(1 << 20), 1 << 20)
    return int(x), int(y)
