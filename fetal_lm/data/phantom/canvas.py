"""Painting what a phantom's beams meet: small canvases drawn with OpenCV's integer rasteriser, seen on the polar grid.

A canvas is an 8-bit image of weights, 255 for full. Its scale says how its pixels relate to the coordinates in which
things are placed (original pixels for the surroundings, head coordinates for the brain).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, Float64, UInt8

from fetal_lm.data.phantom.sector import BEAMS, ROWS

SILENT_DB: Final = -80.0
"""No echo at all."""
# cv2's drawing takes fixed-point coordinates with this many binary places.
_BITS: Final = 4
# Faintest weight that still echoes, and the echo of weights near 0.
_LEAST_WEIGHT: Final = 0.02
_FAINTEST_DB: Final = -10.0


@dataclass(frozen=True)
class Canvas:
    """A picture of weights.

    Attributes:
        weights: the picture.
        origin: the coordinate (both x and y) that lies on pixel (0, 0).
        scale: canvas pixels per unit of the coordinates.
    """

    weights: UInt8[np.ndarray, "h w"]
    origin: float
    scale: float

    def polygon(self, points: Float64[np.ndarray, "points 2"], weight: float) -> None:
        """Fills a closed curve."""
        cv2.fillPoly(self.weights, [self._fixed(points)], (round(weight),), cv2.LINE_AA, _BITS)

    def ellipse(
        self, centre: tuple[float, float], half_axes: tuple[float, float], turn_deg: float, weight: float
    ) -> None:
        """Fills an ellipse."""
        middle = self._fixed(np.array(centre)).tolist()
        axes = [round(half * self.scale * 2**_BITS) for half in half_axes]
        color = (round(weight),)
        cv2.ellipse(self.weights, middle, axes, turn_deg, 0, 360, color, cv2.FILLED, cv2.LINE_AA, _BITS)

    def line(self, points: Float64[np.ndarray, "points 2"], weight: float, thickness: int = 1) -> None:
        """Draws an open curve, evenly; thickness in canvas pixels."""
        cv2.polylines(self.weights, [self._fixed(points)], False, (round(weight),), thickness, cv2.LINE_AA, _BITS)

    def fading_line(self, points: Float64[np.ndarray, "points 2"], weight: float, thickness: int) -> None:
        """Draws a curve whose weight wanes towards its ends: few echoes end abruptly."""
        fixed = self._fixed(points)
        fade = np.sin(np.linspace(0, math.pi, len(fixed) + 1)[1:-1]) ** 0.7
        for start, end, share in zip(fixed[:-1].tolist(), fixed[1:].tolist(), fade.tolist(), strict=True):
            cv2.line(self.weights, start, end, (round(weight * share),), thickness, cv2.LINE_AA, _BITS)

    def look_up(
        self, x: Float32[np.ndarray, "rows beams"], y: Float32[np.ndarray, "rows beams"], blur_px: float
    ) -> Float32[np.ndarray, "rows beams"]:
        """The weights at the given coordinates, 0 to 1, softened by a Gaussian of `blur_px` canvas pixels."""
        soft = cv2.GaussianBlur(self.weights, (0, 0), blur_px)
        scale, origin = np.float32(self.scale), np.float32(self.origin)
        column, row = (x - origin) * scale, (y - origin) * scale
        found = cv2.remap(soft, column, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,))
        return np.asarray(found, dtype=np.float32) * np.float32(1 / 255)

    def _fixed(self, points: Float64[np.ndarray, "*points 2"]) -> np.ndarray:
        return np.asarray(np.rint((points - self.origin) * (self.scale * 2**_BITS)), dtype=np.int32)


def as_db(weight: Float32[np.ndarray, "rows beams"], range_db: float) -> Float32[np.ndarray, "rows beams"]:
    """Weights 0 to 1 as echoes from -10 dB up to `range_db` more; silence where there is no weight."""
    echo = weight * np.float32(range_db) + np.float32(_FAINTEST_DB)
    return np.where(weight > _LEAST_WEIGHT, echo, np.float32(SILENT_DB))


def patches(generator: np.random.Generator, knots: tuple[int, int]) -> Float32[np.ndarray, "rows beams"]:
    """Smooth noise of deviation near 1 with this many knots along and across the beams."""
    coarse = generator.standard_normal(knots, dtype=np.float32)
    return np.asarray(cv2.resize(coarse, (BEAMS, ROWS), interpolation=cv2.INTER_CUBIC), dtype=np.float32)
