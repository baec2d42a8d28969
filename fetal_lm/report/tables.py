"""A comparison as Markdown, CSV and a terminal table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pandas as pd
from rich.table import Table
from rich.text import Text

from fetal_lm.atomic import atomic_path, write_text
from fetal_lm.report import wording
from fetal_lm.report.agreement_table import agreement_section
from fetal_lm.report.columns import COLUMNS
from fetal_lm.report.comparison import RELATIVE_FIGURES, Comparison
from fetal_lm.report.markdown import escape, table_lines
from fetal_lm.report.search import Search
from fetal_lm.report.sections import fold_section, naming_section, pair_section
from fetal_lm.report.sweep import Problem
from fetal_lm.report.trials import search_section

MARKDOWN_COLUMNS: Final = ("Model", *(column.header for column in COLUMNS))


def write_csv(comparison: Comparison, path: Path) -> None:
    """Writes the comparison's table with all its columns and full precision, atomically; NaN is an empty field."""
    with atomic_path(path) as temporary:
        comparison.table.to_csv(temporary, index=False)


def write_pairs(comparison: Comparison, path: Path) -> None:
    """Writes every pair's figures with full precision, atomically; NaN is an empty field."""
    with atomic_path(path) as temporary:
        comparison.pairs.table.to_csv(temporary, index=False)


def write_agreement(comparison: Comparison, path: Path) -> None:
    """Writes the agreement of lengths with full precision, atomically; NaN is an empty field."""
    with atomic_path(path) as temporary:
        comparison.agreement.to_csv(temporary, index=False)


def write_markdown(
    comparison: Comparison, problems: Sequence[Problem], path: Path, search: Search | None = None
) -> None:
    """Writes `markdown` atomically."""
    write_text(path, markdown(comparison, problems, search))


def markdown(comparison: Comparison, problems: Sequence[Problem] = (), search: Search | None = None) -> str:
    """The comparison as a Markdown page: warnings, missing jobs, table, sections, and what the figures mean."""
    lines = ["# Comparison", ""]
    if comparison.warnings:
        lines += ["> **Not a fair comparison.**", *(f"> - {escape(warning)}" for warning in comparison.warnings), ""]
    if problems:
        lines += ["> **Something is missing.**"]
        lines += [f"> - {escape(problem.name)}: {escape(problem.reason)}" for problem in problems]
        lines += [""]
    if search is not None:
        lines += [*search_section(search), ""]
    rows = _rows(comparison.table)
    if rows:
        lines += [*table_lines(MARKDOWN_COLUMNS, map(_markdown_cells, rows)), "", _test_set(rows)]
        lines += ["", *_relative_errors(rows)]
    else:
        lines += ["No run finished that can be compared."]
    lines += ["", *(f"- {note}" for note in wording.NOTES)]
    if rows:
        lines += fold_section(comparison.table)
        lines += naming_section(comparison.table)
    lines += agreement_section(comparison.agreement)
    lines += pair_section(comparison.pairs)
    return "\n".join([*lines, ""])


def terminal_table(comparison: Comparison) -> Table:
    """The comparison as a table for a terminal of 120 columns."""
    table = Table(box=None, padding=(0, 1, 1, 0), pad_edge=False, header_style="bold")
    table.add_column("model\nbranch", overflow="fold")
    for header in (
        "mean px\n[95 %]",
        "median\npx",
        "mean|median\nmm [95 %]",
        "SDR 1|2|3|4\nmm, %",
        "BPD mm\n[95 %]",
        "OFD mm\n[95 %]",
        "HC mm\n[95 %]",
        "unde-\ncoded",
        "size, ms\ntraining",
        "n",
    ):
        table.add_column(Text(header), justify="right", overflow="fold")
    for row in _rows(comparison.table):
        # Text, not str: a name in brackets is not markup.
        table.add_row(*(Text(cell) for cell in _terminal_cells(row)), style="" if row["primary"] else "dim")
    return table


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _label(row: Mapping[str, Any]) -> list[str]:
    return [part for part in (row["hypothesis"], row["model"], row["variant"]) if part]


def _markdown_label(row: Mapping[str, Any]) -> str:
    label = escape(" ".join(_label(row))) + f" ({escape(row['branch'])})"
    return f"**{label}**" if row["primary"] else label


def _markdown_cells(row: Mapping[str, Any]) -> list[str]:
    cells = [f"{column.text(row)} {column.interval(row)}".rstrip() for column in COLUMNS]
    return [_markdown_label(row), *cells]


def _relative_errors(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    header = ("Relative error, %", "BPD, length", "OFD, length", "BPD, ends", "OFD, ends")
    cells = []
    for row in rows:
        percent = {**row, **{name: 100 * row[name] for name in row if name.startswith(RELATIVE_FIGURES)}}
        cells.append([_markdown_label(row), *(_with_interval(percent, figure) for figure in RELATIVE_FIGURES)])
    return table_lines(header, cells)


def _with_interval(row: Mapping[str, Any], figure: str) -> str:
    return f"{wording.mean_and_spreads(row, figure)} {wording.interval(row, figure)}".rstrip()


def _terminal_cells(row: Mapping[str, Any]) -> list[str]:
    def bounds(figure: str) -> str:
        # Without brackets: three of these columns must fit beside the rest in 120 characters.
        return wording.interval(row, figure).strip("[]").replace(", ", "–")

    return [
        " ".join(_label(row)) + f"\n  {row['branch']}",
        f"{wording.mean_and_spread(row, 'mean_px')}\n{bounds('mean_px')}",
        wording.number(row["median_px"]),
        f"{wording.number(row['mean_mm'])}|{wording.number(row['median_mm'])}\n{bounds('mean_mm')}",
        wording.success_rates(row, "|"),
        *(f"{wording.number(row[f'{name}_mae_mm'])}\n{bounds(f'{name}_mae_mm')}" for name in ("bpd", "ofd", "hc")),
        f"{wording.percent(row['undecoded_rate'])}%",
        f"{wording.millions(row['parameters']).replace(' ', '')} {wording.number(row['ms_per_image'])}ms\n"
        f"{wording.duration(row['train_seconds'])}",
        f"{row['seeds']:.0f}" + (f"x{row['folds']:.0f}" if row["folds"] > 1 else ""),
    ]


def _test_set(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = {round(row["images"], 1) for row in rows}
    without_mm = max(row["images_without_mm"] for row in rows)
    text = f"Test images: {' or '.join(f'{count:g}' for count in sorted(counts))}"
    text += " for each seed." if all(row["seeds_alike"] for row in rows) else ", some of them not for each seed."
    if without_mm:
        text += f" {without_mm:g} of them have no pixel spacing and are not in the figures in mm."
    return text
