"""Whose phantom head an image shows, how large it is and how it lies: everything that the labels need, and no drawing.

The distributions are those of HC18's 802 labelled images (van den Heuvel et al. 2018, doi 10.5281/zenodo.1322001),
measured on direct least-squares ellipses through its outlines. Frames of one examination share the head's size, its
cephalic index and the spacing; they differ in where the head lies and how it is turned.

Everything is a pure function of (seed, index): each purpose has a random stream of its own, so that adding a draw to
one of them leaves the others as they were.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate
from typing import Final

import numpy as np
from jaxtyping import Float

from fetal_lm.biometry import head_circumference
from fetal_lm.geometry import Size
from fetal_lm.landmarks import canonical_order

SIZE_ORIG: Final[Size] = (540, 800)

FRAMES_PER_EXAMINATION: Final = (3, 1, 4, 2)
"""Frames of successive examinations, repeated for ever: uneven as in HC18, and plain arithmetic of the index."""
_CYCLE_STARTS: Final = (0, *accumulate(FRAMES_PER_EXAMINATION))

HC_MM_DECILES: Final = (44.0, 78.0, 105.0, 163.0, 170.0, 174.0, 178.0, 183.0, 212.0, 279.0, 346.0)
"""Head circumference of HC18 at its 0th, 10th, ..., 100th percentile."""
MM_PER_PX_RANGE: Final = (0.05, 0.33)
# ln(mm/px) = slope * ln(HC/mm) + intercept: the least-squares line through HC18. Its residuals are skewed (a deep scan
# of a small head is commoner than a zoom), hence a table: the residual at the 0, 10, 50, 90 and 100 % quantile.
_SPACING_SLOPE: Final = 0.70
_SPACING_INTERCEPT: Final = -5.59
_SPACING_RESIDUALS: Final = ((0.0, 0.1, 0.5, 0.9, 1.0), (-0.33, -0.23, -0.04, 0.30, 0.57))
# The largest head of HC18 is 664 px long and 502 px wide: a larger one would be scanned at another depth.
_LONGEST_OFD_PX: Final = 660.0
_LONGEST_BPD_PX: Final = 500.0
# A head that stands on end must still fit into 540 px, with some room for the turns from frame to frame.
_TALLEST_HEAD_PX: Final = 520.0

# Cephalic index: young heads are rounder (HC18: 0.82 below a circumference of 150 mm, 0.785 above, deviation 0.042).
_YOUNG_BELOW_HC_MM: Final = 150.0
_CEPHALIC_INDEX_MEAN: Final = {True: 0.822, False: 0.785}
_CEPHALIC_INDEX_DEVIATION: Final = 0.041
_CEPHALIC_INDEX_RANGE: Final = (0.68, 0.92)

# Turn against the horizontal: most heads lie flat, some lie anyhow. Of HC18's heads below 100 mm 69 % are turned by
# more than 15 degrees, of those from 150 to 210 mm 11 %.
_ANY_TURN_SHARE: Final = {True: 0.70, False: 0.13}
_FLAT_TURN_DEVIATION_DEG: Final = 5.5
_FRAME_TURN_DEVIATION_DEG: Final = 4.0

_CENTRE_MEAN_PX: Final = (393.0, 271.0)
_CENTRE_DEVIATION_PX: Final = {True: (52.0, 42.0), False: (33.0, 24.0)}
_FRAME_SHIFT_DEVIATION_PX: Final = (20.0, 13.0)
# How near the head comes to the frame's sides in HC18: never nearer than 32 px left and right, down to -1 px at the top
# and -14 px at the bottom. Where a head cannot keep these margins it is centred.
_MARGIN_X_PX: Final = 34.0
_MARGIN_TOP_PX: Final = 2.0
_MARGIN_BOTTOM_PX: Final = -10.0

_GOLDEN_RATIO: Final = 0.6180339887498949


class Stream(IntEnum):
    """What a random stream is for; the first five are per examination, the others per image."""

    ANATOMY = 0
    SKULL = 1
    BRAIN = 2
    LOOK = 3
    SECTOR = 4
    POSE = 5
    TISSUE = 6
    SPECKLE = 7


@dataclass(frozen=True)
class Head:
    """A head as it lies in one image; lengths and positions in original pixels.

    Attributes:
        examination: number of the examination, from 0.
        frame: number of the image within its examination, from 0.
        centre_x_px: centre of the ellipse.
        centre_y_px: centre of the ellipse.
        turn_rad: from the x axis to the long axis, towards +y (clockwise on the screen); -pi/2 to pi/2.
        ofd_px: the long axis, outer edge to outer edge of the bone.
        bpd_px: the short axis, outer to outer.
        mm_per_px: pixel spacing.
        face_left: whether the forehead is at the long axis's left end (in canonical order OFD_1).
    """

    examination: int
    frame: int
    centre_x_px: float
    centre_y_px: float
    turn_rad: float
    ofd_px: float
    bpd_px: float
    mm_per_px: float
    face_left: bool

    @property
    def hc_mm(self) -> float:
        """Circumference of the outer ellipse."""
        return _circumference(self.bpd_px, self.ofd_px) * self.mm_per_px

    @property
    def half_extent_px(self) -> tuple[float, float]:
        """Half the width and half the height of the upright box around the ellipse."""
        return _half_extent(self.ofd_px, self.bpd_px, self.turn_rad)

    def points_orig(self) -> Float[np.ndarray, "4 2"]:
        """The ends of the two axes, in canonical order."""
        centre = np.array([self.centre_x_px, self.centre_y_px])
        along = np.array([math.cos(self.turn_rad), math.sin(self.turn_rad)])
        across = np.array([-along[1], along[0]])
        half_ofd, half_bpd = self.ofd_px / 2 * along, self.bpd_px / 2 * across
        return canonical_order(np.stack([centre - half_ofd, centre + half_ofd, centre - half_bpd, centre + half_bpd]))


def stream(seed: int, number: int, purpose: Stream) -> np.random.Generator:
    """The random generator for one purpose of one examination or image.

    PCG64 is named, because numpy may change its default generator.
    """
    entropy = np.random.SeedSequence([seed, number], spawn_key=(int(purpose),))
    return np.random.Generator(np.random.PCG64(entropy))


def examination_and_frame(index: int) -> tuple[int, int]:
    """The number of the examination that image `index` belongs to, and its frame within; both from 0.

    Example:
        >>> [examination_and_frame(index) for index in (0, 2, 3, 4, 9, 10)]
        [(0, 0), (0, 2), (1, 0), (2, 0), (3, 1), (4, 0)]
    """
    cycle, rest = divmod(index, _CYCLE_STARTS[-1])
    within = max(number for number, start in enumerate(_CYCLE_STARTS[:-1]) if start <= rest)
    return cycle * len(FRAMES_PER_EXAMINATION) + within, rest - _CYCLE_STARTS[within]


def head(seed: int, index: int) -> Head:
    """The head that image `index` shows, and how it lies; cheap (no drawing)."""
    examination, frame = examination_and_frame(index)
    anatomy = stream(seed, examination, Stream.ANATOMY)
    # A low-discrepancy sequence: any hundred examinations cover all sizes, where a hundred independent draws may not.
    start = stream(seed, 0, Stream.ANATOMY).uniform()
    rank = (start + examination * _GOLDEN_RATIO) % 1.0
    hc_mm = float(np.interp(rank, np.linspace(0, 1, len(HC_MM_DECILES)), HC_MM_DECILES))
    young = hc_mm < _YOUNG_BELOW_HC_MM
    index_mean = _CEPHALIC_INDEX_MEAN[young]
    cephalic_index = _clip(anatomy.normal(index_mean, _CEPHALIC_INDEX_DEVIATION), *_CEPHALIC_INDEX_RANGE)
    ofd_mm = hc_mm / _circumference(cephalic_index, 1.0)
    any_turn = anatomy.uniform() < _ANY_TURN_SHARE[young]
    turn_deg = anatomy.uniform(-90, 90) if any_turn else anatomy.normal(0, _FLAT_TURN_DEVIATION_DEG)
    mm_per_px = _spacing(anatomy, hc_mm, ofd_mm, cephalic_index * ofd_mm, math.radians(turn_deg))
    ofd_px = ofd_mm / mm_per_px
    bpd_px = cephalic_index * ofd_px
    centre_px = anatomy.normal(_CENTRE_MEAN_PX, _CENTRE_DEVIATION_PX[young])
    face_left = bool(anatomy.uniform() < 0.5)

    pose = stream(seed, index, Stream.POSE)
    turn_deg = (turn_deg + pose.normal(0, _FRAME_TURN_DEVIATION_DEG) + 90) % 180 - 90
    turn_rad = math.radians(turn_deg)
    centre_px = centre_px + pose.normal(0, _FRAME_SHIFT_DEVIATION_PX)
    half_x, half_y = _half_extent(ofd_px, bpd_px, turn_rad)
    height, width = SIZE_ORIG
    return Head(
        examination=examination,
        frame=frame,
        centre_x_px=_clip_or_centre(centre_px[0], half_x + _MARGIN_X_PX, width - 1 - half_x - _MARGIN_X_PX),
        centre_y_px=_clip_or_centre(centre_px[1], half_y + _MARGIN_TOP_PX, height - 1 - half_y - _MARGIN_BOTTOM_PX),
        turn_rad=turn_rad,
        ofd_px=ofd_px,
        bpd_px=bpd_px,
        mm_per_px=mm_per_px,
        face_left=face_left,
    )


def _spacing(anatomy: np.random.Generator, hc_mm: float, ofd_mm: float, bpd_mm: float, turn_rad: float) -> float:
    residual = float(np.interp(anatomy.uniform(), *_SPACING_RESIDUALS))
    mm_per_px = math.exp(_SPACING_SLOPE * math.log(hc_mm) + _SPACING_INTERCEPT + residual)
    height_mm = 2 * _half_extent(ofd_mm, bpd_mm, turn_rad)[1]
    fits_frame = max(ofd_mm / _LONGEST_OFD_PX, bpd_mm / _LONGEST_BPD_PX, height_mm / _TALLEST_HEAD_PX)
    return _clip(max(mm_per_px, fits_frame), *MM_PER_PX_RANGE)


def _half_extent(ofd_px: float, bpd_px: float, turn_rad: float) -> tuple[float, float]:
    cosine, sine = math.cos(turn_rad), math.sin(turn_rad)
    return math.hypot(ofd_px * cosine, bpd_px * sine) / 2, math.hypot(ofd_px * sine, bpd_px * cosine) / 2


def _circumference(bpd: float, ofd: float) -> float:
    return float(head_circumference(np.array(bpd), np.array(ofd)))


def _clip(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))


def _clip_or_centre(value: float, low: float, high: float) -> float:
    return (low + high) / 2 if low > high else _clip(value, low, high)
