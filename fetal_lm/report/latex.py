r"""The comparison's tables in LaTeX, for a paper that loads booktabs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from fetal_lm.atomic import write_text
from fetal_lm.report.agreement_table import HEADERS as AGREEMENT_HEADERS
from fetal_lm.report.agreement_table import agreement_cells
from fetal_lm.report.columns import COLUMNS, Column, best_rows, row_label
from fetal_lm.report.comparison import Comparison

_SPECIAL: Final = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "–": "--",
    "\n": " ",
    "\r": " ",
}


def escape(text: str) -> str:
    r"""Text that means itself in LaTeX.

    Example:
        >>> escape("a_b 50% \\x")
        'a\\_b 50\\% \\textbackslash{}x'
    """
    return "".join(_SPECIAL.get(character, character) for character in text)


def latex_table(comparison: Comparison) -> str:
    r"""A `tabular` with booktabs' rules, one row per model and branch, the best of a column in bold.

    Intervals stand in a line of their own below the figure. A table without a run has its rules and headers alone.
    """
    rows: list[dict[str, Any]] = [
        {str(name): value for name, value in row.items()} for row in comparison.table.to_dict("records")
    ]
    best = [best_rows(rows, column) for column in COLUMNS]
    lines = []
    for number, row in enumerate(rows):
        figures = [_figure(column, row, number in marked) for column, marked in zip(COLUMNS, best, strict=True)]
        lines.append(([escape(row_label(row)), *figures], ["", *(column.interval(row) for column in COLUMNS)]))
    return _tabular(["Model", *(column.header for column in COLUMNS)], lines, texts=1)


def latex_agreement(comparison: Comparison) -> str:
    r"""A `tabular` as `latex_table`'s with the agreement of BPD, OFD and HC, a row per model, branch and length."""
    lines = [
        ([escape(label), *map(_signed, texts)], ["", *intervals])
        for label, texts, intervals in agreement_cells(comparison.agreement)
    ]
    return _tabular(AGREEMENT_HEADERS, lines, texts=2)


def write_latex(comparison: Comparison, path: Path) -> None:
    """Writes `latex_table` atomically."""
    write_text(path, latex_table(comparison))


def write_agreement(comparison: Comparison, path: Path) -> None:
    """Writes `latex_agreement` atomically."""
    write_text(path, latex_agreement(comparison))


def _tabular(headers: Sequence[str], rows: Iterable[tuple[list[str], list[str]]], texts: int) -> str:
    """Rows of LaTeX's cells and, as plain text, their intervals; the first `texts` columns are aligned left."""
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{{'l' * texts}{'r' * (len(headers) - texts)}}}",
        "\\toprule",
        _line([escape(header) for header in headers]),
        "\\midrule",
    ]
    for cells, intervals in rows:
        lines.append(_line(cells))
        # A line of LaTeX that begins with [ is an argument of the \\ before it.
        if any(intervals):
            lines.append(_line([f"{{\\footnotesize {_signed(text)}}}" if text else "" for text in intervals]))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def _signed(text: str) -> str:
    """Figures, whose hyphens are minus signs."""
    return "$-$".join(escape(part) for part in text.split("-"))


def _figure(column: Column, row: dict[str, Any], is_best: bool) -> str:
    text = escape(column.text(row))
    return f"\\textbf{{{text}}}" if is_best else text


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + " \\\\"
