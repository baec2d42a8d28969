"""From a source to what is wrong with its labels: what `fetal-lm audit` does."""

from __future__ import annotations

import csv
import heapq
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

from rich.console import Console
from rich.table import Table
from tqdm import tqdm

from fetal_lm.atomic import atomic_path
from fetal_lm.audit import clean as cleaning
from fetal_lm.audit.findings import CHECKS, Finding, Severity
from fetal_lm.audit.habit import naming_habit
from fetal_lm.audit.judgement import Judgement, judge
from fetal_lm.audit.ledger import Ledger
from fetal_lm.audit.models import CrossFitted, read_cross_fitted
from fetal_lm.audit.neighbours import Neighbours
from fetal_lm.audit.reading import content_digest, image_of
from fetal_lm.audit.sheet import contact_sheet
from fetal_lm.console import say
from fetal_lm.data.images import is_there
from fetal_lm.data.rows import Auditable, Countable, Rewritable
from fetal_lm.errors import InputError

CLEAN: Final = 0
FOUND: Final = 1
FINDINGS_FILE: Final = "findings.csv"
ROWS_FILE: Final = "rows.csv"
SHEET_FILE: Final = "worst.png"
FINDINGS_COLUMNS: Final = ("image", "row", "check", "severity", "found", "fix")
ROWS_COLUMNS: Final = ("image", "suspicion", "names_swapped", "row", "off_skull_px", "disagreement_px")
WORST: Final = 24


def audit_source(
    source: Auditable,
    output: Path,
    *,
    clean: bool = False,
    models: Path | None = None,
    console: Console | None = None,
) -> int:
    """Looks at every row of a source and writes what is wrong.

    Written, each whole or not at all: findings.csv, rows.csv, worst.png and, if wanted, cleaned.csv. Rows are read,
    judged and written one by one, so that memory does not grow with their number.

    Args:
        source: whose labels are looked at; never changed.
        output: folder for the results.
        clean: whether a corrected copy of the labels is wanted.
        models: folder of a sweep whose predictions are asked too.
        console: where to print.

    Returns:
        The exit code: 0 if nothing but notes was found, else 1.

    Raises:
        InputError: the source or the sweep cannot be read, no corrected copy is made of such a source, an input
            would be overwritten, or the results cannot be written.
    """
    console = console or Console()
    rewritable = source if isinstance(source, Rewritable) else None
    if clean and rewritable is None:
        raise InputError(
            "--clean: a corrected copy is made of the labels of the sources challenge and folder, not of those of "
            f"{source.name!r}; leave the option out, or audit the folder that `fetal-lm convert` makes of it"
        )
    written = {FINDINGS_FILE, ROWS_FILE, SHEET_FILE} | ({cleaning.FILE_NAME} if clean else set())
    protected = {output.resolve() / name for name in written}
    if rewritable is not None:
        _protect(rewritable.csv, protected)
    predictions = None if models is None else read_cross_fitted(models)
    counts: Counter[str] = Counter()
    rows = 0
    worst: list[tuple[float, int, Judgement]] = []
    try:
        with ExitStack() as stack:
            findings = csv.writer(stack.enter_context(_table(output / FINDINGS_FILE)), lineterminator="\n")
            table = csv.writer(stack.enter_context(_table(output / ROWS_FILE)), lineterminator="\n")
            copy = None
            if clean and rewritable is not None:
                copy = cleaning.CleanedCopy(rewritable, stack.enter_context(_table(output / cleaning.FILE_NAME)))
            findings.writerow(FINDINGS_COLUMNS)
            table.writerow(ROWS_COLUMNS)
            for judged in _judgements(source, predictions, protected, stack.enter_context(Ledger())):
                rows += 1
                for finding in judged.findings:
                    findings.writerow(_finding_cells(finding))
                    counts[finding.check] += 1
                table.writerow(_row_cells(judged))
                if copy is not None:
                    copy.add(judged)
                # The earlier of two equal rows stays.
                entry = (judged.log_odds, -rows, judged)
                (heapq.heappush if len(worst) < WORST else heapq.heappushpop)(worst, entry)
        with console.status("drawing the worst rows"):
            contact_sheet(
                [judged for *_, judged in sorted(worst, key=lambda entry: entry[:2], reverse=True)], output / SHEET_FILE
            )
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(
            f"{output}: cannot write the audit ({reason}); free some space, or name another folder with --output"
        ) from error
    _print_summary(console, rows, counts)
    if predictions is not None:
        _print_models(console, predictions)
    if copy is not None:
        for what, count in copy.counts.items():
            say(console, f"{cleaning.FILE_NAME}: {count} {what}")
    for name in sorted(written):
        say(console, f"wrote {output / name}")
    grave = sum(count for check, count in counts.items() if CHECKS[check].severity is not Severity.NOTE)
    return FOUND if grave else CLEAN


