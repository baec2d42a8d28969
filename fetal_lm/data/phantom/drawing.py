"""Phantom heads: synthetic ultrasound images with exact landmarks, so that everything runs with no data at hand.

Image `index` of `seed` is the same on every machine and for any number of workers that draw: nothing is kept between
calls, and each image has random streams of its own. Floating-point functions differ in their last digit between CPUs:
with all vector extensions of numpy and OpenCV switched off, 4 pixels in 100 000 changed, each by one grey value. The
landmarks do not depend on the drawing.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import UInt8

from fetal_lm.data.phantom.head import Head, Stream, head, stream
from fetal_lm.data.phantom.sector import Sector, sector
from fetal_lm.data.phantom.skull import skull
from fetal_lm.data.phantom.speckle import Scale, grey_values
from fetal_lm.data.phantom.tissue import echoes

DRAWING_VERSION: Final = 1
"""Raised with every change of the drawing: caches of images are keyed by it."""

# Speckle grain: the point spread function in mm, and its least and greatest width in original pixels.
_AXIAL_SIGMA_MM: Final = (0.16, 0.28)
_AXIAL_SIGMA_PX: Final = (1.2, 3.6)
_LATERAL_TO_AXIAL: Final = (1.5, 3.0)
_SMOOTHING: Final = (0.55, 1.2)
_MIDDLE_GREY: Final = (64.0, 108.0)
_GREY_PER_DB: Final = (3.3, 4.7)

# Black boxes that hide the patient's data: right edge and bottom edge of the frame are near; (low, high) in px.
_BOX_WIDTH_PX: Final = (95, 260)
_BOX_HEIGHT_PX: Final = (45, 150)
_BOX_BOTTOM_PX: Final = (505, 540)
_BOX_RIGHT_PX: Final = (750, 800)
_BOX_SHARE: Final = 0.9
_CORNER_BOX_SHARE: Final = 0.3
_WEDGE: Final = (slice(22, 156), slice(3, 11))
"""The grey wedge at the left edge (rows, columns)."""


def draw(seed: int, index: int) -> UInt8[np.ndarray, "H W"]:
    """Image `index`: grey, 0 to 255, of `SIZE_ORIG`."""
    this = head(seed, index)
    examination, frame = this.examination, this.frame
    look = stream(seed, examination, Stream.LOOK)
    fan = sector(stream(seed, examination, Stream.SECTOR), head(seed, index - frame))
    tissue = stream(seed, index, Stream.TISSUE)
    bone = skull(stream(seed, examination, Stream.SKULL), tissue, this, fan)
    both = echoes(stream(seed, examination, Stream.BRAIN), tissue, this, fan, bone)
    scale = _scale(look, this, fan)
    image = fan.to_screen(grey_values(stream(seed, index, Stream.SPECKLE), both.scatter_db, both.specular_db, scale))
    _cover(look, image)
    return image


def _scale(look: np.random.Generator, head: Head, fan: Sector) -> Scale:
    axial_px = float(np.clip(look.uniform(*_AXIAL_SIGMA_MM) / head.mm_per_px, *_AXIAL_SIGMA_PX))
    lateral_px = axial_px * look.uniform(*_LATERAL_TO_AXIAL)
    # Width across is meant at the middle depth; on the polar grid it is an angle.
    middle_px = (fan.near_px + fan.far_px) / 2
    return Scale(
        middle_grey=look.uniform(*_MIDDLE_GREY),
        grey_per_db=look.uniform(*_GREY_PER_DB),
        axial_sigma=axial_px / fan.row_px,
        lateral_sigma=lateral_px / (middle_px * fan.beam_rad),
        smoothing=look.uniform(*_SMOOTHING),
    )


def _cover(look: np.random.Generator, image: UInt8[np.ndarray, "H W"]) -> None:
    """Draws what the machine puts over the image: black boxes where labels were masked, and the grey wedge."""
    if look.uniform() < _BOX_SHARE:
        bottom, right = (int(look.integers(*edge, endpoint=True)) for edge in (_BOX_BOTTOM_PX, _BOX_RIGHT_PX))
        height, width = (int(look.integers(*side, endpoint=True)) for side in (_BOX_HEIGHT_PX, _BOX_WIDTH_PX))
        image[bottom - height : bottom, right - width :] = 0
    if look.uniform() < _CORNER_BOX_SHARE:
        height, width = (int(look.integers(*side, endpoint=True)) for side in ((30, 110), (40, 130)))
        image[:height, -width:] = 0
    wedge = np.linspace(255, 0, _WEDGE[0].stop - _WEDGE[0].start)
    image[_WEDGE] = np.rint(wedge).astype(np.uint8)[:, None]
