"""DICOM files, of one or of many frames: grey frames and their calibration."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from jaxtyping import UInt8
from pydicom.dataset import Dataset
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import iter_pixels
from pydicom.uid import DeflatedExplicitVRLittleEndian

from fetal_lm.data.images import grey_of
from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import UNKNOWN, Calibration, Region, Spacing, may_be
from fetal_lm.predict.elements import value_of
from fetal_lm.predict.window import windowed

SUFFIXES: Final = (".dcm", ".dicom")

_PREAMBLE_BYTES: Final = 128
_MAGIC: Final = b"DICM"
# PS3.3 C.8.5.5.1.1 and C.8.5.5.1.15.
_TWO_DIMENSIONAL: Final = 1
_CENTIMETRES: Final = 3
_MM_PER_CM: Final = 10.0


def is_dicom(path: Path) -> bool:
    """Whether a file calls itself DICOM, by its suffix or by the mark after its preamble."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with path.open("rb") as handle:
            return handle.read(_PREAMBLE_BYTES + len(_MAGIC))[_PREAMBLE_BYTES:] == _MAGIC
    except OSError:
        # Whoever reads it says what is wrong.
        return False


def read_header(path: Path) -> Dataset:
    """Everything but the pixels.

    Raises:
        InputError: the file cannot be read, is no DICOM or has no image in it.
    """
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
        rows, columns = (int(header.get(side) or 0) for side in ("Rows", "Columns"))
    except Exception as error:  # Which one depends on where the file is damaged.
        raise InputError(f"{path}: expected a DICOM file, but {_reason(error)}; export it again") from error
    if not rows or not columns:
        raise InputError(
            f"{path}: expected a DICOM image, but it has no rows and columns; give the image, not a report"
        )
    return header


def read_dicom(path: Path, header: Dataset) -> Iterator[UInt8[np.ndarray, "H W"]]:
    """Its frames as 8-bit grey, one at a time, so that a long recording needs no more memory than a short one.

    Palettes and luma-chroma are turned into grey and MONOCHROME1 is inverted. Grey is shown as the file's window says;
    where it has none for its pixels, more than 8 bits are scaled down so that the largest number that can be stored
    becomes 255.

    Args:
        path: of the file.
        header: of it.

    Raises:
        InputError: the pixels are damaged, signed, or compressed in a way that no installed decoder reads.
    """
    if header.get("PixelRepresentation", 0):
        raise InputError(
            f"{path}: expected unsigned pixels, got signed ones; export it as an ordinary ultrasound image"
        )
    frames = _stored(path, header)
    for number in itertools.count():
        try:
            frame = next(frames, None)
            if frame is None:
                return
            grey = _grey(frame, header, number)
        except Exception as error:  # pydicom and its decoders raise whatever the damage leads to.
            raise InputError(f"{path}: its pixels cannot be decoded ({_reason(error)}); {_advice(header)}") from error
        yield grey


def _stored(path: Path, header: Dataset) -> Iterator[np.ndarray]:
    """Frames as they are stored. Pydicom inflates a deflated file only if it reads the whole of it."""
    deflated = header.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian
    yield from iter_pixels(pydicom.dcmread(path) if deflated else path)


def calibration_of(header: Dataset) -> Calibration:
    """From SequenceOfUltrasoundRegions, then from PixelSpacing; unknown where there is neither.

    Regions count if they are two-dimensional with both axes in centimetres and lie in the image. One that reaches
    beyond it is of an image that was cut or scaled down since. If scaled, its spacing is wrong; nothing tells which.
    Where all of them agree, what they say holds for the whole image.
    """
    regions = tuple(_regions(header))
    spacings = {region.spacing for region in regions}
    return Calibration(spacings.pop() if len(spacings) == 1 else _pixel_spacing(header), regions)


def _regions(header: Dataset) -> Iterator[Region]:
    rows, columns = int(header.Rows), int(header.Columns)
    for item in value_of(header, "SequenceOfUltrasoundRegions") or ():
        units = value_of(item, "PhysicalUnitsXDirection"), value_of(item, "PhysicalUnitsYDirection")
        if value_of(item, "RegionSpatialFormat") != _TWO_DIMENSIONAL or units != (_CENTIMETRES, _CENTIMETRES):
            continue
        # The sign says which way an axis points.
        spacing = _spacing(value_of(item, "PhysicalDeltaX"), value_of(item, "PhysicalDeltaY"), _MM_PER_CM)
        corners = [value_of(item, f"RegionLocation{corner}") for corner in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
        if spacing.known and all(isinstance(corner, int) for corner in corners):
            left, top, right, bottom = corners
            # Devices give the last pixel, or the one behind it.
            if right <= columns and bottom <= rows:
                yield Region(left, top, right, bottom, spacing)


def _pixel_spacing(header: Dataset) -> Spacing:
    """DICOM gives the distance of rows first, which is along y."""
    pair = value_of(header, "PixelSpacing")
    # One number alone is no list.
    return _spacing(pair[1], pair[0], 1.0) if isinstance(pair, Sequence) and len(pair) == 2 else UNKNOWN


def _spacing(x: object, y: object, mm: float) -> Spacing:
    try:
        spacing = Spacing(*(abs(float(str(value))) * mm for value in (x, y)))
    except ValueError:
        return UNKNOWN
    return spacing if all(map(may_be, spacing)) else UNKNOWN


def _grey(frame: np.ndarray, header: Dataset, number: int) -> UInt8[np.ndarray, "H W"]:
    photometric = header.get("PhotometricInterpretation", "MONOCHROME2")
    if photometric == "PALETTE COLOR":
        return grey_of(apply_color_lut(frame, header))
    shown = windowed(frame, header, number) if frame.ndim == 2 else None
    frame = _unshown(frame, header) if shown is None else shown
    if frame.ndim == 3:
        return grey_of(frame)
    return grey_of(255 - frame if photometric == "MONOCHROME1" else frame)


def _unshown(frame: np.ndarray, header: Dataset) -> np.ndarray:
    """A frame without a window."""
    largest = 2 ** int(header.get("BitsStored", 8)) - 1
    # 8 bits may lie in 16.
    if largest == 255 and frame.dtype == np.uint8:
        return frame
    return np.asarray(np.rint(frame * (255 / largest)).clip(0, 255).astype(np.uint8))


def _reason(error: Exception) -> str:
    """What an error says, on one line; pydicom names decoders on lines of their own."""
    first, *others = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    return " ".join([first, "; ".join(others)]).strip().rstrip(".")


def _advice(header: Dataset) -> str:
    """What to do about pixels that cannot be decoded."""
    try:
        decoder = get_decoder(header.file_meta.TransferSyntaxUID)
    except (AttributeError, NotImplementedError):
        return "export it uncompressed"
    if not decoder.is_encapsulated:
        return "copy or export the file again"
    if not decoder.is_available:
        return "export it uncompressed, or install a decoder that pydicom names"
    return "copy the file again, or export it uncompressed"
