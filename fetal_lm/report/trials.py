"""A search's trials in words: Markdown, the terminal, and what to give `run.py` for the best one."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from fetal_lm.report import wording
from fetal_lm.report.markdown import escape, table_lines
from fetal_lm.report.search import Search, Trial, Value

NOTES: Final = (
    "Value: the lowest monitor of a trial's epochs, on validation images. It alone chooses the best of the trials that "
    "trained to their end; the table of test figures has the best trial's alone.",
    "The best of many is lower on these validation images than on others: compare it with what it replaces on test "
    "images, with several seeds.",
    "Pruned: stopped by the search because others were better by then; never tested, and no error.",
)


def parameter(value: Value) -> str:
    """Four significant digits of a number, a word as it is.

    Example:
        >>> parameter(0.00123456), parameter(48), parameter("stacked_hourglass")
        ('0.001235', '48', 'stacked_hourglass')
    """
    return value if isinstance(value, str) else f"{value:.4g}"


def sentences(search: Search) -> list[str]:
    """How the trials ended and which is the best, with the options that train it again."""
    counts = Counter(str(trial.state) for trial in search.trials)
    lines = [
        f"{len(search.trials)} of {search.wanted} trials: {', '.join(f'{n} {state}' for state, n in counts.items())}"
    ]
    if search.best is not None:
        lines += [
            f"Best by {search.monitor}: trial {search.best.number}, {wording.number(search.best.value or 0.0)}",
            f"Its options: {' '.join(search.best.options)}",
        ]
    return lines


def page_table(search: Search) -> dict[str, Any]:
    """The trials as the page's template reads them: headers, rows of cells with whether it is the best, sentences."""
    return {
        "headers": ["Trial", "State", search.monitor, "Epochs", *search.space],
        "rows": [{"cells": _plain_cells(search, trial), "best": trial is search.best} for trial in search.trials],
        "sentences": sentences(search),
        "notes": NOTES,
    }


def search_section(search: Search) -> list[str]:
    """The lines of the section about a search."""
    headers = ["Trial", "State", search.monitor, "Epochs", *search.space]
    lines = ["## Search", "", *(f"- {escape(sentence)}" for sentence in sentences(search)), ""]
    lines += table_lines([escape(header) for header in headers], (_cells(search, trial) for trial in search.trials), 2)
    lines += ["", *table_lines(["Option", "Searched", "Share of what makes trials differ, %"], _space(search), 2), ""]
    return [*lines, *(f"- {note}" for note in NOTES)]


def terminal_table(search: Search) -> Table:
    """The trials as a table for the terminal, the best one bold."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, header in enumerate(("trial", "state", search.monitor, "epochs", *search.space)):
        table.add_column(Text(header), justify="left" if number == 1 else "right", overflow="fold")
    for trial in search.trials:
        style = "bold" if trial is search.best else ""
        table.add_row(*map(Text, _plain_cells(search, trial)), style=style)
    return table


def _cells(search: Search, trial: Trial) -> list[str]:
    number, state, value, *others = map(escape, _plain_cells(search, trial))
    if trial is search.best:
        number, value = f"**{number}**", f"**{value}**"
    return [number, state, value, *others]


def _plain_cells(search: Search, trial: Trial) -> list[str]:
    value = wording.MISSING if trial.value is None else wording.number(trial.value)
    tried = [
        parameter(trial.parameters[name]) if name in trial.parameters else wording.MISSING for name in search.space
    ]
    return [str(trial.number), str(trial.state), value, str(trial.epochs), *tried]


def _space(search: Search) -> list[list[str]]:
    return [
        [escape(name), escape(words), wording.percent(search.importances.get(name, float("nan")))]
        for name, words in search.space.items()
    ]
