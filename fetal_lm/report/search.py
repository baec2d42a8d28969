"""A search on disk: its trials, how far each came, and which is the best by what validation says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pandas as pd

from fetal_lm.atomic import atomic_path
from fetal_lm.errors import InputError
from fetal_lm.job import Job, State, read_job

Value = float | int | str

JOURNAL: Final = "study.journal"
"""The study's own file in the folder of a search."""

TRIAL_KEY: Final = "search.trial="
"""How the override begins that makes a run a trial."""

SEARCH_KEY: Final = "search"
"""Of `sweep.json`: what is searched; a sweep that is no search lacks it."""


@dataclass(frozen=True)
class Trial:
    """One place of a search, whichever process trained there and how often it was started.

    Attributes:
        number: of the trial and of its folder.
        parameters: what was tried, by option.
        state: of its job.
        value: the lowest monitor of its epochs, in the monitor's unit; None where no epoch has a finite one.
        epochs: how many it has validated.
        error: the first line of what ended it, if it failed.
    """

    number: int
    parameters: Mapping[str, Value]
    state: State
    value: float | None
    epochs: int
    error: str | None = None

    @property
    def options(self) -> list[str]:
        """What to give `run.py` to train with its parameters."""
        return [f"{key}={value}" for key, value in self.parameters.items()]


@dataclass(frozen=True)
class Search:
    """What is searched and what was tried.

    Attributes:
        monitor: the validation metric that prunes and chooses; lower is better.
        wanted: how many trials were asked for.
        space: for each option what may be tried, in words.
        trials: in the order of their numbers.
        importances: for each option its share of what makes trials differ, by the study; empty while it is unknown.
    """

    monitor: str
    wanted: int
    space: Mapping[str, str]
    trials: tuple[Trial, ...]
    importances: Mapping[str, float]

    @property
    def best(self) -> Trial | None:
        """The trial with the lowest monitor of those that trained to their end; the first one of equals.

        No test figure takes part: a test set that chooses is a second validation set.
        """
        done = [trial for trial in self.trials if trial.state is State.DONE and trial.value is not None]
        return min(done, key=lambda trial: (trial.value or 0.0, trial.number), default=None)


def read_trial(folder: Path, number: int, parameters: Mapping[str, Value], monitor: str) -> Trial:
    """How far a trial is, from its own folder.

    Args:
        folder: of the search.
        number: of the trial.
        parameters: what it tries.
        monitor: column of its `history.csv`.

    """
    try:
        job = read_job(folder / str(number))
    except InputError as error:  # A damaged note; the job itself says so too when it is started.
        job = Job(State.FAILED, error=str(error))
    values = monitored(folder / str(number) / "history.csv", monitor)
    value = min(values.values(), default=None)
    return Trial(number, parameters, job.state, value, len(values), job.error if job.state is State.FAILED else None)


def monitored(path: Path, monitor: str) -> dict[int, float]:
    """The finite values of a metric by epoch, from a run's `history.csv`; none where it is missing or damaged."""
    try:
        history = pd.read_csv(path)
        pairs = zip(history["epoch"].astype(int), history[monitor].astype(float), strict=True)
        return {int(epoch): float(value) for epoch, value in pairs if math.isfinite(value)}
    except (OSError, ValueError, KeyError):
        return {}


def read_search(folder: Path, content: Mapping[str, Any]) -> Search | None:
    """The search that a `sweep.json` is of; None for a sweep that is no search.

    Args:
        folder: of the sweep.
        content: of the file.

    Raises:
        KeyError, TypeError, ValueError: the content is not what a search wrote.
    """
    about = content.get(SEARCH_KEY)
    if about is None:
        return None
    monitor = str(about["monitor"])
    trials = [
        read_trial(folder, int(job["number"]), dict(job["parameters"]), monitor)
        for job in sorted(content["jobs"], key=lambda job: int(job["number"]))
    ]
    importances = {str(key): float(share) for key, share in about["importances"].items()}
    return Search(monitor, int(about["trials"]), dict(about["space"]), tuple(trials), importances)


def write_trials(search: Search, path: Path) -> bool:
    """Writes every trial as a row of a CSV file, atomically; an unknown value is an empty field.

    Returns:
        False, and nothing is written, if there is no trial.
    """
    if not search.trials:
        return False
    rows = [
        {
            "trial": trial.number,
            "state": str(trial.state),
            "best": trial is search.best,
            search.monitor: trial.value,
            "epochs": trial.epochs,
            **trial.parameters,
        }
        for trial in search.trials
    ]
    with atomic_path(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)
    return True


def search_content(search: Search) -> dict[str, Any]:
    """What stands under `SEARCH_KEY`."""
    return {
        "monitor": search.monitor,
        "direction": "minimize",
        "trials": search.wanted,
        "best": search.best.number if search.best else None,
        "space": dict(search.space),
        "importances": dict(search.importances),
    }
