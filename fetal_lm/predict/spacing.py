"""What a user says about pixel spacings: one number, or a CSV with one per image."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

from fetal_lm.data.adapters.csv_rows import CsvRow, column_names, read_rows
from fetal_lm.data.images import digest, is_there
from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import LARGEST_MM, SMALLEST_MM, Calibration, may_be, uniform

LAYOUTS: Final = (("image", "mm_per_px"), ("filename", "pixel size(mm)"))
"""Columns of the CSV: this project's own, and HC18's."""

_EXPECTED: Final = f"a positive number of mm per pixel from {SMALLEST_MM:g} to {LARGEST_MM:g}"


@dataclass(frozen=True)
class Spacings:
    """Spacings by image.

    Attributes:
        number: mm per px of whatever is not known better; NaN for none.
        csv: where the others stand; None for nowhere.
        by_name: mm per px by what the CSV calls the image; NaN where the cell is empty.
    """

    number: float = math.nan
    csv: Path | None = None
    by_name: dict[str, float] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What tells these spacings from others: the number, or SHA-256 of the CSV."""
        return str(self.number) if self.csv is None else digest(self.csv)

    def of(self, path: Path, own: Calibration) -> Calibration:
        """The calibration of an image: the CSV's, else the file's own (of a DICOM), else the number.

        The CSV names an image by its path from the CSV's folder, by its absolute path, or by its file name alone; an
        empty cell says nothing.
        The number is of the image as a whole: where regions of a DICOM have their own, it counts outside of them.
        """
        name = self._name(path)
        if name is not None and not math.isnan(self.by_name[name]):
            return uniform(self.by_name[name])
        return own if own.whole.known else Calibration(uniform(self.number).whole, own.regions)

    def check(self, paths: Iterable[Path]) -> None:
        """Makes sure that no row of the CSV is about two images.

        Raises:
            InputError: a file name alone is the name of several of them.
        """
        named: dict[str, Path] = {}
        for path in paths:
            name = self._name(path)
            if name is not None and (other := named.setdefault(name, path)) is not path:
                raise InputError(
                    f"{self.csv}: expected a row for each image, but {name!r} may be {other} or {path}; name them by "
                    "their paths from the CSV's folder"
                )

    def _name(self, path: Path) -> str | None:
        """What the CSV calls an image; None if it does not."""
        # As it was given, then where links lead, then whichever folder it lies in.
        for named, place in ((self._as_given, os.path.abspath), (self._where_links_lead, os.path.realpath)):
            if (name := named.get(place(path))) is not None:
                return name
        return path.name if path.name in self.by_name else None

    @cached_property
    def _as_given(self) -> dict[str, str]:
        """The CSV's names by absolute path."""
        return {} if self.csv is None else {_place(self.csv, name): name for name in self.by_name}

    @cached_property
    def _where_links_lead(self) -> dict[str, str]:
        """The same without links, be it the CSV's folder or the image that is one."""
        if self.csv is None:
            return {}
        named: dict[str, str] = {}
        for folder in dict.fromkeys((self.csv.resolve().parent, self.csv.parent.resolve())):
            for name in self.by_name:
                named.setdefault(os.path.realpath(folder / name), name)
        return named


def read_spacings(text: str | None) -> Spacings:
    """Reads what `--spacing` says.

    Args:
        text: a number of mm per px, the path of a CSV, or None.

    Raises:
        InputError: the number is none that a spacing may be (`calibration.may_be`), or the CSV cannot be read or has
            a cell with such a number or text.

    Example:
        >>> read_spacings("0.12").number
        0.12
    """
    if text is None:
        return Spacings()
    try:
        number = float(text)
    except ValueError:
        return _read_csv(Path(text).expanduser())
    if not may_be(number):
        raise InputError(f"--spacing: expected {_EXPECTED} or a CSV, got {text}; leave it out where it is not known")
    return Spacings(number=number)


def _read_csv(path: Path) -> Spacings:
    if not is_there(path):
        raise InputError(f"--spacing: expected a number of mm per pixel or a CSV, got {str(path)!r}, which is no file")
    # Where neither is whole, the one that is less incomplete: what is said is then about the user's own columns.
    header = column_names(path)
    image, spacing = layout = max(LAYOUTS, key=lambda columns: sum(column in header for column in columns))
    rows = read_rows(path, layout, key=image)
    _check_places(path, image, rows)
    return Spacings(csv=path, by_name={name: _value(row, spacing) for name, row in rows.items()})


def _check_places(path: Path, column: str, rows: Mapping[str, CsvRow]) -> None:
    """Makes sure that no two rows are about one image, as a.png and ./a.png would be."""
    named: dict[str, str] = {}
    for name, row in rows.items():
        if "\0" in name:
            raise row.error(column, "the name of an image", f"{name!r}, which no file has", "correct it")
        if (other := named.setdefault(_place(path, name), name)) != name:
            raise row.error(
                column, "each image once", f"{name!r}, which is {other!r} in line {rows[other].line}",
                "remove one of the two",
            )  # fmt: skip


def _place(csv: Path, name: str) -> str:
    """Where an image lies that a CSV names by its path: absolute, its links as they are."""
    return os.path.abspath(csv.parent / name)  # noqa: PTH100  # Path.resolve would follow links.


def _value(row: CsvRow, column: str) -> float:
    if not row.cells[column]:
        return math.nan
    value = row.number(column)
    if not may_be(value):
        raise row.error(column, _EXPECTED, f"{value:g}", "correct the cell or empty it")
    return value
