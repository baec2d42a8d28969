"""From a sweep's folder to its report: what `fetal-lm report` and the end of a sweep both do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from rich.console import Console

from fetal_lm.console import say
from fetal_lm.errors import InputError
from fetal_lm.report import latex, pictures, sections, tables, trials
from fetal_lm.report.comparison import Comparison, compare
from fetal_lm.report.forest import forest_picture
from fetal_lm.report.search import write_trials
from fetal_lm.report.search_picture import search_picture
from fetal_lm.report.sweep import Problem, Sweep, read_sweep

COMPLETE: Final = 0
INCOMPLETE: Final = 1
TABLE_WIDTH: Final = 120


def report_sweep(
    folder: Path, output: Path | None = None, console: Console | None = None, html: Path | None = None
) -> int:
    """Prints the comparison of a sweep and writes it with its pictures.

    Written, each whole or not at all: comparison.md, comparison.csv, comparison.tex, comparison_pairs.csv,
    agreement.csv, agreement.tex, differences.png, learning_curves.png, error_distribution.png, predictions.png, and of
    a search trials.csv and search.png; a file that has nothing to show is not written, and an older one of that name is
    removed.

    Args:
        folder: of a sweep or of a single run.
        output: folder for the report; `folder / "report"` by default.
        console: where to print.
        html: file for the comparison as one page to look at; None writes none.

    Returns:
        The exit code: 0 if everything was there, 1 if a job or a file is missing or damaged (the rest is shown).

    Raises:
        InputError: there is no run in the folder, or the report cannot be written.
    """
    console = console or Console()
    output = output or folder / "report"
    sweep = read_sweep(folder)
    with console.status("comparing the runs"):
        comparison = compare(sweep)
    _print_comparison(console, comparison, sweep)
    written: list[Path] = []
    try:
        with console.status("drawing the pictures"):
            written = _write(output, comparison, sweep)
        if html is not None:
            # Plotly and Jinja2 take a moment that only this page needs.
            from fetal_lm.report.page.document import write_page

            with console.status("writing the page"):
                write_page(comparison, sweep, html)
            written.append(html)
    except OSError as error:
        raise InputError(
            f"{error.filename or output}: cannot write the report ({error.strerror or error}); free some space or name "
            "another folder with --output, another file with --html"
        ) from error
    for path in written:
        say(console, f"wrote {path}")
    for problem in sweep.problems:
        say(console, _problem_text(problem), style="bold red")
    return INCOMPLETE if sweep.problems else COMPLETE


def _print_comparison(console: Console, comparison: Comparison, sweep: Sweep) -> None:
    if sweep.search is not None:
        _wide(console).print(trials.terminal_table(sweep.search))
        for sentence in trials.sentences(sweep.search):
            say(console, sentence)
    for warning in comparison.warnings:
        say(console, f"NOT A FAIR COMPARISON: {warning}", style="bold yellow")
    if not comparison.entries:
        say(console, f"No run of {sweep.folder} finished that can be compared.", style="bold red")
        return
    _wide(console).print(tables.terminal_table(comparison))
    for sentence in sections.pair_sentences(comparison.pairs):
        say(console, sentence)


def _wide(console: Console) -> Console:
    # Where the output is no terminal rich assumes 80 columns and would fold every cell.
    return Console(file=console.file, force_terminal=console.is_terminal, width=max(TABLE_WIDTH, console.width))


def _write(output: Path, comparison: Comparison, sweep: Sweep) -> list[Path]:
    writers: dict[str, Callable[[Path], bool | None]] = {
        "comparison.md": lambda path: tables.write_markdown(comparison, sweep.problems, path, sweep.search),
        "comparison.csv": lambda path: tables.write_csv(comparison, path) if comparison.entries else False,
        "comparison.tex": lambda path: latex.write_latex(comparison, path) if comparison.entries else False,
        "comparison_pairs.csv": lambda path: (
            tables.write_pairs(comparison, path) if len(comparison.pairs.table) else False
        ),
        "agreement.csv": lambda path: tables.write_agreement(comparison, path) if comparison.entries else False,
        "agreement.tex": lambda path: latex.write_agreement(comparison, path) if comparison.entries else False,
        "differences.png": lambda path: forest_picture(comparison.pairs, path),
        "learning_curves.png": lambda path: pictures.learning_curves(comparison.entries, path),
        "error_distribution.png": lambda path: pictures.error_distribution(comparison.entries, path),
        "predictions.png": lambda path: pictures.comparison_picture(comparison.entries, path),
        "trials.csv": lambda path: write_trials(sweep.search, path) if sweep.search else False,
        "search.png": lambda path: search_picture(sweep.search, path) if sweep.search else False,
    }
    written = []
    for name, write in writers.items():
        path = output / name
        if write(path) is False:
            # A file of an earlier report must not pass for one of this.
            path.unlink(missing_ok=True)
        else:
            written.append(path)
    return written


def _problem_text(problem: Problem) -> str:
    what = "MISSING" if problem.fatal else "DAMAGED"
    return f"{what}: {problem.name} ({problem.folder}): {problem.reason}"
