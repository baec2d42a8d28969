"""Image files -> grey arrays, or one clear error: never what is left of a truncated file."""

from __future__ import annotations

import hashlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import ExifTags, Image, UnidentifiedImageError

from fetal_lm.data import tiff
from fetal_lm.errors import InputError
from fetal_lm.geometry import Size

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES: Final = 24  # signature, then length, type, width and height of the first chunk
_JPEG_START: Final = b"\xff\xd8\xff"
_JPEG_END: Final = b"\xff\xd9"
_JPEG_SCAN: Final = 0xDA
_JPEG_WITHOUT_LENGTH: Final = (0x01, *range(0xD0, 0xDA))
_TIFF_DAMAGES: Final = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, KeyError, IndexError, struct.error,
    Image.DecompressionBombError,
)  # fmt: skip
"""What Pillow raises, depending on the damage."""
_UINT16_TO_UINT8: Final = 257
_GREY: Final = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH


def read_grey(path: Path, *, size_orig: Size | None = None) -> UInt8[np.ndarray, "H W"]:
    """Reads an image as 8-bit grey, 0 to 255.

    Colour becomes luma, transparency is left out, 16 bits are scaled down so that 65535 becomes 255, and a TIFF whose 0
    is white is inverted. A JPEG and a TIFF are turned as their orientation says; a PNG's (eXIf), which most programs do
    not know, is left out. What is damaged inside of a JPEG's data is not noticed: its decoder goes on behind it.

    Args:
        path: PNG, JPEG or whatever else OpenCV decodes.
        size_orig: (height, width) that the image must have; None accepts any.

    Raises:
        InputError: the file is missing, truncated, damaged, not an image, or of another size.
    """
    content, image = _bytes(path), None
    if content.startswith(_PNG_SIGNATURE):
        _check_png(path, content)
    # Which damage OpenCV reports depends on its version; some decode a truncated file and leave the rest grey or black.
    elif content.startswith(_JPEG_START) and not _has_an_end(content):
        raise _damaged(path, "the JPEG has no end marker: the file is truncated")
    elif content.startswith(tiff.STARTS):
        try:
            image = _checked_tiff(content)
        except UnidentifiedImageError:
            # Pillow knows fewer kinds of pixels than OpenCV.
            pass
        except _TIFF_DAMAGES as error:
            raise _damaged(path, f"the TIFF cannot be decoded ({error})") from error
    if content and image is None:
        # OpenCV turns more kinds of files from version to version.
        turned = content.startswith((_JPEG_START, *tiff.STARTS))
        flags = _GREY if turned else _GREY | cv2.IMREAD_IGNORE_ORIENTATION
        try:
            image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
            if image is not None and image.dtype == np.uint16 and content.startswith(tiff.STARTS):
                image = tiff.black_is_zero(content, 0, image)
        except (cv2.error, struct.error) as error:
            raise _damaged(path, f"OpenCV cannot decode it ({getattr(error, 'err', error)})") from error
    if image is None:
        raise _damaged(path, f"it is not an image that OpenCV can decode ({len(content)} bytes)")
    image = _checked_grey(path, image)
    if size_orig is not None and image.shape != size_orig:
        raise InputError(
            f"{path}: expected {size_orig[1]} x {size_orig[0]} px (width x height), got {image.shape[1]} x "
            f"{image.shape[0]}; the labels are in pixels of the original image, so restore the original"
        )
    return image


def read_pages(path: Path, count: int) -> Iterator[UInt8[np.ndarray, "_ _"]]:
    """Reads the pages of a TIFF one by one as `read_grey` reads an image; they may differ in size.

    Args:
        path: of the file.
        count: how many pages it has.

    Raises:
        InputError: the file is missing, or a page is truncated, damaged or of other pixels.
    """
    content = _bytes(path)
    for number in range(count):
        try:
            try:
                page = _checked_tiff(content, number)
            except UnidentifiedImageError:
                # Pillow knows fewer kinds of pixels than OpenCV.
                page = None
            if page is None:
                _, pages = cv2.imdecodemulti(np.frombuffer(content, np.uint8), _GREY, range=(number, number + 1))
                (page,) = pages
                page = tiff.black_is_zero(content, number, page) if page.dtype == np.uint16 else page
        except (*_TIFF_DAMAGES, cv2.error) as error:
            raise _damaged(path, f"page {number + 1} of {count} cannot be decoded ({error})") from error
        yield _checked_grey(path, page)


