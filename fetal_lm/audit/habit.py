"""How a source names its pairs as a rule: where one row's points say little about its names, the other rows do."""

from __future__ import annotations

from typing import Final

from tqdm import tqdm

from fetal_lm.audit.shape import shape_of
from fetal_lm.audit.suspicion import can_be_a_head
from fetal_lm.data.rows import Auditable, Rewritable

LEAST_SHARE: Final = 0.9
"""Of the rows, named alike; below it a source has no habit."""

LEAST_ROWS: Final = 20
"""Fewer say nothing about a habit."""


def naming_habit(source: Auditable) -> bool | None:
    """Whether a source's rows call the shorter diameter OFD as a rule; None if there is no rule to be seen.

    There is one if at least `LEAST_ROWS` rows have a shape that can be a head's, and at least `LEAST_SHARE` of them are
    named alike by their lengths. Only the points are read, and only of a source whose labels are one CSV: reading
    another kind twice may cost as much as the audit.
    """
    if not isinstance(source, Rewritable):
        return None
    shorter, longer = 0, 0
    for row in tqdm(source.rows(), desc="reading how pairs are named", unit="row"):
        shape = shape_of(row.points_orig)
        if can_be_a_head(shape):
            shorter += shape.ofd_px < shape.bpd_px
            longer += shape.ofd_px > shape.bpd_px
    if shorter + longer < LEAST_ROWS or max(shorter, longer) < LEAST_SHARE * (shorter + longer):
        return None
    return shorter > longer