def _judgements(
    source: Auditable, predictions: CrossFitted | None, protected: set[Path], ledger: Ledger
) -> Iterator[Judgement]:
    neighbours, habit = Neighbours(ledger), naming_habit(source)
    total = source.row_count() if isinstance(source, Countable) else None
    for row in tqdm(source.rows(), desc="auditing", unit="row", total=total):
        image, digest, others = None, None, []
        if row.path is not None and not is_there(row.path):
            others.append(Finding(row.image, row.line, "image_missing", f"{row.path} is missing"))
        else:
            if row.path is not None:
                _protect(row.path, protected)
            try:
                image = image_of(row)
                digest = None if image is None else content_digest(row, image)
            except InputError as error:
                others.append(Finding(row.image, row.line, "image_unreadable", str(error)))
        others += neighbours.findings(row, digest)
        disagreement = None if predictions is None else predictions.disagreement(row)
        yield judge(row, image, disagreement, habit, tuple(others))


def _protect(path: Path, protected: set[Path]) -> None:
    # Names first: resolving every image's path would cost more than reading it.
    if any(path.name == result.name for result in protected) and path.resolve() in protected:
        raise InputError(f"--output: {path} is an input and would be overwritten; name another folder")


@contextmanager
def _table(path: Path) -> Iterator[IO[str]]:
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
        yield handle
        handle.flush()


def _finding_cells(finding: Finding) -> tuple[str, ...]:
    return (finding.image, _line(finding.line), finding.check, finding.severity, finding.found, finding.fix)


def _row_cells(judged: Judgement) -> tuple[str, ...]:
    measured = judged.measured
    swapped = "" if judged.names_swapped is None else str(judged.names_swapped)
    pixels = ("" if value != value else f"{value:.1f}" for value in (measured.off_skull_px, measured.disagreement_px))
    return (judged.row.image, f"{judged.suspicion:.6f}", swapped, _line(judged.row.line), *pixels)


def _line(line: int) -> str:
    return str(line) if line else ""


def _print_summary(console: Console, rows: int, counts: Counter[str]) -> None:
    table = Table(title=f"{rows} rows audited")
    for column in ("check", "severity", "findings", "what is wrong"):
        table.add_column(column, justify="right" if column == "findings" else "left", no_wrap=True)
    for name, check in CHECKS.items():
        if counts[name]:
            table.add_row(name, check.severity, str(counts[name]), check.meaning)
    # Where the output is no terminal rich assumes 80 columns and would fold every cell.
    wide = Console(file=console.file, force_terminal=console.is_terminal, width=max(120, console.width))
    if counts:
        wide.print(table)
    else:
        say(console, f"{rows} rows audited, nothing found")


def _print_models(console: Console, predictions: CrossFitted) -> None:
    say(console, f"models: {len(predictions.runs)} runs spoke about {predictions.rows} rows")
    if predictions.refused:
        say(console, f"models: {predictions.refused} predictions not used, their run had seen the examination")
    if predictions.undecoded:
        say(console, f"models: {predictions.undecoded} predictions not used, a landmark is undecoded")
    for problem in predictions.problems:
        say(console, f"models: left out {problem}", style="bold yellow")
