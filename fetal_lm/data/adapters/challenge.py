"""The landmark challenge over HC18's images: a CSV with four labelled points per image.

    image_name, ofd_1_x, ofd_1_y, ofd_2_x, ofd_2_y, bpd_1_x, bpd_1_y, bpd_2_x, bpd_2_y        in original pixels

In the public CSV the names OFD and BPD are exchanged in most rows; unless told, the labels are passed on as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from fetal_lm import biometry, landmarks
from fetal_lm.data.adapters.csv_rows import CsvRow
from fetal_lm.data.adapters.hc18 import IMAGE_FOLDER, SPACING_CSV, examination, read_spacing, spacing_as_given
from fetal_lm.data.adapters.points_csv import COORDINATES, PointsCsv, point_cells
from fetal_lm.data.records import Record
from fetal_lm.data.rows import LabelRow
from fetal_lm.errors import InputError

LABEL_CSV: Final = "role_challenge_dataset_ground_truth.csv"


class Challenge(PointsCsv):
    """The challenge's labels as a data source.

    Args:
        root: the folder that holds the images, in `training_set` or by themselves; with HC18's CSV of pixel spacings
            beside them lengths are known in millimetres, else the spacing is NaN, as it is for images not in that CSV.
        csv: the labels; by default `role_challenge_dataset_ground_truth.csv` in `root`.
        outside: what a labelled point outside its image is: an `error`, or something to `keep`.
        ofd: which pair is the OFD: the one `labelled` so, or the `longest` in original pixels.

    Raises:
        InputError: `outside` or `ofd` is something else.
    """

    name = "challenge"
    archive = "hc18"
    image_column = "image_name"
    columns = ("image_name", *COORDINATES)

    def __init__(
        self, root: str | Path, csv: str | Path | None = None, *, outside: str = "error", ofd: str = "labelled"
    ) -> None:
        if ofd not in ("labelled", "longest"):
            raise InputError(f"ofd: expected 'labelled' or 'longest', got {ofd!r}")
        self.root = Path(root).expanduser()
        self.ofd = ofd
        super().__init__(self.root / LABEL_CSV if csv is None else Path(csv).expanduser(), outside=outside)

    def records(self) -> list[Record]:
        """Every labelled image in the CSV's order; see `PointsCsv.records`."""
        records = super().records()
        return records if self.ofd == "labelled" else [_longest_is_ofd(record) for record in records]

    def folder(self) -> Path:
        """`training_set` where there is one, else the root."""
        folder = self.root / IMAGE_FOLDER
        return folder if folder.is_dir() else self.root

    def examination(self, row: CsvRow) -> str:
        """The number before the first underscore of the image's name."""
        return examination(row.text(self.image_column))

    def spacings(self) -> Callable[[CsvRow], float]:
        """Spacings by image name, from HC18's CSV if it is there."""
        path = self.root / SPACING_CSV
        mm_per_px = read_spacing(path) if path.is_file() else {}
        return lambda row: mm_per_px.get(row.cells[self.image_column], math.nan)

    def spacings_as_given(self) -> Callable[[CsvRow], float]:
        """The same, plausible or not."""
        path = self.root / SPACING_CSV
        mm_per_px = spacing_as_given(path) if path.is_file() else {}
        return lambda row: mm_per_px.get(row.cells[self.image_column], math.nan)

    def cells(self, row: LabelRow) -> list[str]:
        """A row for a corrected CSV."""
        return [row.image, *point_cells(row)]


def _longest_is_ofd(record: Record) -> Record:
    points = record.points_orig
    if biometry.bpd(points) <= biometry.ofd(points):
        return record
    return replace(record, points_orig=points[[*landmarks.BPD, *landmarks.OFD]])
