"""The landmark challenge over HC18's images: a CSV with four labelled points per image.

    image_name, ofd_1_x, ofd_1_y, ofd_2_x, ofd_2_y, bpd_1_x, bpd_1_y, bpd_2_x, bpd_2_y        in original pixels

The labels are passed on as they are, although in the public CSV the names OFD and BPD are exchanged in most rows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from fetal_lm import landmarks
from fetal_lm.data import images
from fetal_lm.data.adapters.csv_rows import CsvRow, count_rows, read_rows, stream_rows
from fetal_lm.data.adapters.hc18 import (
    IMAGE_FOLDER,
    SPACING_CSV,
    examination,
    read_spacing,
    spacing_as_given,
)
from fetal_lm.data.records import Record
from fetal_lm.data.rows import LabelRow
from fetal_lm.errors import InputError

LABEL_CSV: Final = "role_challenge_dataset_ground_truth.csv"
_NAME: Final = "image_name"
_COORDINATES: Final = tuple(f"{name}_{axis}" for name in landmarks.NAMES for axis in "xy")


class Challenge:
    """The challenge's labels as a data source.

    Args:
        root: the folder that holds the images, in `training_set` or by themselves; with HC18's CSV of pixel spacings
            beside them lengths are known in millimetres, else the spacing is NaN, as it is for images not in that CSV.
        csv: the labels; by default `role_challenge_dataset_ground_truth.csv` in `root`.
        outside: what a labelled point outside its image is: an `error`, or something to `keep`.

    Raises:
        InputError: `outside` is something else.
    """

    name = "challenge"
    columns = (_NAME, *_COORDINATES)

    def __init__(self, root: str | Path, csv: str | Path | None = None, *, outside: str = "error") -> None:
        self.root = Path(root).expanduser()
        self.csv = self.root / LABEL_CSV if csv is None else Path(csv).expanduser()
        if outside not in ("error", "keep"):
            raise InputError(f"outside: expected 'error' or 'keep', got {outside!r}")
        self.outside = outside

    def records(self) -> list[Record]:
        """Every labelled image in the CSV's order.

        Raises:
            InputError: an image is missing, a label is no number or lies outside its image.
        """
        rows = read_rows(self.csv, self.columns, key=_NAME)
        spacing_csv = self.root / SPACING_CSV
        mm_per_px = read_spacing(spacing_csv) if spacing_csv.is_file() else {}
        # A CSV in which few rows are wrong has many: name them all at once.
        records, wrong = [], []
        for image, row in tqdm(rows.items(), desc="reading labels", unit="image", delay=5):
            record = self._record(row, image, mm_per_px.get(image, math.nan))
            records.append(record)
            if self.outside == "error" and (outside := _outside(record)):
                wrong.append(f"line {row.line} ({image}, {record.size_orig[1]} x {record.size_orig[0]} px): {outside}")
        if wrong:
            raise InputError(
                f"{self.csv}: expected points inside their images, got {len(wrong)} of {len(rows)} rows with points "
                f"outside; correct them, or keep them with data.source.outside=keep:\n  " + "\n  ".join(wrong)
            )
        return records

    def rows(self) -> Iterator[LabelRow]:
        """Every row of the CSV as it stands; an image need not be there."""
        spacing_csv = self.root / SPACING_CSV
        mm_per_px = spacing_as_given(spacing_csv) if spacing_csv.is_file() else {}
        folder = self._folder()
        for row in stream_rows(self.csv, self.columns):
            image = row.cells[_NAME]
            read = [row.number_or_problem(column) for column in _COORDINATES]
            problems = row.problems + (() if image else (f"{_NAME}: expected a name, got nothing",))
            yield LabelRow(
                image=image,
                line=row.line,
                examination=examination(image),
                part="",
                path=folder / image if image else None,
                points_orig=np.array([number for number, _ in read]).reshape(landmarks.COUNT, 2),
                mm_per_px=mm_per_px.get(image, math.nan),
                problems=problems + tuple(problem for _, wrong in read for problem in wrong),
            )

    def row_count(self) -> int:
        """Lines of the CSV."""
        return count_rows(self.csv)

    def cells(self, row: LabelRow) -> list[str]:
        """A row for a corrected CSV."""
        return [
            row.image,
            *(f"{value:g}" if value == round(value, 3) else repr(value) for value in row.points_orig.ravel().tolist()),
        ]

    def read(self, record: Record) -> UInt8[np.ndarray, "H W"]:
        """The grey image, 0 to 255, of `record.size_orig`."""
        return images.read_grey(self._folder() / record.image, size_orig=record.size_orig)

    def content_key(self, record: Record) -> str:
        """SHA-256 of the image file."""
        return images.digest(self._folder() / record.image)

    def _folder(self) -> Path:
        folder = self.root / IMAGE_FOLDER
        return folder if folder.is_dir() else self.root

    def _record(self, row: CsvRow, image: str, mm_per_px: float) -> Record:
        path = self._folder() / image
        if not path.is_file():
            raise row.error(_NAME, "an image in the folder", str(path), "add the image, or give the folder that has it")
        points_orig = np.array([row.number(column) for column in _COORDINATES]).reshape(landmarks.COUNT, 2)
        return Record(
            image=image,
            examination=examination(image),
            size_orig=images.read_size(path),
            points_orig=points_orig,
            mm_per_px=mm_per_px,
        )


def _outside(record: Record) -> str:
    """The points outside the frame, in words; empty if there are none."""
    size_xy = np.array(record.size_orig[::-1])
    inside = np.all((record.points_orig >= -0.5) & (record.points_orig <= size_xy - 0.5), axis=-1).tolist()
    return ", ".join(
        f"{name} ({x:g}, {y:g})"
        for name, (x, y), is_inside in zip(landmarks.NAMES, record.points_orig, inside, strict=True)
        if not is_inside
    )
