"""Four points of an image -> what is written about the head, and whether to trust it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fetal_lm import biometry
from fetal_lm.audit.shape import shape_of
from fetal_lm.audit.suspicion import APART_TOLERANCE, HC_RANGE_MM, INDEX_RANGE, SKEW_TOLERANCE_DEGREES
from fetal_lm.geometry import Size
from fetal_lm.landmarks import NAMES
from fetal_lm.predict.calibration import Spacing

LOW_CONFIDENCE: Final = 0.25
"""Below it a landmark is not to be trusted; an exported file holds its own."""

DARK: Final = 128
"""Below it an image is darker than any that the weights were trained on: of HC18's 802 the darkest has 146.

What fills at most 15 of 16 bits stays below.
"""
_BRIGHTEST_SHARE: Final = 0.001


@dataclass(frozen=True, eq=False)
class Measurement:
    """One head; NaN where something is unknown or was not found.

    Attributes:
        points_orig: (x, y) of OFD_1, OFD_2, BPD_1, BPD_2 in pixels of the image that was given, centres on integers.
        confidence: of each of them, 0 to 1; see `codecs.confidence`.
        bpd_mm: biparietal diameter.
        ofd_mm: occipitofrontal diameter.
        hc_mm: head circumference, of the ellipse with these diameters.
        cephalic_index: BPD / OFD; known without a spacing, if pixels are square.
        ga_weeks: gestational age; NaN outside the formula's range.
        ga_formula: which formula that is.
        flags: reasons not to trust this, in words; empty if there is none.
    """

    points_orig: Float[np.ndarray, "4 2"]
    confidence: Float[np.ndarray, "4"]
    bpd_mm: float
    ofd_mm: float
    hc_mm: float
    cephalic_index: float
    ga_weeks: float
    ga_formula: str
    flags: tuple[str, ...]

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against it."""
        return not self.flags


def brightness_of(image: UInt8[np.ndarray, "H W"]) -> int:
    """The grey that a thousandth of an image's pixels exceeds at most: more than that are the letters and marks in it.

    Example:
        >>> brightness_of(np.array([[0, 100, 200]], np.uint8))
        200
    """
    # Of a large image every second or third pixel tells as much, and is counted in a fifth of a millisecond.
    step = max(1, min(image.shape) // 256)
    pixels = np.ascontiguousarray(image[::step, ::step])
    below = np.cumsum(cv2.calcHist([pixels], [0], None, [256], [0, 256]))
    return int(np.searchsorted(below, (1 - _BRIGHTEST_SHARE) * pixels.size))


def measurement_of(
    points_orig: Float[np.ndarray, "4 2"],
    confidence: Float[np.ndarray, "4"],
    *,
    spacing: Spacing,
    size_orig: Size,
    brightness: int = 255,
    doubts: Sequence[str] = (),
    low_confidence: float = LOW_CONFIDENCE,
) -> Measurement:
    """Measures four points.

    Args:
        points_orig: in the order of `landmarks.NAMES`, original pixels; NaN where nothing was decoded.
        confidence: of each.
        spacing: of the image where they lie.
        size_orig: height and width of the image.
        brightness: of the image; see `brightness_of`.
        doubts: further reasons not to trust this, as `Calibration.doubts_at` gives them.
        low_confidence: below it a landmark is not to be trusted.
    """
    # Pixels need not be square. Where their size is unknown they are taken for it: a shape needs no unit.
    scaled = points_orig * np.array(spacing if spacing.known else (1.0, 1.0))
    lengths = {name: float(value) for name, value in biometry.diameters(scaled).items()}
    in_mm = {name: value if spacing.known else math.nan for name, value in lengths.items()}
    index = lengths["bpd"] / lengths["ofd"] if lengths["ofd"] > 0 else math.nan
    return Measurement(
        points_orig=points_orig,
        confidence=confidence,
        bpd_mm=in_mm["bpd"],
        ofd_mm=in_mm["ofd"],
        hc_mm=in_mm["hc"],
        cephalic_index=index,
        ga_weeks=float(biometry.gestational_age_weeks(np.array(in_mm["hc"]))),
        ga_formula=biometry.GESTATIONAL_AGE_FORMULA,
        flags=(
            *_of_brightness(brightness),
            *_of_points(points_orig, confidence >= low_confidence, size_orig),
            *doubts,
            *_of_shape(scaled, index),
            *_of_size(in_mm["hc"]),
        ),
    )


def _of_brightness(brightness: int) -> list[str]:
    if brightness >= DARK:
        return []
    return [f"dark: its brightest pixels have {brightness} of 255; scale its grey values up to the full range"]


def _of_points(points_orig: np.ndarray, sure: np.ndarray, size_orig: Size) -> list[str]:
    flags = []
    missing = np.asarray(np.isnan(points_orig).any(1))
    if missing.any():
        flags.append(f"not found: {_names(missing)}")
    unsure = np.asarray(~missing & ~sure)
    if unsure.any():
        flags.append(f"low confidence: {_names(unsure)}")
    far_edge = np.array(size_orig[::-1]) - 0.5
    outside = np.asarray(((points_orig < -0.5) | (points_orig > far_edge)).any(1))
    if outside.any():
        flags.append(f"outside the image: {_names(outside)}")
    return flags


def _of_shape(scaled: np.ndarray, index: float) -> list[str]:
    shape, flags = shape_of(scaled), []
    if shape.apart > APART_TOLERANCE:
        flags.append(f"the diameters do not bisect each other (middles {shape.apart:.2f} diameters apart)")
    if shape.skew_degrees > SKEW_TOLERANCE_DEGREES:
        flags.append(f"the diameters do not cross at right angles ({shape.skew_degrees:.0f} degrees off)")
    if not math.isnan(index) and not INDEX_RANGE[0] <= index <= INDEX_RANGE[1]:
        flags.append(f"cephalic index {index:.2f} outside {INDEX_RANGE[0]} to {INDEX_RANGE[1]}")
    return flags


def _of_size(hc_mm: float) -> list[str]:
    if math.isnan(hc_mm) or HC_RANGE_MM[0] <= hc_mm <= HC_RANGE_MM[1]:
        return []
    return [
        f"head circumference {hc_mm:.0f} mm outside {HC_RANGE_MM[0]:.0f} to {HC_RANGE_MM[1]:.0f} mm: is the spacing "
        "right?"
    ]


def _names(which: np.ndarray) -> str:
    return ", ".join(name for name, is_one in zip(NAMES, which, strict=True) if is_one)
