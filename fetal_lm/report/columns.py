"""The columns of the comparison's table: what each shows, and which way is better; the same wherever it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from fetal_lm.report import wording

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        header: over it, with the unit.
        figure: of `Comparison.table`, by which rows are sorted and the best is found.
        text: a row's figure with its spread.
        interval: its 95 % interval as text, empty where there is none.
        better: which end of `figure` is the better one; None where neither is.
    """

    header: str
    figure: str
    text: Callable[[Row], str]
    interval: Callable[[Row], str]
    better: Literal["low", "high"] | None
    ranked: Callable[[Row], str] | None = None
    """What is printed of the figure that ranks, where the text holds others too."""


def _error(header: str, figure: str) -> Column:
    return Column(
        header,
        figure,
        lambda row: wording.mean_and_spreads(row, figure),
        lambda row: wording.interval(row, figure) if f"{figure}_low" in row else "",
        "low",
    )


def _plain(header: str, figure: str, text: Callable[[Row], str], better: Literal["low", "high"] | None) -> Column:
    return Column(header, figure, text, lambda _: "", better)


def _seeds(row: Row) -> str:
    if row["runs"] != row["seeds"] * row["folds"]:
        return f"{row['runs']:.0f} of {row['seeds']:.0f} x {row['folds']:.0f} folds"
    return f"{row['seeds']:.0f}" + (f" x {row['folds']:.0f} folds" if row["folds"] > 1 else "")


COLUMNS: Final = (
    _error("Mean px", "mean_px"),
    _error("Median px", "median_px"),
    _error("Mean mm", "mean_mm"),
    _error("Median mm", "median_mm"),
    # Sorted and ranked by the first threshold that tells today's models apart.
    Column(
        "SDR 1/2/3/4 mm, %",
        "sdr_2mm",
        lambda row: wording.success_rates(row, " / "),
        lambda _: "",
        "high",
        lambda row: f"{100 * row['sdr_2mm']:.0f}",
    ),
    _error("BPD mm", "bpd_mae_mm"),
    _error("OFD mm", "ofd_mae_mm"),
    _error("HC mm", "hc_mae_mm"),
    _plain("Undecoded %", "undecoded_rate", lambda row: wording.percent(row["undecoded_rate"]), "low"),
    _plain("Parameters", "parameters", lambda row: wording.millions(row["parameters"]), "low"),
    _plain("ms per image", "ms_per_image", lambda row: wording.number(row["ms_per_image"]), "low"),
    _plain("Training", "train_seconds", lambda row: wording.duration(row["train_seconds"]), "low"),
    _plain("Seeds", "seeds", _seeds, None),
)


def row_label(row: Row) -> str:
    """For example `H1 single_hourglass (heatmap)`."""
    parts = (row["hypothesis"], row["model"], row["variant"], f"({row['branch']})")
    return " ".join(part for part in parts if part)


def best_rows(rows: list[dict[str, Any]], column: Column) -> set[int]:
    """Which rows read as the best of a column; none where no direction is better or nothing tells them apart.

    Rows are compared by what is printed: two models that both read 0.79 are both the best.
    """
    if column.better is None:
        return set()
    known = [
        (float(row[column.figure]), number)
        for number, row in enumerate(rows)
        if row[column.figure] == row[column.figure]
    ]
    if not known:
        return set()
    best = (min if column.better == "low" else max)(known)[1]
    texts = [(column.ranked or column.text)(row).split(" ± ")[0] for row in rows]
    found = {number for number, text in enumerate(texts) if text == texts[best]}
    return found if len(found) < len(rows) else set()
