"""A measured head over its image as a sonographer expects it: calipers, labels, the ellipse, the values.

Drawn with OpenCV in the image's own pixels: a hundred times faster than a figure, and nothing is resampled.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from fetal_lm import biometry
from fetal_lm.atomic import atomic_path
from fetal_lm.landmarks import BPD, OFD
from fetal_lm.predict.measurement import Measurement

# Blue, green, red; of the Okabe-Ito palette, as in the report's pictures.
OFD_COLOUR: Final = (233, 180, 86)
BPD_COLOUR: Final = (0, 159, 230)
TEXT_COLOUR: Final = (255, 255, 255)
FLAG_COLOUR: Final = (66, 228, 240)
OVERLAYS: Final = "overlays"
"""The folder of the pictures, beside the table."""
_RIM: Final = (0, 0, 0)
_FONT: Final = cv2.FONT_HERSHEY_SIMPLEX
_SUBPIXEL_BITS: Final = 4


def draw_overlay(image: UInt8[np.ndarray, "H W"], measured: Measurement) -> UInt8[np.ndarray, "H W 3"]:
    """The picture, in blue, green, red."""
    canvas = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    size = max(1.0, min(image.shape) / 540)
    _ellipse(canvas, measured.points_orig, size)
    for name, pair, colour in (("OFD", OFD, OFD_COLOUR), ("BPD", BPD, BPD_COLOUR)):
        ends = measured.points_orig[list(pair)]
        if not np.isnan(ends).any():
            _dotted(canvas, ends, colour, size)
        for end in ends[~np.isnan(ends).any(1)]:
            arm = 7 * size
            for along in ((arm, 0.0), (0.0, arm)):
                cv2.line(
                    canvas,
                    _fixed(end - along),
                    _fixed(end + along),
                    colour,
                    round(2 * size),
                    cv2.LINE_AA,
                    _SUBPIXEL_BITS,
                )
            _text(canvas, name, end + np.array((9.0, -5.0)) * size, colour, 0.45 * size)
    lines = [(text, TEXT_COLOUR) for text in _values(measured)] + [(text, FLAG_COLOUR) for text in measured.flags]
    for number, (text, colour) in enumerate(lines):
        _text(canvas, text, np.array((8.0, 20.0 + 18 * number)) * size, colour, 0.45 * size)
    return np.asarray(canvas)


def write_overlay(image: UInt8[np.ndarray, "H W"], measured: Measurement, path: Path) -> None:
    """Writes the picture as PNG, atomically.

    Raises:
        OSError: it cannot be written.
    """
    encoded, content = cv2.imencode(".png", draw_overlay(image, measured))
    if not encoded:
        raise OSError(f"OpenCV cannot encode {path.name}")
    with atomic_path(path) as temporary:
        temporary.write_bytes(content.tobytes())


def _values(measured: Measurement) -> list[str]:
    if math.isnan(measured.hc_mm):
        lengths = biometry.diameters(measured.points_orig)
        values = [(name.upper(), float(value), "px") for name, value in lengths.items()]
    else:
        values = [("BPD", measured.bpd_mm, "mm"), ("OFD", measured.ofd_mm, "mm"), ("HC", measured.hc_mm, "mm")]
    lines = [f"{name} {value:.1f} {unit}" for name, value, unit in values if not math.isnan(value)]
    if not math.isnan(measured.cephalic_index):
        lines.append(f"CI {measured.cephalic_index:.2f}")
    if not math.isnan(measured.ga_weeks):
        weeks, days = divmod(round(measured.ga_weeks * 7), 7)
        lines.append(f"GA {weeks}w{days}d {measured.ga_formula}")
    return lines


def _ellipse(canvas: np.ndarray, points: np.ndarray, size: float) -> None:
    """The ellipse with these conjugate diameters, which are its axes where pixels are square, if all are known."""
    if np.isnan(points).any():
        return
    halves = [(points[last] - points[first]) / 2 for first, last in (OFD, BPD)]
    turns = np.linspace(0, 2 * math.pi, 181)
    outline = np.cos(turns)[:, None] * halves[0] + np.sin(turns)[:, None] * halves[1]
    centre = points.mean(0)
    for point in (outline + centre)[:-1]:
        cv2.circle(canvas, _fixed(point), round(size * 2**_SUBPIXEL_BITS), TEXT_COLOUR, -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _dotted(canvas: np.ndarray, ends: np.ndarray, colour: tuple[int, int, int], size: float) -> None:
    count = max(2, round(float(np.linalg.norm(ends[1] - ends[0])) / (8 * size)))
    for share in np.linspace(0, 1, min(count, 1000)):
        point = ends[0] + share * (ends[1] - ends[0])
        cv2.circle(
            canvas, _fixed(point), round(1.2 * size * 2**_SUBPIXEL_BITS), colour, -1, cv2.LINE_AA, _SUBPIXEL_BITS
        )


def _text(canvas: np.ndarray, text: str, at: np.ndarray, colour: tuple[int, int, int], scale: float) -> None:
    x, y = round(float(at[0])), round(float(at[1]))
    thickness = round(max(1.0, scale / 0.45))
    # A dark rim, because the skull is white; shifted copies, because a thicker stroke makes some fonts run wider.
    for dx, dy, shade in ((-1, 0, _RIM), (1, 0, _RIM), (0, -1, _RIM), (0, 1, _RIM), (0, 0, colour)):
        place = x + dx * thickness, y + dy * thickness
        cv2.putText(canvas, text, place, _FONT, scale, shade, thickness, cv2.LINE_AA)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """A point in OpenCV's fixed-point pixels."""
    x, y = (round(float(value) * 2**_SUBPIXEL_BITS) for value in point)
    return x, y
