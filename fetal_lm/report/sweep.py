"""Finished runs on disk: what survived, what is missing and why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from fetal_lm.errors import InputError
from fetal_lm.job import State, read_job
from fetal_lm.landmarks import NAMES
from fetal_lm.lock import holder
from fetal_lm.report.predictions import read_predictions
from fetal_lm.report.row import FILE_NAME as ROW_FILE
from fetal_lm.report.row import RunRow, read_row
from fetal_lm.report.search import JOURNAL, TRIAL_KEY, Search, read_search

SWEEP_FILE: Final = "sweep.json"
RUN_FILES: Final = (ROW_FILE, "predictions.csv", "config.yaml", "run.log", "history.csv", "error.txt")
LOG_LINES: Final = 3
LOG_LINE_LENGTH: Final = 300


@dataclass(frozen=True, eq=False)
class Run:
    """A run that finished: its row and its predictions can be read.

    Attributes:
        name: as the sweep calls the job, or the folder's name.
        folder: where it lies.
        row: what it says about itself.
        predictions: its `prediction_table`.
        history: one row an epoch, or None if it cannot be read.
    """

    name: str
    folder: Path
    row: RunRow
    predictions: pd.DataFrame
    history: pd.DataFrame | None


@dataclass(frozen=True)
class Problem:
    """Something that is not there or cannot be read.

    Attributes:
        name: the job, or the sweep's own file.
        folder: where it was expected.
        reason: what is wrong, as far as the folder tells; may have several lines.
        fatal: whether the whole run is missing from the tables.
    """

    name: str
    folder: Path
    reason: str
    fatal: bool = True


@dataclass(frozen=True, eq=False)
class Sweep:
    """Every run of a sweep, in the order of its jobs, and what is wrong with the others.

    Attributes:
        folder: of the sweep.
        runs: those that finished.
        problems: what is missing or damaged.
        models: the order of the sweep's models as its jobs name them, crashed ones included; may be incomplete.
        search: what a search tried; of its runs only the best trial's is here. None if the sweep is no search.
    """

    folder: Path
    runs: tuple[Run, ...]
    problems: tuple[Problem, ...]
    models: tuple[str, ...] = ()
    search: Search | None = None


@dataclass(frozen=True)
class _Job:
    name: str
    folder: Path
    model: str | None = None
    number: int | None = None


def read_sweep(folder: Path) -> Sweep:
    """Reads a sweep's folder, or the folder of a single run.

    The jobs are those of `sweep.json` and any further run folder; without that file, the run folders found. Trials of a
    search that were pruned are not missing. Trials of one that does not say what it searched are left out and named.

    Raises:
        InputError: there is no such folder, or nothing in it looks like a run.
    """
    if not folder.is_dir():
        kind = "a file, not a folder" if folder.exists() else "no such folder"
        raise InputError(
            f"{folder}: {kind}; expected the folder of a sweep or of one run, such as outputs/three_models/NAME"
        )
    problems: list[Problem] = []
    search: Search | None = None
    is_single = (folder / ROW_FILE).exists() or (_is_run(folder) and not _run_folders(folder))
    is_one = is_single and not (folder / SWEEP_FILE).exists()
    if is_one:
        jobs = [_Job(folder.resolve().name, folder)]
    else:
        jobs, search = _listed(folder, problems)
        listed = {job.folder for job in jobs}
        jobs += [_Job(found.name, found) for found in _run_folders(folder) if found not in listed]
    if not jobs and not problems:
        raise InputError(
            f"{folder}: no run in this folder; expected {ROW_FILE} here, or numbered folders 0, 1, ... that hold one "
            "each. Give the folder that the training printed at its end"
        )
    pruned = {trial.number for trial in search.trials if trial.state is State.PRUNED} if search else set()
    runs = []
    for job in jobs:
        if job.number in pruned:
            continue
        try:
            runs.append(_read_run(job, problems))
        except InputError as error:
            problems.append(Problem(job.name, job.folder, str(error)))
    if search is not None:
        # Test figures of the others are on disk; beside one another they would be chosen by.
        runs = [run for run in runs if search.best is not None and run.folder == folder / str(search.best.number)]
        problems += _not_started(search, folder)
    elif not is_one:
        runs = _without_trials(runs, folder, problems)
    models = dict.fromkeys(job.model for job in jobs if job.model is not None)
    return Sweep(folder, tuple(runs), tuple(problems), tuple(models), search)


def finished(folder: Path) -> bool:
    """Whether a run's row and predictions are there, whole, and of one another."""
    try:
        _read_run(_Job(folder.name, folder), [])
    except InputError:
        return False
    return True


def _read_run(job: _Job, problems: list[Problem]) -> Run:
    if not job.folder.is_dir():
        raise InputError("the job never started: its folder does not exist")
    if not (job.folder / ROW_FILE).exists():
        raise InputError(f"{_unfinished(job.folder)}: no {ROW_FILE}. {_last_words(job.folder)}")
    row = read_row(job.folder / ROW_FILE)
    predictions = read_predictions(job.folder / "predictions.csv")
    if row.primary_branch not in set(predictions["branch"]):
        raise InputError(
            f"{job.folder / 'predictions.csv'}: expected predictions of the primary branch {row.primary_branch!r}, "
            f"got {sorted(set(predictions['branch']))}"
        )
    _check_agreement(row, predictions, job.folder)
    history = None
    try:
        history = _read_history(job.folder / "history.csv")
    except InputError as error:
        problems.append(Problem(job.name, job.folder, f"no learning curve: {error}", fatal=False))
    return Run(job.name, job.folder, row, predictions, history)


