"""The heatmaps of a run's test images on disk, small enough to keep for every image."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

from fetal_lm.atomic import atomic_path
from fetal_lm.errors import InputError
from fetal_lm.geometry import Size
from fetal_lm.landmarks import NAMES

FILE_NAME: Final = "heatmaps.npz"


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """What the branch `heatmap` saw in each test image.

    Attributes:
        images: their names.
        maps: one per landmark, each scaled so that its highest value is 255.
        to_orig: affine map from network to original pixels.
        size_net: height and width of the frame that the maps cover.
    """

    images: tuple[str, ...]
    maps: UInt8[np.ndarray, "N 4 h w"]
    to_orig: Float[np.ndarray, "N 2 3"]
    size_net: Size


def write_heatmaps(heatmaps: Heatmaps, path: Path) -> None:
    """Writes a compressed NumPy archive, atomically."""
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            images=np.array(heatmaps.images, dtype=np.str_),
            maps=heatmaps.maps,
            to_orig=heatmaps.to_orig,
            size_net=np.array(heatmaps.size_net),
        )


def read_heatmaps(path: Path) -> Heatmaps:
    """Reads what `write_heatmaps` wrote; nothing in the file is executed.

    Raises:
        InputError: the file is missing, damaged or none of ours.
    """
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as archive:
            images, maps, to_orig, size_net = (archive[name] for name in ("images", "maps", "to_orig", "size_net"))
    except (OSError, ValueError, KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: cannot be read as heatmaps ({reason})") from error
    if reason := _damage(images, maps, to_orig, size_net):
        raise InputError(f"{path}: cannot be read as heatmaps ({reason})")
    height, width = (int(length) for length in size_net)
    return Heatmaps(tuple(str(image) for image in images), maps, to_orig, (height, width))


def _damage(images: np.ndarray, maps: np.ndarray, to_orig: np.ndarray, size_net: np.ndarray) -> str | None:
    """What is wrong with arrays of any shape and type; None if they are of heatmaps."""
    count = images.size
    if images.shape != (count,) or maps.ndim != 4 or maps.shape[:2] != (count, len(NAMES)) or maps.dtype != np.uint8:
        return f"maps are {maps.dtype} of {maps.shape} for images of {images.shape}"
    if 0 in maps.shape[2:]:
        return f"maps are empty, of {maps.shape}"
    if to_orig.shape != (count, 2, 3) or to_orig.dtype.kind != "f" or not np.isfinite(to_orig).all():
        return f"to_orig: expected finite numbers of {(count, 2, 3)}, got {to_orig.dtype} of {to_orig.shape}"
    if size_net.shape != (2,) or size_net.dtype.kind not in "iu" or (size_net <= 0).any():
        return f"size_net: expected a height and a width, got {size_net.tolist()}"
    return None
