"""What the sources with a CSV of labelled points share: one row per image, four points in original pixels.

An adapter says what its columns are called, where its images lie and how a row names examination, spacing and part.
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import ClassVar, Final, TypeVar

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from fetal_lm import landmarks
from fetal_lm.data import images
from fetal_lm.data.adapters.csv_rows import CsvRow, column_names, count_rows, read_rows, stream_rows
from fetal_lm.data.records import PARTS, Record
from fetal_lm.data.rows import LabelRow
from fetal_lm.errors import InputError

COORDINATES: Final = tuple(f"{name}_{axis}" for name in landmarks.NAMES for axis in "xy")

log = logging.getLogger(__name__)

Argument = TypeVar("Argument")
Value = TypeVar("Value")


class PointsCsv(ABC):
    """A CSV of labelled points as a data source; a subclass is one layout of it.

    Args:
        csv: the labels.
        outside: what a labelled point outside its image is: an `error`, or something to `keep`.

    Raises:
        InputError: `outside` is something else.
    """

    name: ClassVar[str]
    archive: str
    image_column: ClassVar[str]
    required: ClassVar[tuple[str, ...]] = ()
    """Columns beside the image's and the coordinates' that the CSV must have."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Columns that are read where the CSV has them."""
    spacing_column: ClassVar[str] = ""
    """Millimetres per pixel; a cell may be empty. Without a name there is no such column, whatever the CSV has."""
    part_column: ClassVar[str] = ""
    """The part of the source's own split, in large or small letters; a cell may be empty. Without a name as above."""
    parts: ClassVar[tuple[str, ...]] = PARTS
    """What it may be called."""

    def __init__(self, csv: Path, *, outside: str = "error") -> None:
        self.csv = csv
        self.outside = outside_is(outside)

    @abstractmethod
    def folder(self) -> Path:
        """Where the images lie."""

    @abstractmethod
    def examination(self, row: CsvRow) -> str:
        """Whose head it is; empty where the source does not say: the image is then an examination of its own."""

    def spacings(self) -> Callable[[CsvRow], float]:
        """Gets ready to tell millimetres per pixel, then tells it row by row: NaN where there is none, unchecked."""
        column = self.spacing_column
        return lambda row: row.number(column) if column and row.cells.get(column) else math.nan

    def spacings_as_given(self) -> Callable[[CsvRow], float]:
        """The same, plausible or not."""
        return self.spacings()

    def records(self) -> list[Record]:
        """Every labelled image in the CSV's order.

        Raises:
            InputError: an image is missing, a label is no number or lies outside its image, or a cell is not what it
                should be.
        """
        rows = read_rows(self.csv, self._columns(), key=self.image_column)
        mm_per_px = self.spacings()
        # A CSV in which few rows are wrong has many: name them all at once.
        records, wrong = [], []
        for image, row in tqdm(rows.items(), desc="reading labels", unit="image", delay=5):
            record = self._record(row, image, mm_per_px)
            records.append(record)
            if self.outside == "error" and (outside := points_outside(record)):
                wrong.append(f"line {row.line} ({image}, {record.size_orig[1]} x {record.size_orig[0]} px): {outside}")
        if wrong:
            raise InputError(
                f"{self.csv}: expected points inside their images, got {len(wrong)} of {len(rows)} rows with points "
                f"outside; correct them, or keep them with data.source.outside=keep:\n  " + "\n  ".join(wrong)
            )
        return records

    def rows(self) -> Iterator[LabelRow]:
        """Every row in its order, one at a time, unchecked.

        Raises:
            InputError: the file is missing, is no CSV or lacks a column. A bad row is no error: `problems` says it.
        """
        mm_per_px = self.spacings_as_given()
        for row in stream_rows(self.csv, (self.image_column, *COORDINATES, *self.required)):
            read = [row.number_or_problem(column) for column in COORDINATES]
            problems = [*row.problems, *(problem for _, wrong in read for problem in wrong)]
            image = _tried(row.text, self.image_column, "", row, problems)
            yield LabelRow(
                image=image,
                line=row.line,
                examination=_tried(self.examination, row, "", row, problems) if image else "",
                part=_tried(self._part, row, "", row, problems),
                path=self.folder() / image if image else None,
                points_orig=np.array([number for number, _ in read]).reshape(landmarks.COUNT, 2),
                mm_per_px=_tried(mm_per_px, row, math.nan, row, problems),
                problems=tuple(problems),
            )

    def row_count(self) -> int:
        """Lines of the CSV."""
        return count_rows(self.csv)

    def read(self, record: Record) -> UInt8[np.ndarray, "H W"]:
        """The grey image, 0 to 255, of `record.size_orig`."""
        return images.read_grey(self.path(record), size_orig=record.size_orig)

    def content_key(self, record: Record) -> str:
        """SHA-256 of the image file."""
        return images.digest(self.path(record))

    def path(self, record: Record) -> Path:
        """The image's file."""
        return self.folder() / record.image

    def _columns(self) -> tuple[str, ...]:
        present = column_names(self.csv) if self.optional else []
        return (
            self.image_column,
            *COORDINATES,
            *self.required,
            *(column for column in self.optional if column in present),
        )

    def _record(self, row: CsvRow, image: str, mm_per_px: Callable[[CsvRow], float]) -> Record:
        path = self.folder() / image
        if not images.is_there(path):
            raise row.error(
                self.image_column, "an image in the folder", str(path), "add the image, or give the folder that has it"
            )
        points_orig = np.array([row.number(column) for column in COORDINATES]).reshape(landmarks.COUNT, 2)
        spacing = mm_per_px(row)
        if spacing <= 0:
            column = self.spacing_column
            raise row.error(column, "millimetres per pixel above 0", row.text(column), "correct or empty the cell")
        return Record(
            image=image,
            examination=self.examination(row) or image,
            size_orig=images.read_size(path),
            points_orig=points_orig,
            mm_per_px=spacing,
            part=self._part(row),
        )

    def _part(self, row: CsvRow) -> str:
        # pandas writes its index into a column without a name.
        part = row.cells.get(self.part_column, "").lower() if self.part_column else ""
        if part and part not in self.parts:
            known = ", ".join(map(repr, self.parts))
            raise row.error(
                self.part_column, f"{known} or nothing", repr(row.text(self.part_column)), "correct or empty the cell"
            )
        return part


