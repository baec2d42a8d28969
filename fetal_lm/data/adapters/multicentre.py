"""The Multicentre Fetal Biometry benchmark's `Head.csv`: four labelled points per image, with its own split.

Source: Di Vece et al., "A multi-centre, multi-device benchmark dataset for landmark-based comprehensive fetal
biometry", arXiv 2512.16710; github.com/surgical-vision/Multicentre-Fetal-Biometry. Columns, in any order beside others:

    image_name, ofd_1_x, ofd_1_y, ofd_2_x, ofd_2_y, bpd_1_x, bpd_1_y, bpd_2_x, bpd_2_y        in original pixels
    SubjectID, px_to_mm_rate (millimetres per pixel), Split (Train or Test)                   each may be empty

The labels are passed on as they are: which end is called 1 differs between its centres, and in one of them the BPD's
ends are called the other way round than in the others. `data.order=canonical` makes them alike. Some heads are larger
than their images, so that points lie outside: the benchmark's own code leaves out rows with a negative coordinate, here
they are an error or kept.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Final

from fetal_lm.data.adapters.csv_rows import CsvRow
from fetal_lm.data.adapters.points_csv import PointsCsv, warn_of_unknown_examinations
from fetal_lm.data.records import Record

LABEL_CSV: Final = "Head.csv"
_SUBJECT, _SPACING, _SPLIT = "SubjectID", "px_to_mm_rate", "Split"

_NUMBER: Final = re.compile(r"0*(\d+)(?:[.]0+)?")
_PATIENT: Final = re.compile(r"Patient0*(\d+)_")
_HEAD_FRAME: Final = re.compile(r"(.+?)_\d*HC\.")


class Multicentre(PointsCsv):
    """One of the benchmark's tables of heads as a data source.

    Args:
        root: the folder that holds `Head.csv`.
        csv: the labels; by default `Head.csv` in `root`.
        images: the folder that holds the images; by default the CSV's.
        outside: what a labelled point outside its image is: an `error`, or something to `keep`.

    Raises:
        InputError: `outside` is something else.
    """

    name = "multicentre"
    archive = "multicentre"
    image_column = "image_name"
    required = (_SUBJECT, _SPACING, _SPLIT)
    spacing_column = _SPACING
    part_column = _SPLIT
    parts = ("train", "test")

    def __init__(
        self,
        root: str | Path,
        csv: str | Path | None = None,
        images: str | Path | None = None,
        *,
        outside: str = "error",
    ) -> None:
        super().__init__(
            Path(root).expanduser() / LABEL_CSV if csv is None else Path(csv).expanduser(), outside=outside
        )
        self._folder = self.csv.parent if images is None else Path(images).expanduser()

    def records(self) -> list[Record]:
        """Every labelled image in the CSV's order; warns of images whose examination neither cell nor name gives."""
        records = super().records()
        warn_of_unknown_examinations(self.csv, records)
        return records

    def folder(self) -> Path:
        """Where the images lie."""
        return self._folder

    def examination(self, row: CsvRow) -> str:
        """Whose head it is: the subject, or where that is empty what the image's name says (`subject`)."""
        return subject(row.cells[_SUBJECT], row.cells[self.image_column])


def subject(subject_id: str, image: str) -> str:
    """Whose head an image shows, under a name that never stands for two origins of the number.

    A subject's number becomes `subject-683`, whether the table writes 683, 683.0 or 00683, and so does that in a name
    such as `Patient00683_Plane3_1_of_2.png`, in whatever folder, where the cell is empty. Else what stands before
    `_HC.` or `_2HC.` in the name counts. Any other image is an examination of its own. Two centres number their heads
    alike, so that in the table of all centres heads of both share an examination: their images then never part, which
    is safe.

    Example:
        >>> subject("683.0", "a.png"), subject("", "Patient00683_Plane3_1_of_2.png")
        ('subject-683', 'subject-683')
        >>> subject("", "010_2HC.png"), subject("", "head.jpeg")
        ('010', 'head.jpeg')
    """
    if subject_id:
        number = _NUMBER.fullmatch(subject_id)
        return f"subject-{number[1] if number else subject_id}"
    name = PurePosixPath(image).name
    if patient := _PATIENT.match(name):
        return f"subject-{patient[1]}"
    frame = _HEAD_FRAME.match(name)
    return frame[1] if frame else image
