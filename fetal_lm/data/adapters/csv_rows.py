"""CSV files with named columns -> checked cells, each with the line it stands in."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fetal_lm.errors import InputError


@dataclass(frozen=True)
class CsvRow:
    """One row: its cells by column name, and where it stands."""

    path: Path
    line: int
    cells: dict[str, str]

    def text(self, column: str) -> str:
        """A cell that is not empty.

        Raises:
            InputError: the cell is empty.
        """
        value = self.cells[column]
        if not value:
            raise self.error(column, "a value", "nothing", "fill it in or remove the row")
        return value

    def number(self, column: str) -> float:
        """A finite number.

        Raises:
            InputError: the cell is empty, text, NaN or infinite.
        """
        value = self.text(column)
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise self.error(column, "a finite number", repr(value), "correct the cell or remove the row")
        return number

    def error(self, column: str, expected: str, got: str, remedy: str) -> InputError:
        """The error for a bad cell of this row."""
        return InputError(f"{self.path}, line {self.line}, column {column!r}: expected {expected}, got {got}; {remedy}")


def read_rows(path: Path, columns: Sequence[str], *, key: str) -> dict[str, CsvRow]:
    """Reads a CSV with a header line.

    Args:
        path: comma-separated, UTF-8 with or without a byte order mark.
        columns: names that the header must contain, in any order; others are ignored.
        key: the column whose cells name the rows, each only once.

    Returns:
        The rows in their order, by key.

    Raises:
        InputError: the file is missing, empty or not text, lacks a column, has a row of another length or a key twice.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            numbered = [([cell.strip() for cell in row], reader.line_num) for row in reader if any(map(str.strip, row))]
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); check the folder that you gave"
        ) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a CSV in UTF-8, but {error}; save it as a comma-separated CSV") from error
    header = numbered[0][0] if numbered else []
    if missing := [column for column in columns if column not in header]:
        raise InputError(
            f"{path}: expected the columns {_listed(columns)} in the first line, got {_listed(header)}; missing: "
            f"{_listed(missing)}"
        )
    if repeated := sorted({column for column in columns if header.count(column) > 1}):
        raise InputError(
            f"{path}: expected each column once, got {_listed(repeated)} more than once; rename or remove one"
        )
    rows: dict[str, CsvRow] = {}
    for cells, line in numbered[1:]:
        if len(cells) != len(header):
            raise InputError(
                f"{path}, line {line}: expected {len(header)} cells as in the first line, got {len(cells)}; correct it"
            )
        row = CsvRow(path, line, dict(zip(header, cells, strict=True)))
        name = row.text(key)
        if name in rows:
            raise row.error(
                key, "each name once", f"{name!r}, which line {rows[name].line} has too", "remove one of the two"
            )
        rows[name] = row
    if not rows:
        raise InputError(
            f"{path}: expected at least one row below the first line, got none; give the CSV with the labels"
        )
    return rows


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) if names else "none"
