"""Anybody's own images: a folder with one CSV in the columns that this project documents.

    root/labels.csv
    image                                   required: file, relative to the CSV's folder
    ofd_1_x, ofd_1_y, ofd_2_x, ofd_2_y      required: ends of the OFD in pixels of that image, centres on integers
    bpd_1_x, bpd_1_y, bpd_2_x, bpd_2_y      required: ends of the BPD
    mm_per_px                               optional: pixel spacing; without it lengths are not known in millimetres
    examination                             optional: whose head it is; frames of one never part in a split
    part                                    optional: train, val or test, for split=source

`fetal-lm convert` writes this layout from any other source.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Final

from fetal_lm.data.adapters.csv_rows import CsvRow
from fetal_lm.data.adapters.points_csv import COORDINATES, PointsCsv, point_cells, warn_of_unknown_examinations
from fetal_lm.data.records import Record
from fetal_lm.data.rows import LabelRow

LABEL_CSV: Final = "labels.csv"
IMAGE, SPACING, EXAMINATION, PART = "image", "mm_per_px", "examination", "part"
ARCHIVE: Final = "folder"
COLUMNS: Final = (IMAGE, *COORDINATES, SPACING, EXAMINATION, PART)


class Folder(PointsCsv):
    """A folder of images with their CSV as a data source.

    Without an examination, in the column or in a row's cell, each image is an examination of its own: nothing else is
    known of whose head it is. Frames of one head may then part, and a warning says of how many images that is so.

    Args:
        root: the folder that holds `labels.csv`.
        csv: the labels; by default `labels.csv` in `root`. Images are relative to its folder.
        outside: what a labelled point outside its image is: an `error`, or something to `keep`.
        archive: whose images these are. Examinations of one name are one head within an archive only: give each
            hospital its own, and a copy of other data that data's.

    Raises:
        InputError: `outside` is something else.
    """

    name = "folder"
    image_column = IMAGE
    columns = COLUMNS
    optional = (SPACING, EXAMINATION, PART)
    spacing_column = SPACING
    part_column = PART

    def __init__(
        self, root: str | Path, csv: str | Path | None = None, *, outside: str = "error", archive: str = ARCHIVE
    ) -> None:
        super().__init__(
            Path(root).expanduser() / LABEL_CSV if csv is None else Path(csv).expanduser(), outside=outside
        )
        self.archive = archive

    def records(self) -> list[Record]:
        """Every labelled image in the CSV's order; warns of images whose examination is not given."""
        records = super().records()
        warn_of_unknown_examinations(self.csv, records)
        return records

    def folder(self) -> Path:
        """The CSV's folder."""
        return self.csv.parent

    def examination(self, row: CsvRow) -> str:
        """The cell of that column, if there is one."""
        return row.cells.get(EXAMINATION, "")

    def cells(self, row: LabelRow) -> list[str]:
        """A row for a corrected CSV."""
        spacing = f"{row.mm_per_px!r}" if math.isfinite(row.mm_per_px) else ""
        return [row.image, *point_cells(row), spacing, row.examination, row.part]
