"""An image file -> its frames, whatever its format; one frame is in memory at a time."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from fetal_lm.data import tiff
from fetal_lm.data.images import read_grey, read_pages
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
        one_of_many: whether the file may hold others, so that what is made of this one must carry its number.
    """

    number: int
    image: UInt8[np.ndarray, "H W"]
    calibration: Calibration
    one_of_many: bool


def may_hold_many(path: Path) -> bool:
    """Whether a file may have more than one frame: any DICOM, and a TIFF of several pages.

    Raises:
        InputError: it is too large.
    """
    return is_dicom(path) or _checked_pages(path) > 1


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
            yield Frame(number, image, calibration, one_of_many=True)
    elif (pages := _checked_pages(path)) > 1:
        for number, image in enumerate(read_pages(path, pages), start=1):
            yield Frame(number, image, Calibration(), one_of_many=True)
    else:
        yield Frame(1, read_grey(path), Calibration(), one_of_many=False)


def _checked_pages(path: Path) -> int:
    """How many pages a TIFF has, 1 for any other image; refuses what must not be decoded, by its headers alone."""
    with warnings.catch_warnings():
        # `LARGEST_PX` is the limit, and whoever decodes a damaged file says what is wrong with it.
        warnings.simplefilter("ignore")
        try:
            header = Image.open(path)
        except Image.DecompressionBombError as error:
            raise _too_large(path, error) from error
        except (OSError, ValueError, SyntaxError, EOFError):
            # Pillow knows fewer kinds of pixels than OpenCV, which says what is wrong if anything is.
            sizes = _described_sizes(path)
        else:
            with header:
                # Animations are not ultrasound; their first picture stands for them.
                sizes = _page_sizes(path, header) if header.format == "TIFF" else [header.size]
    for width, height in sizes:
        _check(path, width, height)
    return max(1, len(sizes))


def _described_sizes(path: Path) -> list[tuple[int, int]]:
    """Of the pages of a TIFF that OpenCV alone may decode; none of another file."""
    try:
        content = path.read_bytes()
    except OSError:
        # Whoever reads it says what is wrong.
        return []
    if not content.startswith(tiff.STARTS):
        return []
    try:
        return [(width, height) for height, width in tiff.page_sizes(content)]
    except struct.error as error:
        raise _unlisted(path, error) from error


def _page_sizes(path: Path, header: Image.Image) -> list[tuple[int, int]]:
    sizes = []
    try:
        for page in range(getattr(header, "n_frames", 1)):
            header.seek(page)
            sizes.append(header.size)
    except Image.DecompressionBombError as error:
        raise _too_large(path, error) from error
    except Exception as error:  # Pillow raises whatever the damage leads to.
        raise _unlisted(path, error) from error
    return sizes


def _unlisted(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: expected a whole TIFF, but its pages cannot be listed ({error}); copy or download the file again"
    )


def _too_large(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: too large ({error}); expected one ultrasound image, scale it down")


def _check(path: Path, width: int, height: int) -> None:
    if width * height > LARGEST_PX:
        raise InputError(
            f"{path}: expected at most {LARGEST_PX // 10**6} megapixels, got {width} x {height} px (width x height); "
            "it is no ultrasound frame, or scale it down"
        )
