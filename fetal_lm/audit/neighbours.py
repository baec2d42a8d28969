"""A row beside the rows before it: duplicates, examinations in two splits, ends that change sides."""

from __future__ import annotations

import math
from typing import Final

from fetal_lm.audit.findings import Finding
from fetal_lm.audit.ledger import Ledger
from fetal_lm.data.rows import LabelRow
from fetal_lm.landmarks import OFD

_UPRIGHT_DEGREES: Final = 10.0
"""Nearer than this to the vertical the canonical order itself jumps, so that a flip means nothing."""


class Neighbours:
    """Compares each row with those before it; memory does not grow with their number.

    Args:
        ledger: what earlier rows were.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._previous: tuple[str, str, bool] | None = None

    def findings(self, row: LabelRow, digest: str | None) -> list[Finding]:
        """What is wrong with a row in view of earlier ones.

        Args:
            row: the next row.
            digest: of its image's content; None if it has none that can be read.
        """
        found = [self._row_again(row), self._part(row), self._content_again(row, digest), self._flip(row)]
        return [finding for finding in found if finding is not None]

    def _row_again(self, row: LabelRow) -> Finding | None:
        if not row.image:
            return None
        earlier = self._ledger.first_row(row.image, row.line, row.points_orig.tobytes())
        if earlier is None:
            return None
        line, same = earlier
        where = f"row {line}" if line else "an earlier row"
        return _finding(row, "duplicate_row", f"{where} has it too, with {'the same' if same else 'other'} points")

    def _part(self, row: LabelRow) -> Finding | None:
        if not row.part or not row.examination:
            return None
        earlier = self._ledger.first_part(row.examination, row.part, row.image)
        if earlier is None or earlier[0] == row.part:
            return None
        part, image = earlier
        what = f"examination {row.examination} is in {row.part}, but {image} of it is in {part}"
        return _finding(row, "examination_in_two_parts", what)

    def _content_again(self, row: LabelRow, digest: str | None) -> Finding | None:
        if digest is None:
            return None
        earlier = self._ledger.first_content(digest, row.image, row.line)
        # The same name again is a duplicate row, which is said elsewhere.
        if earlier is None or earlier[0] == row.image:
            return None
        image, line = earlier
        return _finding(row, "duplicate_image", f"the same content as {image}" + (f" (row {line})" if line else ""))

    def _flip(self, row: LabelRow) -> Finding | None:
        x, y = (row.points_orig[OFD[1]] - row.points_orig[OFD[0]]).tolist()
        from_vertical = abs(math.degrees(math.atan2(x, y)))
        if not min(from_vertical, 180 - from_vertical) >= _UPRIGHT_DEGREES:  # also where a point is missing
            self._previous = None
            return None
        before, self._previous = self._previous, (row.image, row.examination, x < 0)
        if before is None or not row.examination or before[1] != row.examination or before[2] == (x < 0):
            return None
        return _finding(row, "order_flips", f"OFD_1 is {'right' if x < 0 else 'left'} of OFD_2, not so in {before[0]}")


def _finding(row: LabelRow, check: str, found: str) -> Finding:
    return Finding(row.image, row.line, check, found)
