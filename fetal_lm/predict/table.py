"""`measurements.csv`: a row for each frame, appended whole, so that a kill leaves a table that can be gone on with."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

from fetal_lm.atomic import atomic_path, write_text
from fetal_lm.errors import InputError
from fetal_lm.landmarks import NAMES
from fetal_lm.predict.measurement import Measurement

FILE_NAME: Final = "measurements.csv"
JSON_NAME: Final = "measurements.json"
MADE_WITH_NAME: Final = "made_with.json"
COORDINATES: Final = tuple(f"{name}_{axis}" for name in NAMES for axis in "xy")
CONFIDENCES: Final = tuple(f"{name}_confidence" for name in NAMES)
NUMBERS: Final = (*COORDINATES, "bpd_mm", "ofd_mm", "hc_mm", "cephalic_index", "ga_weeks", *CONFIDENCES)
COLUMNS: Final = (
    "image", "frame", *COORDINATES, "bpd_mm", "ofd_mm", "hc_mm", "cephalic_index", "ga_weeks", "ga_formula",
    *CONFIDENCES, "flag", "error",
)  # fmt: skip
_DECIMALS: Final = 4


def measured_row(image: str, frame: int, measured: Measurement) -> dict[str, str]:
    """The cells of a measured frame; what is unknown is empty."""
    values = {name: float(value) for name, value in zip(COORDINATES, measured.points_orig.ravel(), strict=True)}
    values |= {name: float(value) for name, value in zip(CONFIDENCES, measured.confidence, strict=True)}
    for name in ("bpd_mm", "ofd_mm", "hc_mm", "cephalic_index", "ga_weeks"):
        values[name] = getattr(measured, name)
    cells = {name: "" if math.isnan(value) else f"{value:.{_DECIMALS}f}" for name, value in values.items()}
    formula = "" if math.isnan(measured.ga_weeks) else measured.ga_formula
    return {"image": image, "frame": str(frame), "ga_formula": formula, "flag": "; ".join(measured.flags), **cells}


def failed_row(image: str, reason: str) -> dict[str, str]:
    """The cells of a file, or of the rest of a file, that could not be read."""
    return {"image": image, "error": " ".join(reason.split())}


class Table:
    """The growing file; a context.

    Args:
        folder: of the results, made if missing.
        resume: go on with what is there; otherwise there must be nothing.
        made_with: what every row depends on, by name; kept beside the table, so that rows of two models never mix.
        again: images whose failed row is taken out of a table that is gone on with, because they are tried again.

    Raises:
        InputError: the file cannot be written, is there without `resume`, is not of this program, or was begun with
            something else.
    """

    def __init__(self, folder: Path, *, resume: bool, made_with: Mapping[str, str], again: Iterable[Path] = ()) -> None:
        self.path = folder / FILE_NAME
        self._done: set[tuple[Path, str]] = set()
        self.failed_before = 0
        """How many of them say that a file could not be read."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            there = self.path.exists() and self.path.stat().st_size > 0
            if there and not resume:
                raise InputError(
                    f"{self.path}: is there already; go on with it (--resume), or name another folder with --output"
                )
            if there:
                # Nothing is changed before it is known whose it is.
                self._check_header()
                _check_made_with(folder / MADE_WITH_NAME, made_with)
                self._cut_torn_row()
                if failed := self._read(frozenset(path.resolve() for path in again)):
                    self._leave_out(failed)
            else:
                write_text(folder / MADE_WITH_NAME, json.dumps(dict(made_with), indent=1) + "\n")
            self._handle = self.path.open("a", encoding="utf-8", errors="surrogateescape", newline="")
            if not self.path.stat().st_size:
                self.append([dict(zip(COLUMNS, COLUMNS, strict=True))])
        except OSError as error:
            raise unwritable(folder, error) from error

    def __enter__(self) -> Table:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._handle.close()

    def has(self, image: Path, frame: int) -> bool:
        """Whether a frame has a row that was there before and stays, under whatever path."""
        return (image.resolve(), str(frame)) in self._done

    def append(self, rows: Iterable[dict[str, str]]) -> None:
        """Adds rows in one write."""
        self._handle.write("".join(_line([row.get(column, "") for column in COLUMNS]) for row in rows))
        self._handle.flush()

    def _check_header(self) -> None:
        if next(_rows(self.path), None) != list(COLUMNS):
            raise InputError(
                f"{self.path}: expected the table of an interrupted `fetal-lm predict` to go on with, but its first "
                "line is another; name another folder with --output"
            )

    def _read(self, again: frozenset[Path]) -> set[int]:
        """Takes note of the rows; returns the numbers of the failed ones that are tried again."""
        rows = _rows(self.path)
        next(rows, None)  # None where the header was torn, and is written again.
        failed = set()
        for number, cells in enumerate(rows):
            if len(cells) != len(COLUMNS):
                raise InputError(f"{self.path}: a row has {len(cells)} cells, not {len(COLUMNS)}; remove the file")
            row = dict(zip(COLUMNS, cells, strict=True))
            image = Path(row["image"]).resolve()
            if row["error"] and image in again:
                failed.add(number)
                continue
            self._done.add((image, row["frame"]))
            self.failed_before += bool(row["error"])
        return failed

    def _leave_out(self, numbers: set[int]) -> None:
        """Rewrites the table without some of its rows, atomically."""
        with (
            atomic_path(self.path) as temporary,
            temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as handle,
        ):
            rows = _rows(self.path)
            handle.write(_line(next(rows)))
            handle.writelines(_line(cells) for number, cells in enumerate(rows) if number not in numbers)

    def _cut_torn_row(self) -> None:
        """Removes what a kill or a full disk left of a row: whatever follows the last line break between rows."""
        with self.path.open("rb+") as handle:
            content = handle.read()
            end = content.rfind(b"\n") + 1
            # A file's name may hold line breaks, in quotes.
            while content.count(b'"', 0, end) % 2:
                end = content.rfind(b"\n", 0, end - 1) + 1
            handle.truncate(end)


