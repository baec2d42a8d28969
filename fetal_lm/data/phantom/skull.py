"""The skull of a phantom: a bright band inside the label's ellipse, with gaps, and the shadow that it throws.

In HC18 the labelled ellipse runs along the outer edge of the bone: over 200 of its images the band's brightest line
lies 6 to 8 px inside the ellipse, and its outer half height 0 to 5 px outside. The phantom's band is drawn alike.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, Float64

from fetal_lm.data.phantom.head import Head
from fetal_lm.data.phantom.sector import Sector

# Thickness of the band as a share of the BPD: 12 px on a typical head. Wall and blur of the beam together.
_THICKNESS: Final = (0.022, 0.042)
_THICKNESS_VARIATION: Final = 0.25
_THINNEST_PX: Final = 5.0
_EDGE_PX: Final = 2.5
_EDGE_LOSS_DB: Final = 9.0
"""What the band's edges lose against its middle: a parabola in dB, so that a bright wall looks thicker."""
# The blur of the beam and the logarithm push the visible edge outwards by about this much; the band is moved inwards.
_INSET_PX: Final = 2.0

# Echo of bone hit head on, over soft tissue, and what is lost where the beam grazes it. HC18's median grey at the
# outline falls from over 200 where the beam is perpendicular to about 60 where it runs along the wall.
_PEAK_DB: Final = (31.0, 44.0)
_GRAZING_LOSS_DB: Final = (12.0, 52.0)
_BONE_GRAIN_DB: Final = -10.0
"""Diffuse part of the bone's echo, relative to its smooth part."""

# Around the head: table entries per turn (at 500 px length one entry is about 3 px of the outline).
_TABLE: Final = 512
_SUTURES: Final = (2, 5)
_SUTURE_HALF_WIDTH_RAD: Final = (0.012, 0.035)
_SUTURE_LOSS_DB: Final = (8.0, 26.0)
_GAPS: Final = (0, 3)
_GAP_HALF_WIDTH_RAD: Final = (0.10, 0.42)
_GAP_LOSS_DB: Final = (8.0, 40.0)
_UNEVENNESS_DB: Final = 2.5
# Real skulls are no ellipses. Harmonics from the third on leave the best-fitting ellipse where it is.
_SHAPE_HARMONICS: Final = (3, 4, 5, 6)
_SHAPE_DEVIATION: Final = 0.006
"""Deviation of each harmonic, as a share of the BPD, divided by (harmonic - 2)."""

_BONE_LOSS_DB_PER_PX: Final = (0.04, 0.32)
_OBLIQUE_LOSS: Final = 2.2
"""Bone that is hit at a slant sends the beam elsewhere: its loss grows by up to this factor, plus one."""
_DEEPEST_SHADOW_DB: Final = 22.0
_PENUMBRA_BEAMS: Final = 7
"""The aperture is wide: a shadow's edge is soft over this many beams."""


@dataclass(frozen=True)
class Skull:
    """The skull on the polar grid of one image.

    Attributes:
        distance_px: distance from the labelled ellipse, negative inside; exact to first order, good near the outline.
        inside: the cavity within the bone.
        cover: share of bone in each cell, 0 to 1.
        specular_db: the bone's smooth echo; far below 0 dB where there is none.
        scatter_db: the bone's diffuse echo, relative to soft tissue.
        shadow_db: what beams have lost on their way through bone.
        p: head coordinate along the long axis, 1 at the outline, towards the occiput.
        q: head coordinate along the short axis, 1 at the outline.
    """

    distance_px: Float32[np.ndarray, "rows beams"]
    inside: Bool[np.ndarray, "rows beams"]
    cover: Float32[np.ndarray, "rows beams"]
    specular_db: Float32[np.ndarray, "rows beams"]
    scatter_db: Float32[np.ndarray, "rows beams"]
    shadow_db: Float32[np.ndarray, "rows beams"]
    p: Float32[np.ndarray, "rows beams"]
    q: Float32[np.ndarray, "rows beams"]


