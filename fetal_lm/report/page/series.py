"""What a curve of the page stands for: one branch of one model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fetal_lm.report.entries import Entry


@dataclass(frozen=True)
class Series:
    """One branch of one model.

    Attributes:
        entry: the number of its model among the comparison's entries.
        branch: the branch.
        primary: whether it stands for its model.
        label: what tables and legends call it; the branch is named where the model has several.
    """

    entry: int
    branch: str
    primary: bool
    label: str


def series_of(entries: Sequence[Entry]) -> tuple[Series, ...]:
    """Every branch of every model, in the order of the table."""
    return tuple(
        Series(
            number,
            branch,
            branch == entry.primary_branch,
            entry.label if len(entry.branches) == 1 else f"{entry.label} ({branch})",
        )
        for number, entry in enumerate(entries)
        for branch in entry.branches
    )
