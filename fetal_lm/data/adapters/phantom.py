"""Phantom heads as a data source: the embedded default, which needs no files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import UInt8

from fetal_lm.data.phantom.drawing import DRAWING_VERSION, draw
from fetal_lm.data.phantom.head import SIZE_ORIG, examination_and_frame, head
from fetal_lm.data.records import Record
from fetal_lm.data.rows import LabelRow
from fetal_lm.errors import InputError

_SEEDS: Final = 2**32
"""A seed fills one 32-bit word of the generator's entropy: larger ones would run into the word of the index."""


class Phantom:
    """Synthetic heads with exact landmarks, drawn when they are read.

    The first n images of a seed are the same for every number of images.

    Example:
        >>> source = Phantom(seed=0, images=4)
        >>> [(record.image, record.examination) for record in source.records()][2:]
        [('phantom-0000-3.png', 'phantom-0000'), ('phantom-0001-1.png', 'phantom-0001')]
    """

    name = "phantom"

    def __init__(self, *, seed: int, images: int) -> None:
        """Prepares the source; nothing is drawn.

        Args:
            seed: which phantoms, 0 to 4294967295.
            images: how many, 1 or more; an examination has 1 to 4 of them.

        Raises:
            InputError: if a number is out of range or is no whole number.
        """
        if not _is_whole(seed) or not 0 <= seed < _SEEDS:
            raise InputError(
                f"phantom: seed must be a whole number from 0 to {_SEEDS - 1}, got {seed!r}; choose another seed"
            )
        if not _is_whole(images) or images < 1:
            raise InputError(
                f"phantom: images must be a whole number of 1 or more, got {images!r}; ask for at least one image"
            )
        self._seed = seed
        self.archive = f"phantom seed {seed}"
        self._index_by_image = {_image(index): index for index in range(images)}

    def records(self) -> list[Record]:
        """Every image's labels, in the order of the index; thousands a second, nothing is drawn."""
        return [self._record(image, index) for image, index in self._index_by_image.items()]

    def rows(self) -> Iterator[LabelRow]:
        """Every image's labels as `records` gives them; there is no file to have a line in."""
        for image, index in self._index_by_image.items():
            record = self._record(image, index)
            yield LabelRow(
                image=image,
                line=0,
                examination=record.examination,
                part="",
                path=None,
                points_orig=record.points_orig,
                mm_per_px=record.mm_per_px,
                draw=partial(draw, self._seed, index),
            )

    def row_count(self) -> int:
        """How many images there are."""
        return len(self._index_by_image)

    def read(self, record: Record) -> UInt8[np.ndarray, "H W"]:
        """Draws the image, grey, 0 to 255.

        Raises:
            InputError: if the record is not one of this source's.
        """
        return draw(self._seed, self._index(record))

    def content_key(self, record: Record) -> str:
        """A digest of the drawing's version, the seed and the index.

        Raises:
            InputError: if the record is not one of this source's.
        """
        content = f"phantom drawing {DRAWING_VERSION} seed {self._seed} index {self._index(record)}"
        return hashlib.sha256(content.encode()).hexdigest()

    def path(self, record: Record) -> None:
        """None: a phantom is drawn."""

    def _record(self, image: str, index: int) -> Record:
        labelled = head(self._seed, index)
        return Record(
            image=image,
            examination=_examination(labelled.examination),
            size_orig=SIZE_ORIG,
            points_orig=labelled.points_orig(),
            mm_per_px=labelled.mm_per_px,
        )

    def _index(self, record: Record) -> int:
        index = self._index_by_image.get(record.image)
        if index is None:
            count = len(self._index_by_image)
            raise InputError(
                f"phantom: no image {record.image!r} among the {count} of this source "
                f"({_image(0)} to {_image(count - 1)}); pass a record that its records() returned"
            )
        return index


def _image(index: int) -> str:
    examination, frame = examination_and_frame(index)
    return f"{_examination(examination)}-{frame + 1}.png"


def _examination(number: int) -> str:
    return f"phantom-{number:04d}"


def _is_whole(value: object) -> bool:
    # True and False are ints to Python; here they are mistakes.
    return isinstance(value, int) and not isinstance(value, bool)
