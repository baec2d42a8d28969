"""What an audit can find: the checks, how grave each is, and one finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple


class Severity(StrEnum):
    """How grave a finding is; errors and warnings make an audit's exit code 1, notes do not.

    ERROR: the row cannot be used as it stands, or using it would spoil a result (the same head in two splits).
    WARNING: the row is probably wrong, or is called by the wrong names: look at it.
    NOTE: the row is usable; who uses it should know.
    """

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


class Check(NamedTuple):
    """One thing that is looked for.

    Attributes:
        severity: of every finding of this check.
        meaning: what is found, in a few words.
        fix: what to do about it.
    """

    severity: Severity
    meaning: str
    fix: str


CHECKS: Final[dict[str, Check]] = {
    "bad_row": Check(Severity.ERROR, "the row cannot be read", "correct the row"),
    "image_missing": Check(Severity.ERROR, "there is no such image", "add the image or remove the row"),
    "image_unreadable": Check(Severity.ERROR, "the image is damaged or is none", "copy or download the file again"),
    "duplicate_row": Check(Severity.ERROR, "an image is labelled more than once", "keep one of the rows"),
    "examination_in_two_parts": Check(
        Severity.ERROR, "an examination is in two splits", "move all its images into one split"
    ),
    "names_swapped": Check(Severity.WARNING, "ofd_* lies on the short axis", "exchange ofd_* and bpd_*"),
    "off_image": Check(Severity.WARNING, "a point outside its image", "correct the point"),
    "off_skull": Check(Severity.WARNING, "points away from the skull that the image shows", "label the image again"),
    "diameters_apart": Check(
        Severity.WARNING, "the diameters do not cross near their middles", "label the image again"
    ),
    "not_perpendicular": Check(Severity.WARNING, "the diameters are not at right angles", "label the image again"),
    "cephalic_index": Check(Severity.WARNING, "one diameter is too long for the other", "label the image again"),
    "head_size": Check(Severity.WARNING, "no fetal head is that large or small", "check the points and the spacing"),
    "spacing_implausible": Check(Severity.WARNING, "no ultrasound image has such pixels", "correct the spacing"),
    "duplicate_image": Check(Severity.WARNING, "the same image under two names", "remove one of the two"),
    "model_disagrees": Check(
        Severity.WARNING, "models that never saw the head put the points elsewhere", "look at the row"
    ),
    "spacing_missing": Check(Severity.NOTE, "the pixel spacing is unknown", "give the spacing to get millimetres"),
    "order_flips": Check(
        Severity.NOTE, "OFD_1 and OFD_2 change sides between neighbours", "write labels in canonical order"
    ),
}


@dataclass(frozen=True)
class Finding:
    """Something found in one row.

    Attributes:
        image: the row's image.
        line: where the row stands in its file, from 1; 0 for a source without one.
        check: a key of `CHECKS`.
        found: what was found, with its figures.
    """

    image: str
    line: int
    check: str
    found: str

    @property
    def severity(self) -> Severity:
        """How grave it is."""
        return CHECKS[self.check].severity

    @property
    def fix(self) -> str:
        """What to do about it."""
        return CHECKS[self.check].fix
