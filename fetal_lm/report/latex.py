r"""The comparison's table in LaTeX, for a paper that loads booktabs."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fetal_lm.atomic import write_text
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
    lines = [
        "% needs \\usepackage{booktabs}",
        f"\\begin{{tabular}}{{l{'r' * len(COLUMNS)}}}",
        "\\toprule",
        _line(["Model", *(escape(column.header) for column in COLUMNS)]),
        "\\midrule",
    ]
    best = [best_rows(rows, column) for column in COLUMNS]
    for number, row in enumerate(rows):
        figures = [_figure(column, row, number in marked) for column, marked in zip(COLUMNS, best, strict=True)]
        lines.append(_line([escape(row_label(row)), *figures]))
        # A line of LaTeX that begins with [ is an argument of the \\ before it.
        intervals = [
            f"{{\\footnotesize {escape(text)}}}" if (text := column.interval(row)) else "" for column in COLUMNS
        ]
        if any(intervals):
            lines.append(_line(["", *intervals]))
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", ""])


def write_latex(comparison: Comparison, path: Path) -> None:
    """Writes `latex_table` atomically."""
    write_text(path, latex_table(comparison))


def _figure(column: Column, row: dict[str, Any], is_best: bool) -> str:
    text = escape(column.text(row))
    return f"\\textbf{{{text}}}" if is_best else text


def _line(cells: list[str]) -> str:
    return " & ".join(cells) + " \\\\"
