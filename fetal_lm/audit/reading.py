"""The image of a row, and what tells two images apart."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import UInt8

from fetal_lm.data import images
from fetal_lm.data.rows import LabelRow


def image_of(row: LabelRow) -> UInt8[np.ndarray, "H W"] | None:
    """Reads or draws a row's grey image; None if the row names none.

    Raises:
        InputError: the image is missing, truncated or not an image.
    """
    if row.draw is not None:
        return row.draw()
    return None if row.path is None else images.read_grey(row.path)


def content_digest(row: LabelRow, image: UInt8[np.ndarray, "H W"]) -> str:
    """SHA-256 of a row's image file, or of the drawn image.

    Args:
        row: the row.
        image: what `image_of` read.

    Raises:
        InputError: the file cannot be read.
    """
    if row.path is None:
        return hashlib.sha256(image.tobytes()).hexdigest()
    return images.digest(row.path)
