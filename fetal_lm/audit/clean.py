"""A corrected copy of a source's labels: names put right, canonical order, what is suspect left out and counted."""

from __future__ import annotations

import csv
import dataclasses
import math
from collections import Counter
from typing import IO, Final

import numpy as np

from fetal_lm.audit.findings import Severity
from fetal_lm.audit.judgement import Judgement
from fetal_lm.audit.suspicion import LARGEST_SUSPICION
from fetal_lm.data.rows import Rewritable
from fetal_lm.landmarks import BPD, OFD, canonical_order

FILE_NAME: Final = "cleaned.csv"


class CleanedCopy:
    """Writes rows of a source, corrected, in the source's own columns.

    Rows above `LARGEST_SUSPICION` are left out, as are rows with a finding of severity `error`. A spacing that is not
    above 0, which no source accepts, is left empty.

    Args:
        source: whose rows they are.
        handle: an open text file.

    Attributes:
        counts: what was done to how many rows, in words.
    """

    def __init__(self, source: Rewritable, handle: IO[str]) -> None:
        self._source = source
        self._writer = csv.writer(handle, lineterminator="\n")
        self._writer.writerow(source.columns)
        self.counts: Counter[str] = Counter(
            {
                "rows written": 0,
                "rows written with OFD and BPD exchanged": 0,
                "rows written with their ends in another order": 0,
                "rows written with a point outside the image (read them with data.source.outside=keep)": 0,
                "rows written without their spacing, which was not above 0": 0,
                f"rows left out, suspicion above {LARGEST_SUSPICION}": 0,
                "rows left out, an error was found": 0,
            }
        )

    def add(self, judged: Judgement) -> None:
        """Writes a row or counts why not."""
        if any(finding.severity is Severity.ERROR for finding in judged.findings):
            self.counts["rows left out, an error was found"] += 1
            return
        if judged.suspicion > LARGEST_SUSPICION:
            self.counts[f"rows left out, suspicion above {LARGEST_SUSPICION}"] += 1
            return
        points = judged.row.points_orig
        if judged.names_swapped:
            points = points[[*BPD, *OFD]]
            self.counts["rows written with OFD and BPD exchanged"] += 1
        ordered = canonical_order(points)
        if not np.array_equal(ordered, points):
            self.counts["rows written with their ends in another order"] += 1
        if any(finding.check == "off_image" for finding in judged.findings):
            self.counts["rows written with a point outside the image (read them with data.source.outside=keep)"] += 1
        row = dataclasses.replace(judged.row, points_orig=ordered)
        cells = self._source.cells(row)
        if row.mm_per_px <= 0:
            given, cells = cells, self._source.cells(dataclasses.replace(row, mm_per_px=math.nan))
            # Not every source's spacings stand in this CSV.
            self.counts["rows written without their spacing, which was not above 0"] += cells != given
        self._writer.writerow(cells)
        self.counts["rows written"] += 1