def _check_agreement(row: RunRow, predictions: pd.DataFrame, folder: Path) -> None:
    """Notices a table that was cut or swapped: what it plainly counts must be what the row says."""
    for branch, rows in predictions.groupby("branch"):
        said = row.metrics.get(str(branch))
        if not said:
            raise InputError(
                f"{folder / ROW_FILE}: expected figures of {branch}, which predictions.csv has, got those of "
                f"{sorted(row.metrics)}; one of the two files is damaged or of another run"
            )
        undecoded = rows[[f"error_px_{name}" for name in NAMES]].isna().to_numpy().mean()
        for figure, found in (("images", float(len(rows))), ("undecoded_rate", float(undecoded))):
            if figure in said and not abs(said[figure] - found) <= 1e-6:
                raise InputError(
                    f"{folder / 'predictions.csv'}: its {figure} for {branch} is {found:g}, {ROW_FILE} says "
                    f"{said[figure]:g}; one of the two files is damaged or of another run"
                )


def _listed(folder: Path, problems: list[Problem]) -> tuple[list[_Job], Search | None]:
    """The jobs of `sweep.json`, and the search that they are of."""
    path = folder / SWEEP_FILE
    if not path.exists():
        return [], None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        jobs = [
            _Job(
                str(job.get("name") or job["number"]),
                folder / str(int(job["number"])),
                _model_of(job),
                int(job["number"]),
            )
            for job in content["jobs"]
        ]
        return jobs, read_search(folder, content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = f"{path}: not readable ({type(error).__name__}: {error}); jobs that left no folder are not noticed"
        problems.append(Problem(SWEEP_FILE, folder, reason))
        return [], None


def _without_trials(runs: list[Run], folder: Path, problems: list[Problem]) -> list[Run]:
    """The runs without the trials of a search of which nobody knows which is the best by validation."""
    is_search = (folder / JOURNAL).exists()
    trials = [run for run in runs if is_search or any(key.startswith(TRIAL_KEY) for key in run.row.overrides)]
    if not is_search and len(trials) < 2:
        return runs
    what = "says nothing of a search" if (folder / SWEEP_FILE).exists() else "is missing"
    reason = (
        f"{folder / SWEEP_FILE} {what}, and this is the folder of one: its {len(trials)} tested trials are not shown, "
        "as they would be chosen by their test figures. Restore the file, or have it written again by the search's "
        f"command with hydra.sweep.dir={folder}"
    )
    problems.append(Problem(SWEEP_FILE, folder, reason))
    return [run for run in runs if run not in trials]


def _not_started(search: Search, folder: Path) -> list[Problem]:
    left = search.wanted - len(search.trials)
    if left <= 0:
        return []
    reason = (
        f"{left} of {search.wanted} trials were not started; the search goes on with its command and hydra.sweep.dir="
        f"{folder}"
    )
    return [Problem("search", folder, reason)]


def _model_of(job: dict[str, Any]) -> str | None:
    named = [
        str(override).partition("=")[2] for override in job.get("overrides", ()) if str(override).startswith("model=")
    ]
    return named[-1] if named else None


def _run_folders(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.is_dir() and (path.name.isdecimal() or _is_run(path))]
    return sorted(found, key=lambda path: (not path.name.isdecimal(), len(path.name), path.name))


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in RUN_FILES)


def _read_history(path: Path) -> pd.DataFrame:
    try:
        history = pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path} is missing") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: not a readable CSV ({error})") from error
    if "epoch" not in history or not all(kind.kind in "fiub" for kind in history.dtypes):
        raise InputError(f"{path}: expected numbers in every column and a column 'epoch', got {list(history.columns)}")
    known = np.isfinite(history["epoch"].to_numpy(dtype=np.float64))
    if not known.all():
        row = int(np.argmin(known))
        raise InputError(f"{path}, row {row + 2}: expected a number in 'epoch', got {history['epoch'].iloc[row]}")
    return history


def _unfinished(folder: Path) -> str:
    """How far a job without a row came, in words."""
    job = read_job(folder)
    match job.state:
        case State.RUNNING:
            return f"the job is running ({holder(folder) or f'since {job.started}'})"
        case State.KILLED if job.sittings:
            how = "interrupted" if job.ended else "killed"
            return (
                f"the job was {how}, started {job.started}; it goes on with the sweep's command and hydra.sweep.dir="
                f"{folder.parent}"
            )
        case State.PRUNED:
            return "the search stopped this trial early"
        case _:
            return "the job did not finish"


def _last_words(folder: Path) -> str:
    """Why a job ended, from its `error.txt` or the end of its log."""
    for name in ("error.txt", "run.log"):
        try:
            text = (folder / name).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        lines = [line.rstrip()[:LOG_LINE_LENGTH] for line in text.splitlines() if line.strip()]
        if lines:
            return f"{name} ends with:\n" + "\n".join(lines[-LOG_LINES:])
    return "It left no error.txt and no run.log."
