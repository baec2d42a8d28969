"""CSV files with named columns -> checked cells, each with the line it stands in."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fetal_lm.errors import InputError


@dataclass(frozen=True)
class CsvRow:
    """One row: its cells by column name, and where it stands.

    Attributes:
        path: the CSV.
        line: from 1; the last one of a row with line breaks in it.
        cells: what stands in the row, stripped; empty where a tolerantly read row is too short.
        problems: what is wrong with the row as a whole, in words; only of tolerantly read rows.
    """

    path: Path
    line: int
    cells: dict[str, str]
    problems: tuple[str, ...] = ()

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

    def number_or_problem(self, column: str) -> tuple[float, tuple[str, ...]]:
        """A finite number and no problem, or NaN and what stands in its place."""
        try:
            return self.number(column), ()
        except InputError:
            return math.nan, (f"{column}: expected a finite number, got {self.cells[column]!r}",)

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
    lines = _lines(path, strict=True)
    header = _checked_header(path, lines, columns)
    rows: dict[str, CsvRow] = {}
    for cells, line in lines:
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
        raise _no_rows(path)
    return rows


def stream_rows(path: Path, columns: Sequence[str]) -> Iterator[CsvRow]:
    """Reads a CSV as `read_rows` does, row by row and tolerantly: what is wrong with a row is said in its `problems`.

    Nothing is kept, so that memory does not grow with the file; a name that comes twice is therefore not noticed here.

    Raises:
        InputError: the file is missing, empty or not text, lacks a column, or has no row at all.
    """
    lines = _lines(path, strict=False)
    header = _checked_header(path, lines, columns)
    empty = True
    for cells, line in lines:
        empty = False
        problems: tuple[str, ...] = ()
        if len(cells) != len(header):
            problems = (f"expected {len(header)} cells as in the first line, got {len(cells)}",)
        padded = cells + [""] * (len(header) - len(cells))
        yield CsvRow(path, line, dict(zip(header, padded, strict=False)), problems)
    if empty:
        raise _no_rows(path)


def column_names(path: Path) -> list[str]:
    """The first line's names; none where there is no such file or line, of which `read_rows` will say more."""
    try:
        return next(_lines(path, strict=False), ([], 0))[0]
    except InputError:
        return []


def count_rows(path: Path) -> int:
    """How many lines a CSV has below its first one, blank ones included; for a progress bar.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with path.open("rb") as handle:
            return max(0, sum(1 for _ in handle) - 1)
    except OSError as error:
        raise _unreadable(path, error) from error


def _lines(path: Path, *, strict: bool) -> Iterator[tuple[list[str], int]]:
    """Rows that are not blank, their cells stripped, each with its line; read as they are asked for."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=strict)
            for row in reader:
                if any(map(str.strip, row)):
                    yield [cell.strip() for cell in row], reader.line_num
    except OSError as error:
        raise _unreadable(path, error) from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: expected a CSV in UTF-8, but {error}; save it as a comma-separated CSV") from error


def _checked_header(path: Path, lines: Iterator[tuple[list[str], int]], columns: Sequence[str]) -> list[str]:
    header = next(lines, ([], 0))[0]
    if missing := [column for column in columns if column not in header]:
        raise InputError(
            f"{path}: expected the columns {_listed(columns)} in the first line, got {_listed(header)}; missing: "
            f"{_listed(missing)}"
        )
    if repeated := sorted({column for column in columns if header.count(column) > 1}):
        raise InputError(
            f"{path}: expected each column once, got {_listed(repeated)} more than once; rename or remove one"
        )
    return header


def _no_rows(path: Path) -> InputError:
    return InputError(f"{path}: expected at least one row below the first line, got none; give the CSV with the labels")


def _unreadable(path: Path, error: OSError) -> InputError:
    return InputError(f"{path}: cannot be read ({error.strerror or error}); check the folder that you gave")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names)) if names else "none"
