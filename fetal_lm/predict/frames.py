"""An image file -> its frames, whatever its format; one frame is in memory at a time."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fetal_lm.data.images import read_grey
from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import Calibration
from fetal_lm.predict.dicom import calibration_of, is_dicom, read_dicom, read_header

LARGEST_PX: Final = 100_000_000
"""Pixels of the largest image that is decoded; an ultrasound frame has about one million."""


class Frame(NamedTuple):
    """One picture of a file.

    Attributes:
        number: from 1.
        image: grey, 0 to 255, in its original size.
        calibration: what the file itself says about millimetres.
    """

    number: int
    image: UInt8[np.ndarray, "H W"]
    calibration: Calibration


def frames_of(path: Path) -> Iterator[Frame]:
    """Reads a file.

    Raises:
        InputError: it is missing, damaged, too large, or not an image of a supported format.
    """
    if is_dicom(path):
        header = read_header(path)
        _check(path, int(header.Columns), int(header.Rows))
        calibration = calibration_of(header)
        for number, image in enumerate(read_dicom(path, header), start=1):
            yield Frame(number, image, calibration)
    else:
        _check_header(path)
        yield Frame(1, read_grey(path), Calibration())


def _check_header(path: Path) -> None:
    """Refuses what must not be decoded, by its header alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `LARGEST_PX` is the limit.
        try:
            with Image.open(path) as header:
                (width, height), pages = header.size, getattr(header, "n_frames", 1)
                several = header.format == "TIFF" and pages > 1
        except Image.DecompressionBombError as error:
            raise InputError(f"{path}: too large ({error}); expected one ultrasound image, scale it down") from error
        except (OSError, ValueError, SyntaxError, EOFError):
            # Pillow knows fewer kinds of pixels than OpenCV, which says what is wrong if anything is.
            return
    _check(path, width, height)
    if several:
        raise InputError(
            f"{path}: expected one image, got a TIFF of {pages} pages; save each page as a file of its own"
        )


def _check(path: Path, width: int, height: int) -> None:
    if width * height > LARGEST_PX:
        raise InputError(
            f"{path}: expected at most {LARGEST_PX // 10**6} megapixels, got {width} x {height} px (width x height); "
            "it is no ultrasound frame, or scale it down"
        )
