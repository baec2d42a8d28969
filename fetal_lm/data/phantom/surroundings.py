"""What lies around a phantom's head: the mother's tissue, fluid, bright patches, and arcs that are not skull."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from jaxtyping import Float32, Float64

from fetal_lm.data.phantom.canvas import Canvas, as_db, patches
from fetal_lm.data.phantom.head import SIZE_ORIG, Head
from fetal_lm.data.phantom.sector import ROWS, Sector

_CANVAS_SCALE: Final = 0.5
"""Canvas pixels per original pixel; the blurs below are in canvas pixels."""
_FLUID_BLUR_PX: Final = 2.0
_BRIGHT_BLUR_PX: Final = 4.0
_ARC_BLUR_PX: Final = 1.0

# Levels in dB over the middle grey; deviations of smooth noise where a single number.
_LEVEL_DB: Final = (-7.0, 3.0)
_PATCHINESS_DB: Final = 5.0
_LAYERS_DB: Final = (3.0, 8.0)
"""Deviation of the bright and dark layers under the probe."""
_NEAR_FIELD_DB: Final = (0.0, 7.0)
"""How much brighter these layers are than the tissue beside the head."""
_BRIGHT_DB: Final = 13.0
_ARC_DB: Final = 48.0
"""Echo of an arc of full weight, over -10 dB: as bright as bone at its best."""

_FLUID_SHARE: Final = 0.8
"""Share of images with a pool of fluid around the head."""
_FLUID_DB: Final = (-28.0, -11.0)
# The pool's size in half widths and half heights of the head: it reaches out beside the head more than above.
_CAVITY_WIDTH: Final = (1.05, 1.7)
_CAVITY_HEIGHT: Final = (0.8, 1.2)
_SKIN_GAP_BPD: Final = (0.035, 0.09)
"""The scalp's distance from the bone, as a share of the BPD."""


def surroundings(
    tissue: np.random.Generator, head: Head, fan: Sector
) -> tuple[Float32[np.ndarray, "rows beams"], Float32[np.ndarray, "rows beams"]]:
    """Diffuse and smooth echoes outside the head, in dB over soft tissue.

    Args:
        tissue: the image's stream for this purpose.
        head: how the head lies.
        fan: the beams.
    """
    size = [round(side * _CANVAS_SCALE) for side in SIZE_ORIG]
    fluid, bright, arcs = (Canvas(np.zeros(size, np.uint8), 0.0, _CANVAS_SCALE) for _ in range(3))
    centre = np.array([head.centre_x_px, head.centre_y_px])
    half_head = np.array(head.half_extent_px)

    if tissue.uniform() < _FLUID_SHARE:
        half = half_head * [tissue.uniform(*_CAVITY_WIDTH), tissue.uniform(*_CAVITY_HEIGHT)]
        middle = centre + tissue.normal(0, 0.15, 2) * half_head
        wall = _closed_curve(tissue, middle, half)
        fluid.polygon(wall, 255.0)
        # Parts of the womb's wall shine.
        for _ in range(tissue.integers(0, 4)):
            part = np.roll(wall, tissue.integers(0, len(wall)), axis=0)[: tissue.integers(6, 16)]
            arcs.fading_line(part, tissue.uniform(80, 200), 2)

    # Placenta, the womb's far wall, limbs: bright patches beside and below the head.
    for _ in range(tissue.integers(0, 4)):
        where = tissue.uniform(-0.3, math.pi + 0.3)
        middle = centre + half_head * tissue.uniform(1.2, 2.0) * [math.cos(where), math.sin(where)]
        patch = _closed_curve(tissue, middle, half_head * tissue.uniform(0.2, 0.7, 2))
        bright.polygon(patch, tissue.uniform(90, 255))

    for _ in range(tissue.integers(1, 5)):
        arc = _foreign_arc(tissue, centre, half_head)
        arcs.fading_line(arc, tissue.uniform(90, 230), int(tissue.integers(1, 4)))
    if tissue.uniform() < 0.5:
        arcs.fading_line(_skin(tissue, head), tissue.uniform(60, 130), 1)

    x, y = fan.x_px, fan.y_px
    level = patches(tissue, (7, 9)) * np.float32(_PATCHINESS_DB) + np.float32(tissue.uniform(*_LEVEL_DB))
    level += patches(tissue, (56, 14)) * np.float32(_PATCHINESS_DB / 2)
    level += _near_field(tissue, head, fan)
    level += (np.float32(tissue.uniform(*_FLUID_DB)) - level) * fluid.look_up(x, y, _FLUID_BLUR_PX)
    level += bright.look_up(x, y, _BRIGHT_BLUR_PX) * np.float32(_BRIGHT_DB)
    return level, as_db(arcs.look_up(x, y, _ARC_BLUR_PX), _ARC_DB)


