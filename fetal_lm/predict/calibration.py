"""How many millimetres a pixel is, in an image or in the part of it that shows the head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Spacing(NamedTuple):
    """Millimetres per pixel of the original image along x and y; NaN where unknown."""

    x_mm: float
    y_mm: float

    @property
    def known(self) -> bool:
        """Whether lengths can be given in millimetres."""
        return not (math.isnan(self.x_mm) or math.isnan(self.y_mm))


UNKNOWN = Spacing(math.nan, math.nan)


@dataclass(frozen=True)
class Region:
    """A rectangle of an image with a spacing of its own; its last column and row belong to it."""

    left: int
    top: int
    right: int
    bottom: int
    spacing: Spacing

    def holds(self, points_orig: Float[np.ndarray, "_ 2"]) -> bool:
        """Whether every landmark that was found lies in it."""
        found = points_orig[~np.isnan(points_orig).any(1)]
        first, last = (self.left - 0.5, self.top - 0.5), (self.right + 0.5, self.bottom + 0.5)
        return bool(((found >= first) & (found <= last)).all())


@dataclass(frozen=True)
class Calibration:
    """The spacings of an image.

    Attributes:
        whole: of the image as a whole.
        regions: parts with their own; where all landmarks lie in one of them, it counts.
    """

    whole: Spacing = UNKNOWN
    regions: tuple[Region, ...] = ()

    def at(self, points_orig: Float[np.ndarray, "4 2"]) -> Spacing:
        """The spacing where the landmarks lie: of the smallest region that holds them, else of the whole image.

        Example:
            >>> inset = Region(0, 0, 9, 9, Spacing(0.5, 0.5))
            >>> head = np.array([[1.0, 5.0], [8.0, 5.0], [4.0, 2.0], [4.0, 8.0]])
            >>> calibration = Calibration(Spacing(0.1, 0.1), (inset,))
            >>> calibration.at(head).x_mm, calibration.at(head + 20).x_mm
            (0.5, 0.1)
        """
        holding = [region for region in self.regions if region.holds(points_orig)]
        if not holding:
            return self.whole
        return min(holding, key=lambda region: (region.right - region.left) * (region.bottom - region.top)).spacing

    def torn_by(self, points_orig: Float[np.ndarray, "4 2"]) -> bool:
        """Whether landmarks lie in regions of different spacings, as in two pictures side by side.

        No spacing is right for all of them then, `whole` neither.
        """
        if any(region.holds(points_orig) for region in self.regions):
            return False
        found = points_orig[~np.isnan(points_orig).any(1)]
        return len({region.spacing for region in self.regions for point in found if region.holds(point[None])}) > 1


def uniform(mm_per_px: float) -> Calibration:
    """One spacing for the whole image and both axes; NaN where it is unknown."""
    return Calibration(Spacing(mm_per_px, mm_per_px))
