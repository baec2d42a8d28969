"""One labelled image, and what a data source has to offer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from fetal_lm.geometry import Size

PARTS: Final = ("train", "val", "test")
"""What a source can call its own parts; a record without one has the empty text."""


@dataclass(frozen=True, eq=False)
class Record:
    """One image with its labels, before any resizing.

    Attributes:
        image: the image's name, unique within its source (a file name).
        examination: whose head this is; frames of one examination never part in a split.
        size_orig: (height, width) in original pixels.
        points_orig: `[4, 2]` landmarks (x, y) in original pixels, in the order of `landmarks.NAMES`.
        mm_per_px: pixel spacing; NaN where the source does not give it.
        part: the part of the source's own split, one of `PARTS`; empty where it has none. Only `splits.by_source` asks.
    """

    image: str
    examination: str
    size_orig: Size
    points_orig: Float[np.ndarray, "4 2"]
    mm_per_px: float
    part: str = ""


@runtime_checkable
class Source(Protocol):
    """A data source: an adapter that turns somebody's files (or a phantom's seed) into records and grey images."""

    name: str

    archive: str
    """Whose images and examinations these are: sources of one archive give one fetus the same examination."""

    def records(self) -> list[Record]:
        """Every labelled image in a fixed order.

        Raises:
            InputError: names the file and row, what was expected, and what to do.
        """
        ...

    def read(self, record: Record) -> UInt8[np.ndarray, "H W"]:
        """The grey image, 0 to 255, of `record.size_orig`.

        Raises:
            InputError: the image is missing, truncated or not an image.
        """
        ...

    def content_key(self, record: Record) -> str:
        """A digest that changes when the image's content does (not its labels); keys the cache."""
        ...

    def path(self, record: Record) -> Path | None:
        """The image's file; None where images are drawn, not read."""
        ...
