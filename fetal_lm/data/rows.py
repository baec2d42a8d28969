"""Labels as they stand in a source, unchecked: what an audit looks at and `Source.records` may refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8


@dataclass(frozen=True, eq=False)
class LabelRow:
    """One row of a source.

    Attributes:
        image: the image's name as the row gives it.
        line: where the row stands in its file, from 1; 0 for a source without one.
        examination: whose head this is; empty where the source does not say.
        part: the split that the source puts it in (`train`, `val`, `test`); empty if it has none.
        path: the image's file; None for images that are drawn, not read.
        points_orig: `[4, 2]` landmarks (x, y) in original pixels in the order of `landmarks.NAMES`; NaN where a cell is
            no number.
        mm_per_px: pixel spacing as the row gives it, plausible or not; NaN where it gives none.
        problems: what is wrong with the row itself (text in a number, a missing cell), in words.
        draw: makes the grey image, 0 to 255, of a row without a file; None where there is one, or no image at all.
    """

    image: str
    line: int
    examination: str
    part: str
    path: Path | None
    points_orig: Float[np.ndarray, "4 2"]
    mm_per_px: float
    problems: tuple[str, ...] = ()
    draw: Callable[[], UInt8[np.ndarray, "H W"]] | None = None


@runtime_checkable
class Auditable(Protocol):
    """A source whose labels can be looked at row by row."""

    name: str

    def rows(self) -> Iterator[LabelRow]:
        """Every row in its order, one at a time, so that memory does not grow with their number.

        Raises:
            InputError: the file is missing, is no CSV or lacks a column. A bad row is no error: `problems` says it.
        """
        ...


@runtime_checkable
class Countable(Protocol):
    """A source that knows beforehand how many rows it has."""

    def row_count(self) -> int:
        """About how many rows `rows` yields, without reading them; for a progress bar."""
        ...


@runtime_checkable
class Rewritable(Protocol):
    """A source whose labels are one CSV, so that a corrected copy of it can be written.

    Attributes:
        csv: the labels' file.
        columns: the columns of the copy.
    """

    csv: Path
    columns: Sequence[str]

    def cells(self, row: LabelRow) -> list[str]:
        """A row in the order of `columns`."""
        ...