def skull(anatomy: np.random.Generator, tissue: np.random.Generator, head: Head, fan: Sector) -> Skull:
    """Draws the skull.

    Args:
        anatomy: the examination's stream: thickness, shape and sutures belong to the head.
        tissue: the image's stream: what is lost in this view.
        head: how the head lies.
        fan: the beams that look at it.
    """
    half_ofd, half_bpd = np.float32(head.ofd_px / 2), np.float32(head.bpd_px / 2)
    cosine, sine = math.cos(head.turn_rad), math.sin(head.turn_rad)
    x, y = fan.x_px - np.float32(head.centre_x_px), fan.y_px - np.float32(head.centre_y_px)
    p = (x * np.float32(cosine) + y * np.float32(sine)) / half_ofd
    q = (y * np.float32(cosine) - x * np.float32(sine)) / half_bpd
    # Of F = p^2 + q^2 - 1, F / |grad F| is the distance to the ellipse to first order.
    slope_p, slope_q = p / half_ofd, q / half_bpd
    slope = np.sqrt(slope_p * slope_p + slope_q * slope_q) + np.float32(1e-6)
    distance = (p * p + q * q - 1) / (2 * slope)

    # How squarely the beam hits the wall: the cosine between the beam and the outline's normal.
    beam_u = (fan.direction[0] * cosine + fan.direction[1] * sine).astype(np.float32)
    beam_v = (fan.direction[1] * cosine - fan.direction[0] * sine).astype(np.float32)
    squareness = np.abs(slope_p * beam_u + slope_q * beam_v) / slope

    around = cv2.phase(p, q)  # 0 to 2 pi
    entry = (around * np.float32(_TABLE / (2 * math.pi))).astype(np.int32) % _TABLE
    bump, thickness, loss = _outline(anatomy, tissue, head.bpd_px)
    depth = -(distance - bump[entry]) - np.float32(_INSET_PX)
    wall = thickness[entry]
    outer, inner = _step(depth), _step(depth - wall)
    cover = outer - inner
    grazing = np.float32(tissue.uniform(*_GRAZING_LOSS_DB))
    peak = np.float32(anatomy.uniform(*_PEAK_DB))
    level = peak - loss[entry] - grazing * (1 - squareness) ** np.float32(1.2)
    from_middle = np.minimum(np.abs(2 * depth / wall - 1), np.float32(3.5))
    specular_db = level - np.float32(_EDGE_LOSS_DB) * from_middle * from_middle
    bone_loss = np.float32(tissue.uniform(*_BONE_LOSS_DB_PER_PX) * fan.row_px)
    slant = np.float32(1 + _OBLIQUE_LOSS) - np.float32(_OBLIQUE_LOSS) * squareness
    shadow = np.minimum(np.cumsum(cover * bone_loss * slant, axis=0, dtype=np.float32), np.float32(_DEEPEST_SHADOW_DB))
    shadow = np.asarray(cv2.blur(shadow, (_PENUMBRA_BEAMS, 1)), dtype=np.float32)
    if not head.face_left:
        p = -p
    return Skull(
        distance_px=distance,
        inside=depth > wall,
        cover=cover,
        specular_db=specular_db,
        scatter_db=level + np.float32(_BONE_GRAIN_DB),
        shadow_db=shadow,
        p=p,
        q=q,
    )


def _outline(
    anatomy: np.random.Generator, tissue: np.random.Generator, bpd_px: float
) -> tuple[Float32[np.ndarray, " table"], Float32[np.ndarray, " table"], Float32[np.ndarray, " table"]]:
    """Bump (px, outwards), thickness (px) and loss of echo (dB) around the head."""
    around = np.arange(_TABLE) * (2 * math.pi / _TABLE)
    bump = np.zeros(_TABLE)
    for harmonic in _SHAPE_HARMONICS:
        size, phase = anatomy.normal(0, _SHAPE_DEVIATION / (harmonic - 2)), anatomy.uniform(0, 2 * math.pi)
        bump += bpd_px * size * np.cos(harmonic * around + phase)
    mean_px = max(_THINNEST_PX, bpd_px * anatomy.uniform(*_THICKNESS))
    thickness = mean_px * np.clip(1 + _THICKNESS_VARIATION * _wave(anatomy, around), 0.5, 1.6)
    loss = _UNEVENNESS_DB * _wave(tissue, around)
    for generator, count, half_width, depth in (
        (anatomy, _SUTURES, _SUTURE_HALF_WIDTH_RAD, _SUTURE_LOSS_DB),
        (tissue, _GAPS, _GAP_HALF_WIDTH_RAD, _GAP_LOSS_DB),
    ):
        for _ in range(generator.integers(*count, endpoint=True)):
            away = np.abs((around - generator.uniform(0, 2 * math.pi) + math.pi) % (2 * math.pi) - math.pi)
            # A flat-bottomed bell: a gap has edges.
            loss += generator.uniform(*depth) * np.exp(-((away / generator.uniform(*half_width)) ** 4))
    return bump.astype(np.float32), thickness.astype(np.float32), loss.astype(np.float32)


def _wave(generator: np.random.Generator, around: Float64[np.ndarray, " table"]) -> Float64[np.ndarray, " table"]:
    """A smooth periodic function of deviation about 1."""
    wave = np.zeros_like(around)
    harmonics = (1, 2, 3, 5, 8)
    # A cosine has deviation 1 / sqrt(2).
    each = math.sqrt(2 / len(harmonics))
    for harmonic in harmonics:
        wave += generator.normal(0, each) * np.cos(harmonic * around + generator.uniform(0, 2 * math.pi))
    return wave


def _step(depth_px: Float32[np.ndarray, "rows beams"]) -> Float32[np.ndarray, "rows beams"]:
    return np.clip(depth_px / np.float32(_EDGE_PX) + np.float32(0.5), 0, 1)