def _near_field(tissue: np.random.Generator, head: Head, fan: Sector) -> Float32[np.ndarray, "rows beams"]:
    """Layers of skin, fat, muscle and the womb's wall: bright, stretched across the beams, down to the head's top."""
    layers = patches(tissue, (int(tissue.integers(30, 90)), 6)) * np.float32(tissue.uniform(*_LAYERS_DB))
    top_y = head.centre_y_px - head.half_extent_px[1]
    end_row = (top_y - fan.apex_y_px - fan.near_px) / fan.row_px
    row = np.arange(ROWS, dtype=np.float32)[:, None]
    fade = np.clip((np.float32(end_row) - row) / np.float32(30) + 1, 0, 1)
    return np.asarray((layers + np.float32(tissue.uniform(*_NEAR_FIELD_DB))) * fade, dtype=np.float32)


def _foreign_arc(
    tissue: np.random.Generator, centre: Float64[np.ndarray, " 2"], half_head: Float64[np.ndarray, " 2"]
) -> Float64[np.ndarray, "points 2"]:
    """A curve outside the head as limbs, womb and placenta make them: it may look like skull and is none."""
    where = tissue.uniform(0, 2 * math.pi)
    radius = half_head.max() * tissue.uniform(0.15, 1.2)
    towards = np.array([math.cos(where), math.sin(where)])
    # The arc bulges towards the head or away from it; either way its nearest point keeps a distance.
    nearest = centre + towards * half_head * tissue.uniform(1.12, 1.6)
    bulge = 1.0 if tissue.uniform() < 0.5 else -1.0
    angles = where + (0 if bulge < 0 else math.pi) + np.linspace(-1, 1, 12) * tissue.uniform(0.15, 0.7)
    middle = nearest + bulge * towards * radius
    return np.asarray(middle + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _skin(tissue: np.random.Generator, head: Head) -> Float64[np.ndarray, "points 2"]:
    """Part of the scalp: a faint line that follows the skull at a small distance."""
    gap = head.bpd_px * tissue.uniform(*_SKIN_GAP_BPD)
    around = tissue.uniform(0, 2 * math.pi) + np.linspace(0, tissue.uniform(0.5, 2.0), 24)
    u, v = (head.ofd_px / 2 + gap) * np.cos(around), (head.bpd_px / 2 + gap) * np.sin(around)
    cosine, sine = math.cos(head.turn_rad), math.sin(head.turn_rad)
    return np.stack([head.centre_x_px + u * cosine - v * sine, head.centre_y_px + u * sine + v * cosine], axis=1)


def _closed_curve(
    tissue: np.random.Generator, centre: Float64[np.ndarray, " 2"], half: Float64[np.ndarray, " 2"]
) -> Float64[np.ndarray, "points 2"]:
    around = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    radius = np.ones_like(around)
    for harmonic in (2, 3, 4, 5):
        radius += tissue.normal(0, 0.16 / harmonic) * np.cos(harmonic * around + tissue.uniform(0, 2 * math.pi))
    return np.asarray(centre + half * radius[:, None] * np.stack([np.cos(around), np.sin(around)], axis=1))