def _check_made_with(path: Path, made_with: Mapping[str, str]) -> None:
    try:
        began = json.loads(path.read_text(encoding="utf-8"))
        # Tables of earlier versions do not say all of it.
        other = [name for name, value in made_with.items() if began.get(name, value) != value]
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: expected what the table beside it was begun with, but {error!r}; name another folder with "
            "--output"
        ) from error
    if other:
        raise InputError(
            f"{path}: the table was begun with another {' and another '.join(other)}; give what it began with, or name "
            "another folder with --output"
        )


def write_json(table: Path, path: Path) -> None:
    """The rows of a table as a JSON list of objects, null for what is unknown; row by row, atomically."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        rows = _rows(table)
        next(rows)
        handle.write("[")
        for number, cells in enumerate(rows):
            handle.write(",\n" if number else "\n")
            handle.write(json.dumps(_typed(dict(zip(COLUMNS, cells, strict=True)))))
        handle.write("\n]\n")


def unwritable(folder: Path, error: OSError) -> InputError:
    """The error for results that cannot be written."""
    return InputError(
        f"{folder}: cannot write the results ({error.strerror or error}); free some space, or name another folder with "
        "--output"
    )


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as handle:
        yield from csv.reader(handle)


def _line(cells: Sequence[str]) -> str:
    # Until 3.13 `csv` quotes only those line breaks that it ends rows with, and a file's name may hold any of them.
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


def _typed(row: dict[str, str]) -> dict[str, str | float | int | None]:
    typed: dict[str, str | float | int | None] = dict(row)
    typed |= {name: float(row[name]) if row[name] else None for name in NUMBERS}
    typed["frame"] = int(row["frame"]) if row["frame"] else None
    return typed
