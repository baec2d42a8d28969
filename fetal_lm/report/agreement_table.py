"""How each model's lengths agree with the true ones, as a table: the same figures in Markdown, CSV and LaTeX."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import pandas as pd

from fetal_lm.report import wording
from fetal_lm.report.agreement import agreement
from fetal_lm.report.columns import row_label
from fetal_lm.report.entries import Entry
from fetal_lm.report.markdown import escape, table_lines
from fetal_lm.report.predictions import DIAMETERS


class Figure(NamedTuple):
    """A figure with an interval.

    Attributes:
        header: over it, with the unit.
        name: of `agreement.Agreement`.
        column: of the table, with its unit; the ends of its interval are `_low` and `_high`.
        text: of a value.
    """

    header: str
    name: str
    column: str
    text: Callable[[float], str]


FIGURES: Final = (
    Figure("Bias, mm", "bias", "bias_mm", wording.signed),
    Figure("Lower limit, mm", "lower", "lower_mm", wording.signed),
    Figure("Upper limit, mm", "upper", "upper_mm", wording.signed),
    Figure("ICC(2,1)", "icc", "icc", wording.coefficient),
)

HEADERS: Final = ("Model", "Length", *(figure.header for figure in FIGURES), "Points")

COLUMNS: Final = (
    *("hypothesis", "model", "variant", "branch", "primary", "length", "pairs", "charged"),
    *(f"{figure.column}{end}" for figure in FIGURES for end in ("", "_low", "_high")),
)

NOTE: Final = (
    "Measured minus true [95 % bootstrap interval by examination]; limits of agreement: bias ± 1.96 standard "
    "deviations (Bland and Altman); ICC(2,1): absolute agreement of single measurements. Every image of every seed is "
    "a point and none is dropped; a length that was not measured counts as 0 mm."
)


def agreement_table(entries: Sequence[Entry]) -> pd.DataFrame:
    """One row per model, branch and length (BPD, OFD, HC), with the columns `COLUMNS`.

    The points of all seeds together, each image once for each seed; NaN where too few lengths are known in mm.

    Args:
        entries: of a `Comparison`, in whose order the rows are, the primary branch of a model first.
    """
    rows: list[dict[str, Any]] = []
    for entry in entries:
        for branch in entry.branches:
            points = pd.concat(entry.tables(branch).values(), ignore_index=True)
            for length in DIAMETERS:
                rows.append(
                    {
                        "hypothesis": entry.hypothesis,
                        "model": entry.model,
                        "variant": entry.variant,
                        "branch": branch,
                        "primary": branch == entry.primary_branch,
                        "length": length,
                        **_figures(points, length),
                    }
                )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def agreement_section(table: pd.DataFrame) -> list[str]:
    """The lines of the Markdown section; none where there is no row.

    Args:
        table: of `agreement_table`.
    """
    if not len(table):
        return []
    cells = []
    for label, texts, intervals in agreement_cells(table):
        cells.append(
            [escape(label), *(f"{text} {interval}".rstrip() for text, interval in zip(texts, intervals, strict=True))]
        )
    return ["", "## Agreement of BPD, OFD and HC", "", *table_lines(HEADERS, cells, texts=2), "", f"- {NOTE}"]


def agreement_cells(table: pd.DataFrame) -> list[tuple[str, list[str], list[str]]]:
    """For each row its label, and for each further header of `HEADERS` its text and its interval, which may be empty.

    Args:
        table: of `agreement_table`.
    """
    cells = []
    for row in ({str(name): value for name, value in row.items()} for row in table.to_dict("records")):
        texts = [row["length"].upper(), *(figure.text(row[figure.column]) for figure in FIGURES), _points(row)]
        cells.append((row_label(row), texts, ["", *(_interval(row, figure) for figure in FIGURES), ""]))
    return cells


def _figures(points: pd.DataFrame, length: str) -> dict[str, Any]:
    true, measured = (points[f"{prefix}{length}_mm"].to_numpy() for prefix in ("true_", ""))
    found = agreement(true, measured, points["examination"].tolist())
    figures: dict[str, Any] = {"pairs": found.pairs, "charged": found.charged}
    for figure in FIGURES:
        low, high = getattr(found, f"{figure.name}_interval")
        figures[figure.column] = getattr(found, figure.name)
        figures[f"{figure.column}_low"], figures[f"{figure.column}_high"] = low, high
    return figures


def _interval(row: Mapping[str, Any], figure: Figure) -> str:
    low, high = row[f"{figure.column}_low"], row[f"{figure.column}_high"]
    return f"[{figure.text(low)}, {figure.text(high)}]" if math.isfinite(low) and math.isfinite(high) else ""


def _points(row: Mapping[str, Any]) -> str:
    return f"{row['pairs']}" + (f", {row['charged']} not measured" if row["charged"] else "")