def grey_of(image: object) -> UInt8[np.ndarray, "H W"]:
    """An array of pixels as `read_grey` would give it from a file.

    Args:
        image: 8 or 16 bits per channel, unsigned; `[H, W]`, or `[H, W, C]` with 1 (grey), 3 (red, green, blue) or 4
            channels, of which transparency is left out.

    Raises:
        InputError: it is no array, of another shape or type, or empty.

    Example:
        >>> grey_of(np.full((2, 3, 3), 65535, np.uint16)).tolist()
        [[255, 255, 255], [255, 255, 255]]
    """
    if not isinstance(image, np.ndarray):
        raise InputError(
            f"expected an image as a numpy array, got {type(image).__name__}; give one array for one image"
        )
    channels = image.shape[2] if image.ndim == 3 else 1
    if image.ndim not in (2, 3) or channels not in (1, 3, 4) or not image.size:
        raise InputError(
            f"expected an image of shape [H, W] or [H, W, C] with 1, 3 or 4 channels, got {list(image.shape)}; give "
            "one image at a time, channels last"
        )
    if image.dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"expected an image of 8 or 16 bits per channel (uint8 or uint16), got {image.dtype}; scale it to 0 to 255"
        )
    if channels > 1:
        image = cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
    return np.asarray(_to_8_bits(image.reshape(image.shape[:2])))


def read_size(path: Path) -> Size:
    """(height, width) in pixels; of a PNG, only the header is read.

    Raises:
        InputError: the file is missing or not an image.
    """
    try:
        with path.open("rb") as handle:
            header = handle.read(_PNG_HEADER_BYTES)
    except OSError as error:
        raise _unreadable(path, error) from error
    if header.startswith(_PNG_SIGNATURE) and len(header) == _PNG_HEADER_BYTES:
        width, height = struct.unpack(">II", header[16:])
        return height, width
    height, width = read_grey(path).shape
    return height, width


def is_there(path: Path) -> bool:
    """Whether there is such a file; a name that the system refuses, for its length for example, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def digest(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal.

    Raises:
        InputError: the file cannot be read.
    """
    return hashlib.sha256(_bytes(path)).hexdigest()


def _checked_grey(path: Path, image: np.ndarray) -> UInt8[np.ndarray, "H W"]:
    image = _to_8_bits(image)
    if image.dtype != np.uint8:
        raise InputError(
            f"{path}: expected an image of 8 or 16 bits per channel, got {image.dtype}; convert it to 8 bits"
        )
    return np.asarray(image)


def _to_8_bits(image: np.ndarray) -> np.ndarray:
    if image.dtype != np.uint16:
        return image
    scaled = (image.astype(np.uint32) + _UINT16_TO_UINT8 // 2) // _UINT16_TO_UINT8
    return scaled.astype(np.uint8)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _check_png(path: Path, content: bytes) -> None:
    """Walks the chunks up to IEND, because OpenCV may return what it could decode of a truncated or damaged PNG."""
    at = len(_PNG_SIGNATURE)
    while at + 12 <= len(content):
        length, kind = struct.unpack(">I4s", content[at : at + 8])
        end = at + 8 + length
        if end + 4 > len(content):
            break
        if zlib.crc32(content[at + 4 : end]) != int.from_bytes(content[end : end + 4], "big"):
            raise _damaged(path, f"the checksum of the PNG's {kind.decode('latin-1')} chunk at byte {at} is wrong")
        if kind == b"IEND":
            return
        at = end + 4
    raise _damaged(path, f"the PNG has no end chunk: the file is truncated ({len(content)} bytes)")


def _has_an_end(content: bytes) -> bool:
    """Whether an end marker follows a JPEG's first scan; a thumbnail's stands in a segment before it."""
    at = len(_JPEG_START) - 1
    # What lies between segments is skipped, as decoders do; 0xff before a marker is filling.
    while 0 <= (at := content.find(b"\xff", at)) < len(content) - 3:
        kind = content[at + 1]
        if kind == _JPEG_SCAN:
            return _JPEG_END in content[at:]
        if kind in (0x00, 0xFF):
            at += 1
        elif kind in _JPEG_WITHOUT_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return False


def _checked_tiff(content: bytes, page: int = 0) -> UInt8[np.ndarray, "_ _"] | None:
    """Decodes a page with Pillow: OpenCV decodes a damaged one as well as it can and says nothing.

    Returns:
        The page where it has 8 bits and transparency, with which OpenCV would darken it; None for any other, because
        Pillow takes 16 bits for 8.

    Raises:
        UnidentifiedImageError: Pillow does not know such pixels.
        Exception: another of `_TIFF_DAMAGES`, because the page is damaged.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What is wrong becomes an error.
        with Image.open(io.BytesIO(content)) as file:
            file.seek(page)
            file.load()  # It turns the page too.
            bits = file.getexif().get(ExifTags.Base.BitsPerSample)
            return grey_of(np.asarray(file)) if file.mode == "RGBA" and bits == (8,) * 4 else None


def _damaged(path: Path, what: str) -> InputError:
    return InputError(f"{path}: expected a whole image file, but {what}; copy or download the file again")


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be read ({error.strerror or error}); check the folder that you gave")
