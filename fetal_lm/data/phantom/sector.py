"""The fan of beams of a curved probe: a polar grid on which phantoms are drawn, and its way to the screen.

Drawing in beam coordinates makes the physics simple: a shadow is a running sum down a column, and a point spread
function of constant width on the grid grows with depth and follows the beam on the screen.

Grids are `[rows, beams]`: rows go away from the probe, beams from left to right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

from fetal_lm.data.phantom.head import SIZE_ORIG, Head

ROWS: Final = 448
BEAMS: Final = 256
"""About 1.2 px by 2.5 px a cell: finer than the narrowest point spread function that is drawn."""

# Fan shapes of HC18: the sides are 17 to 38 degrees off the vertical; the curved probe's face shows at the top of the
# deeper scans and lies above the frame in the zoomed ones.
_HALF_ANGLE_DEG: Final = (18.0, 38.0)
_FACE_ABOVE_HEAD_PX: Final = (40.0, 190.0)
_HIGHEST_FACE_PX: Final = -60.0
_TILT_DEVIATION_DEG: Final = 1.5
_SHIFT_DEVIATION_PX: Final = 18.0
_CENTRE_X_PX: Final = 397.0
# How far the fan is wider than the head, in half widths of the head: below 1 a side cuts into the head.
_ROOM: Final = (1.0, 1.9)
_ROOM_AT_TOP: Final = 0.6
"""The same at the height of the head's top, where the head is narrow."""
_LEAST_FACE_RADIUS_PX: Final = 60.0
"""Radius of the probe's curved face; transvaginal probes have the smallest."""
_BOTTOM_PX: Final = (500.0, 620.0)
# Heads are moved from frame to frame under a fan that stays: its room is counted for the head plus this much.
_MOVES_PX: Final = 20.0

# The map to the screen is smooth: it is computed on every 4th pixel and interpolated. Its error, step^2 / (8 radius),
# is below 0.02 px at a radius of 100 px. The pad keeps the interpolation from running flat at the frame's border.
_STEP_PX: Final = 4
_PAD_PX: Final = 4


@dataclass(frozen=True)
class Sector:
    """A fan of beams; positions in original pixels, angles from the downward direction, positive to the right.

    Attributes:
        apex_x_px: where all beams would meet.
        apex_y_px: where all beams would meet (above the frame).
        first_rad: the leftmost beam.
        last_rad: the rightmost beam.
        near_px: radius of the first row.
        far_px: radius of the last row.
    """

    apex_x_px: float
    apex_y_px: float
    first_rad: float
    last_rad: float
    near_px: float
    far_px: float

    @property
    def row_px(self) -> float:
        """Depth from one row to the next."""
        return (self.far_px - self.near_px) / (ROWS - 1)

    @property
    def beam_rad(self) -> float:
        """Angle from one beam to the next."""
        return (self.last_rad - self.first_rad) / (BEAMS - 1)

    @cached_property
    def radius_px(self) -> Float32[np.ndarray, " rows"]:
        """Distance of each row from the apex."""
        return np.linspace(self.near_px, self.far_px, ROWS, dtype=np.float32)

    @cached_property
    def direction(self) -> Float32[np.ndarray, "2 beams"]:
        """The unit vector (x, y) along each beam, away from the probe."""
        angle = np.linspace(self.first_rad, self.last_rad, BEAMS)
        return np.stack([np.sin(angle), np.cos(angle)]).astype(np.float32)

    @cached_property
    def x_px(self) -> Float32[np.ndarray, "rows beams"]:
        """Where each cell lies on the screen."""
        return np.asarray(np.outer(self.radius_px, self.direction[0]) + np.float32(self.apex_x_px))

    @cached_property
    def y_px(self) -> Float32[np.ndarray, "rows beams"]:
        """Where each cell lies on the screen."""
        return np.asarray(np.outer(self.radius_px, self.direction[1]) + np.float32(self.apex_y_px))

    def to_screen(self, grid: UInt8[np.ndarray, "rows beams"]) -> UInt8[np.ndarray, "H W"]:
        """The image of `SIZE_ORIG` that a grid makes; black outside the fan."""
        height, width = SIZE_ORIG
        x = np.arange(-_PAD_PX, width + _PAD_PX, _STEP_PX, dtype=np.float32) + (_STEP_PX - 1) / 2 - self.apex_x_px
        y = np.arange(-_PAD_PX, height + _PAD_PX, _STEP_PX, dtype=np.float32) + (_STEP_PX - 1) / 2 - self.apex_y_px
        x, y = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
        coarse_row = (np.hypot(x, y) - np.float32(self.near_px)) / np.float32(self.row_px)
        coarse_beam = (np.arctan2(x, y) - np.float32(self.first_rad)) / np.float32(self.beam_rad)
        row, beam = (_refine(coarse) for coarse in (coarse_row, coarse_beam))
        screen = cv2.remap(grid, beam, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT, borderValue=(0,))
        return np.asarray(screen, dtype=np.uint8)


def sector(look: np.random.Generator, head: Head) -> Sector:
    """A fan that shows the head; the same for all frames of an examination if `look` and `head` are.

    Args:
        look: the examination's stream for this purpose.
        head: the examination's first frame.
    """
    height, width = SIZE_ORIG
    half_x, half_y = head.half_extent_px
    half_x, half_y = half_x + _MOVES_PX, half_y + _MOVES_PX
    half_angle = math.radians(look.uniform(*_HALF_ANGLE_DEG))
    axis_x = look.normal(_CENTRE_X_PX, _SHIFT_DEVIATION_PX)
    tilt = math.radians(look.normal(0, _TILT_DEVIATION_DEG))
    # The fan is as wide as this at the height of the head's centre.
    half_width = half_x * look.uniform(*_ROOM) + abs(head.centre_x_px - axis_x)
    top_y = head.centre_y_px - half_y
    apex_y = min(
        head.centre_y_px - half_width / math.tan(half_angle),
        top_y - half_x * _ROOM_AT_TOP / math.tan(half_angle),
        top_y - _LEAST_FACE_RADIUS_PX,
    )
    face_y = max(top_y - look.uniform(*_FACE_ABOVE_HEAD_PX), _HIGHEST_FACE_PX, apex_y + _LEAST_FACE_RADIUS_PX)
    bottom_y = max(look.uniform(*_BOTTOM_PX), head.centre_y_px + half_y + 10.0)
    apex_x = axis_x - (head.centre_y_px - apex_y) * math.tan(tilt)

    # Cells beyond the frame would be drawn for nothing: the top corners bound the angles, the bottom ones the depth.
    above = max(-apex_y, 1.0)
    return Sector(
        apex_x_px=apex_x,
        apex_y_px=apex_y,
        first_rad=max(tilt - half_angle, math.atan2(-1 - apex_x, above)),
        last_rad=min(tilt + half_angle, math.atan2(width - apex_x, above)),
        near_px=max(face_y, 0.0) - apex_y,
        far_px=min(bottom_y - apex_y, math.hypot(max(apex_x, width - apex_x), height - apex_y)),
    )


def _refine(coarse: Float[np.ndarray, "h w"]) -> Float32[np.ndarray, "H W"]:
    height, width = SIZE_ORIG
    # cv2.resize maps pixel areas: coarse pixel j is centred on fine pixel 4 j + 1.5, where it was computed.
    size = (coarse.shape[1] * _STEP_PX, coarse.shape[0] * _STEP_PX)
    fine = cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[_PAD_PX : _PAD_PX + height, _PAD_PX : _PAD_PX + width], dtype=np.float32)
