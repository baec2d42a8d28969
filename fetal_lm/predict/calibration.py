"""How many millimetres a pixel is, in an image or in the part of it that shows the head."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, Final, NamedTuple

import numpy as np
from jaxtyping import Float

SQUARE_TOLERANCE: Final = 0.01
"""Pixels whose height and width differ by a smaller share count as square: angles are off by a third of a degree."""

SMALLEST_MM: Final = 0.0001
LARGEST_MM: Final = 100.0
"""Millimetres that a pixel may be: a thousand times less and more than in ultrasound images."""


def may_be(mm_per_px: Any) -> bool:
    """Whether something is a number that a spacing may be.

    Example:
        >>> [may_be(one) for one in (0.12, 100, 1e-320, float("nan"), True, "0.12")]
        [True, True, False, False, False, False]
    """
    # True is a number in Python, and is no spacing.
    number = isinstance(mm_per_px, Real) and not isinstance(mm_per_px, bool)
    return number and bool(SMALLEST_MM <= mm_per_px <= LARGEST_MM)


class Spacing(NamedTuple):
    """Millimetres per pixel of the original image along x and y; NaN where unknown."""

    x_mm: float
    y_mm: float

    @property
    def known(self) -> bool:
        """Whether lengths can be given in millimetres."""
        return not (math.isnan(self.x_mm) or math.isnan(self.y_mm))

    @property
    def aspect(self) -> float:
        """Height of a pixel in its widths; 1 where it is unknown."""
        return self.y_mm / self.x_mm if self.known else 1.0


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
        return min(holding, key=_area).spacing

    @property
    def aspect(self) -> float:
        """Height of a pixel in its widths, of the largest region or else of the whole image.

        It is needed before anyone knows where the head lies. Where nothing is known, pixels are square.
        """
        return max(self.regions, key=_area).spacing.aspect if self.regions else self.whole.aspect

    def doubts_at(self, points_orig: Float[np.ndarray, "4 2"], aspect: float) -> list[str]:
        """Reasons not to trust lengths of these landmarks, in words.

        Args:
            points_orig: original pixels, NaN where nothing was found.
            aspect: height of a pixel in its widths, as it was taken when the landmarks were looked for.
        """
        doubts = []
        if not any(region.holds(points_orig) for region in self.regions):
            found = points_orig[~np.isnan(points_orig).any(1)]
            held_by = [{region.spacing for region in self.regions if region.holds(point[None])} for point in found]
            # As in two pictures side by side. No spacing is right for all landmarks then, `whole` neither.
            if len(set().union(*held_by)) > 1:
                doubts.append("lies across parts of the image with different spacings")
            elif not all(held_by) and self.whole in {region.spacing for region in self.regions}:
                doubts.append("lies outside the part of the image whose spacing is known")
        if abs(self.at(points_orig).aspect / aspect - 1) > SQUARE_TOLERANCE:
            doubts.append("lies where pixels are of another shape than they were taken for")
        return doubts


def _area(region: Region) -> int:
    return (region.right - region.left) * (region.bottom - region.top)


def uniform(mm_per_px: float) -> Calibration:
    """One spacing for the whole image and both axes; NaN where it is unknown."""
    return Calibration(Spacing(mm_per_px, mm_per_px))
