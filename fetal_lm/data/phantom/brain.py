"""The brain of a phantom: midline, plexus, ventricles, sulci, and the tissue between them.

Structures are placed in head coordinates: p along the long axis with the forehead at -1, q along the short axis, both 1
at the outline. Numbers for places and sizes below are in these coordinates, read off HC18's images by eye.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from jaxtyping import Float32

from fetal_lm.data.phantom.canvas import Canvas, as_db, patches
from fetal_lm.data.phantom.head import Head
from fetal_lm.data.phantom.sector import Sector
from fetal_lm.data.phantom.skull import Skull

_REACH: Final = 1.05
"""The canvas covers head coordinates from minus this to this."""
_CANVAS_SCALE: Final = 91.5
"""Canvas pixels per unit: about 2.5 original pixels each on a typical head."""
_BLOB_BLUR_PX: Final = 3.0
_LINE_BLUR_PX: Final = 0.8

_EARLY_BELOW_HC_MM: Final = 130.0
"""Up to about 15 weeks the plexus fills the hemispheres."""

# Levels in dB over the tissue outside the head; "fine" and "coarse" are deviations of smooth noise.
_LEVEL_DB: Final = (-15.0, -5.0)
_FINE_DB: Final = 3.5
_COARSE_DB: Final = 3.0
_BLOB_DB: Final = 24.0
_LINE_DB: Final = 70.0
"""Echo of a line of full weight, over -10 dB; thin lines keep about half of their weight after the blur."""
_ALONG_BEAM_LOSS_DB: Final = 16.0
"""What lines lose when the head stands on end and they lie along the beam instead of across."""
_HAZE_DB: Final = (0.0, 6.0)
"""Reverberations of the near wall brighten the half that is nearer to the probe."""


def brain(
    anatomy: np.random.Generator, tissue: np.random.Generator, head: Head, fan: Sector, bone: Skull
) -> tuple[Float32[np.ndarray, "rows beams"], Float32[np.ndarray, "rows beams"]]:
    """Diffuse and smooth echoes inside the skull, in dB over soft tissue.

    Args:
        anatomy: the examination's stream: the structures.
        tissue: the image's stream: this view of them.
        head: how the head lies.
        fan: the beams.
        bone: the skull; its head coordinates (p, q) have the forehead at p = -1.
    """
    side_px = round(2 * _REACH * _CANVAS_SCALE)
    blobs, lines = (Canvas(np.zeros((side_px, side_px), np.uint8), -_REACH, _CANVAS_SCALE) for _ in range(2))
    early = head.hc_mm < _EARLY_BELOW_HC_MM
    clearness = tissue.uniform(0.6, 1.0)
    _midline(anatomy, lines, 230 * clearness)
    for side in (-1, 1):
        # Plexus: it fills much of both hemispheres of an early head; later it shows in the half away from the probe.
        if early:
            seen, length, width = anatomy.uniform(0.5, 1), anatomy.uniform(0.25, 0.48), anatomy.uniform(0.16, 0.3)
        else:
            seen, length, width = anatomy.uniform(0.4, 1), anatomy.uniform(0.1, 0.22), anatomy.uniform(0.09, 0.18)
            seen *= 1 if side > 0 else 0.35
        place = (anatomy.uniform(0.05, 0.5), side * anatomy.uniform(0.28, 0.48))
        blobs.ellipse(place, (length, width), anatomy.uniform(-35, 35), 255 * seen * clearness)
        # Thalamus, dimmer, beside the midline.
        blobs.ellipse((anatomy.uniform(-0.15, 0.1), side * 0.16), (0.2, 0.12), 0.0, anatomy.uniform(0, 90))
        # Wall of the ventricle and the lobe's surface: bent lines along the midline, in pieces.
        for height in (anatomy.uniform(0.16, 0.36), anatomy.uniform(0.5, 0.74)):
            first, bend = anatomy.uniform(-0.6, 0.3), anatomy.normal(0, 0.5)
            step = np.linspace(0, anatomy.uniform(0.1, 0.5), 5)
            curve = np.stack([first + step, side * (height + bend * step * (step[-1] - step))], axis=1)
            lines.line(curve, anatomy.uniform(30, 200) * clearness)
    # Sulci and vessels: short dashes that lie across the beam, because only such echo; gathered about the middle.
    dash = np.array([math.cos(head.turn_rad) / head.ofd_px, -math.sin(head.turn_rad) / head.bpd_px]) * head.bpd_px
    dash[0] *= 1 if head.face_left else -1
    for _ in range(tissue.integers(8, 40)):
        start = np.clip(tissue.normal(0, (0.38, 0.34)), -0.75, 0.75)
        end = start + dash * tissue.uniform(0.03, 0.13) + tissue.normal(0, 0.015, 2)
        lines.line(np.stack([start, end]), tissue.uniform(40, 210) * clearness)
    level = patches(tissue, (48, 32)) * np.float32(_FINE_DB) + np.float32(tissue.uniform(*_LEVEL_DB))
    level += patches(tissue, (9, 7)) * np.float32(_COARSE_DB)
    nearer = np.clip((np.float32(head.centre_y_px) - fan.y_px) / np.float32(head.half_extent_px[1]), 0, 1)
    level += nearer * np.float32(tissue.uniform(*_HAZE_DB))
    level += blobs.look_up(bone.p, bone.q, _BLOB_BLUR_PX) * np.float32(_BLOB_DB)
    along_beam = 1 - abs(math.cos(head.turn_rad))
    lines_db = as_db(lines.look_up(bone.p, bone.q, _LINE_BLUR_PX), _LINE_DB)
    return level, lines_db - np.float32(_ALONG_BEAM_LOSS_DB * along_beam)


def _midline(anatomy: np.random.Generator, lines: Canvas, brightness: float) -> None:
    """The falx: a broken line along the long axis, and the box of the cavum septi pellucidi near the forehead."""
    thickness = int(anatomy.integers(1, 3))
    p = -0.88
    while p < 0.85:
        length = anatomy.uniform(0.08, 0.5)
        if not -0.62 < p + length / 2 < -0.3 and anatomy.uniform() < 0.75:
            offset = anatomy.normal(0, 0.008)
            piece = np.array([(p, offset), (min(p + length, 0.9), -offset)])
            lines.line(piece, brightness * anatomy.uniform(0.4, 1), thickness)
        p += length + anatomy.uniform(0.02, 0.12)
    for side in (-1, 1):
        height = side * anatomy.uniform(0.04, 0.09)
        lines.line(np.array([(-0.6, height), (-0.33, height)]), brightness * anatomy.uniform(0.3, 1))
