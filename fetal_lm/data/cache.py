"""Images at network size, decoded and resized once, then mapped from one file.

The file's name is a digest of all images' content, the resizing and the format, so that a change of any of them makes a
new file. It is a `.npy` of `[N, h, w]` followed by the SHA-256 of all that comes before, written under a temporary name
and renamed: processes that build it at the same time write the same bytes, and the last one's rename wins.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy.lib import format as npy
from tqdm import tqdm

from fetal_lm.atomic import atomic_path
from fetal_lm.data.records import Record, Source
from fetal_lm.errors import InputError
from fetal_lm.geometry import Fit, Size, fit_image

_FORMAT_VERSION: Final = 3
"""Raised with every change of what an image is read as, of `geometry.fit_image` or of this file's format."""

_CHECKSUM_BYTES: Final = hashlib.sha256().digest_size

log = logging.getLogger(__name__)


@runtime_checkable
class Images(Protocol):
    """Grey images at network size, by record index; can be pickled for a loader's processes."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "h w"]: ...


def open_images(
    source: Source, records: Sequence[Record], *, size_net: Size, fit: Fit, cache_dir: Path | None
) -> Images:
    """Opens the images of a source at network size, building their cache first if need be.

    Args:
        source: reads the images.
        records: which images, in which order.
        size_net: (height, width) of the result.
        fit: `squash` or `letterbox`, see `geometry.fit_image`.
        cache_dir: folder of the cache, made if missing; None keeps nothing and reads and resizes at each access.

    Raises:
        InputError: an image is missing or damaged, or there are no records.
        OSError: the cache cannot be written.
    """
    if not records:
        raise InputError(f"{source.name}: expected images, got none")
    if cache_dir is None:
        return ResizedImages(source, records, size_net, fit)
    path = cache_dir / f"images-{_key(source, records, size_net, fit)}.npy"
    shape = (len(records), *size_net)
    exists = path.exists()
    if exists and not _is_whole(path):
        # Not removed first: another process may just have put a whole one in its place.
        log.warning("the image cache %s is damaged and is built anew", path)
        exists = False
    if not exists:
        _build(path, ResizedImages(source, records, size_net, fit), shape)
    return ImageCache(path, shape)


class ResizedImages:
    """Reads and resizes an image at each access."""

    def __init__(self, source: Source, records: Sequence[Record], size_net: Size, fit: Fit) -> None:
        self._source, self._records, self._size_net, self._fit = source, records, size_net, fit

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "h w"]:
        return fit_image(self._source.read(self._records[index]), self._size_net, self._fit)


class ImageCache:
    """Images in a file that is mapped into memory, not loaded; a pickled copy maps it anew.

    Args:
        path: written by `open_images`.
        shape: (images, height, width) of it.
    """

    def __init__(self, path: Path, shape: tuple[int, int, int]) -> None:
        self._path, self._shape = path, shape
        self._mapped: np.ndarray[Any, Any] | None = None

    def __len__(self) -> int:
        return self._shape[0]

    def __getitem__(self, index: int) -> UInt8[np.ndarray, "h w"]:
        if self._mapped is None:
            self._mapped = np.load(self._path, mmap_mode="r")
        # A copy, because the map is read-only and augmentation may write.
        return np.array(self._mapped[index])

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_mapped": None}


def _key(source: Source, records: Sequence[Record], size_net: Size, fit: Fit) -> str:
    settings = [_FORMAT_VERSION, cv2.__version__, fit, *size_net]
    bar = tqdm(records, desc="checking images", unit="image", delay=5)
    contents = [source.content_key(record) for record in bar]
    return hashlib.sha256(json.dumps([settings, contents]).encode()).hexdigest()[:32]


def _build(path: Path, images: ResizedImages, shape: tuple[int, int, int]) -> None:
    # Plain writes: on a full disk they raise, where a write through a memory map would kill the process.
    with atomic_path(path) as temporary, temporary.open("wb") as handle:
        checksum = hashlib.sha256(_header(shape))
        handle.write(_header(shape))
        for index in tqdm(range(len(images)), desc="resizing images", unit="image", delay=5):
            content = images[index].tobytes()
            checksum.update(content)
            handle.write(content)
        handle.write(checksum.digest())


def _header(shape: tuple[int, int, int]) -> bytes:
    header = io.BytesIO()
    npy.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue()


def _is_whole(path: Path) -> bool:
    checksum, left = hashlib.sha256(), path.stat().st_size - _CHECKSUM_BYTES
    with path.open("rb") as handle:
        while left > 0 and (content := handle.read(min(left, 1 << 20))):
            checksum.update(content)
            left -= len(content)
        return left == 0 and handle.read() == checksum.digest()