def outside_is(option: str) -> str:
    """The option `outside`: `error` or `keep`.

    Raises:
        InputError: it is something else.
    """
    if option not in ("error", "keep"):
        raise InputError(f"outside: expected 'error' or 'keep', got {option!r}")
    return option


def points_outside(record: Record) -> str:
    """The points outside the frame, in words; empty if there are none."""
    size_xy = np.array(record.size_orig[::-1])
    inside = np.all((record.points_orig >= -0.5) & (record.points_orig <= size_xy - 0.5), axis=-1).tolist()
    return ", ".join(
        f"{name} ({x:g}, {y:g})"
        for name, (x, y), is_inside in zip(landmarks.NAMES, record.points_orig, inside, strict=True)
        if not is_inside
    )


def warn_of_unknown_examinations(labels: Path, records: Collection[Record]) -> None:
    """Warns of images that are each an examination of their own because the labels name none."""
    if alone := sum(record.examination == record.image for record in records):
        log.warning(
            "%s gives no examination for %d of %d images: each counts as one of its own, so that frames of one head "
            "may part in a split",
            labels, alone, len(records),
        )  # fmt: skip


def point_cells(row: LabelRow) -> list[str]:
    """The eight coordinates of a row for a corrected CSV, short where they are round."""
    return [f"{value:g}" if value == round(value, 3) else repr(value) for value in row.points_orig.ravel().tolist()]


def _tried(
    read: Callable[[Argument], Value], argument: Argument, otherwise: Value, row: CsvRow, problems: list[str]
) -> Value:
    """What `read` makes of a cell, or `otherwise` and one more problem."""
    try:
        return read(argument)
    except InputError as error:
        problems.append(str(error).removeprefix(f"{row.path}, line {row.line}, "))
        return otherwise
