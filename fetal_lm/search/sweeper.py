"""Hydra's sweeper that searches: asks the study, lets the launcher train, tells the study, again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.plugins import Plugins
from hydra.errors import CompactHydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from fetal_lm.atomic import write_text
from fetal_lm.errors import InputError
from fetal_lm.job import FILE_NAME as JOB_FILE
from fetal_lm.job import State
from fetal_lm.report.search import JOURNAL, SEARCH_KEY, Search, Trial, Value, read_trial, search_content
from fetal_lm.report.sweep import RUN_FILES, SWEEP_FILE
from fetal_lm.resume import check_same_job, config_hash
from fetal_lm.search.space import Space, parse_space
from fetal_lm.search.study import StudyOfSearch
from fetal_lm.sweep import SweepManifest, composed, share_between_jobs

log = logging.getLogger(__name__)


class SearchSweeper(Sweeper):
    """Searches for the options with the lowest validation monitor.

    Args:
        trials: how many to train in all, those of earlier starts included; a whole number, or `sweep` says so.
        at_once: how many are asked for before the first of them is told, as many as the launcher runs at a time; a
            whole number too.
        seed: of what is proposed.
        monitor: the metric that is minimised.
        params: what is searched (`space.parse_space`), by option; the command line replaces it.
    """

    def __init__(self, *, trials: Any, at_once: Any, seed: int, monitor: Any, params: Mapping[str, Any]) -> None:
        self._trials = trials
        self._at_once = at_once
        self._seed = seed
        self._monitor = monitor
        self._params = params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        self.hydra_context = hydra_context
        self.config = self._config = config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        """Called by Hydra with the overrides of the command line; returns what the launcher returned, by batch."""
        try:
            return self._search(arguments)
        except InputError as error:  # The one exception that Hydra prints without a traceback.
            raise CompactHydraException(str(error)) from error
        except OSError as error:
            reason = f"{error.filename or self._config.hydra.sweep.dir}: {error.strerror or error}"
            raise CompactHydraException(reason) from error

    def _search(self, arguments: Sequence[str]) -> list[Any]:
        for name, value in (("search.trials", self._trials), ("search.at_once", self._at_once)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(f"{name}: expected a whole number, at least 1, got {value!r}")
        if not isinstance(self._monitor, str):
            raise InputError(
                f"monitor: a search minimises a metric, got {self._monitor!r}; name one, as monitor=val/mre_px"
            )
        ranges = [f"{key}={value}" for key, value in self._params.items()]
        space = parse_space([*ranges, *arguments], monitor=self._monitor)
        # What Hydra refuses, an option that is not there, it says before anything is touched.
        self.validate_batch_is_legal([[*space.fixed, *_options(space.first())]])
        folder = Path(self._config.hydra.sweep.dir)
        SweepManifest.take(folder)
        if SweepManifest.fresh:
            (folder / JOURNAL).unlink(missing_ok=True)
        places = Places(folder, space, monitor=self._monitor, seed=self._seed, compose=self._composed)
        OmegaConf.save(self._config, folder / "multirun.yaml")
        SweepManifest.folder = folder
        share_between_jobs(self._config, jobs=min(self._at_once, self._trials))
        returns: list[Any] = []

        def launch(jobs: Sequence[Sequence[str]], first: int) -> None:
            returns.append(self.launcher.launch(jobs, initial_job_idx=first))

        places.search(launch, trials=self._trials, at_once=self._at_once, known=space.known(self._present(space)))
        return returns

    def _composed(self, overrides: Sequence[str], number: int) -> dict[str, Any] | None:
        return composed(self._config, overrides, Path(self._config.hydra.sweep.dir), number=number)

    def _present(self, space: Space) -> dict[str, Any]:
        """What the searched options are without a search."""
        choices = self._config.hydra.runtime.choices
        return {
            key: choices[key] if key in choices else OmegaConf.select(self._config, key) for key in space.distributions
        }


class Places:
    """The trials of a search in its folder.

    Args:
        folder: of the search; the caller holds its lock.
        space: what is searched.
        monitor: the metric that is minimised.
        seed: of what is proposed.
        compose: a job's configuration from its overrides and number; None if it cannot be resolved.

    Raises:
        InputError: the folder has trials of another search, or of other options, or lost its study.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        monitor: str,
        seed: int,
        compose: Callable[[Sequence[str], int], dict[str, Any] | None],
    ) -> None:
        self._folder = folder
        self._space = space
        self._monitor = monitor
        self._compose = compose
        if not (folder / JOURNAL).exists():
            self._check_no_stranger(known=())  # Before there is a journal, in the folder of another sweep.
        self._study = StudyOfSearch(folder, space, monitor=monitor, seed=seed)
        self._hashes: dict[int, str] = {}
        for place in self._study.parameters:
            self._check(place)
        self._check_no_stranger(known=self._study.parameters)

    def search(
        self,
        launch: Callable[[Sequence[Sequence[str]], int], None],
        *,
        trials: int,
        at_once: int,
        known: Mapping[str, Value] | None,
    ) -> None:
        """Trains at every open place; a trial that fails stops nothing.

        Args:
            launch: trains the jobs of the given overrides, the first of the given number, and returns when they ended.
            trials: how many places there are to be.
            at_once: how many are launched together.
            known: parameters for the first place; None has them proposed.
        """
        open_places = self._study.open_places(trials)
        started = len(self._study.parameters)
        if started:
            log.info("%s: %d trials were started before, %d are left", self._folder, started, len(open_places))
        self._write(trials)
        for begin in range(0, len(open_places), at_once):
            batch = open_places[begin : begin + at_once]
            numbers = [self._study.ask(place, known if place == 0 else None) for place in batch]
            for place in batch:
                self._check(place)
            self._write(trials)
            jobs = [
                [*self._overrides(place), f"search.trial={number}", f"hydra.sweep.subdir={place}"]
                for place, number in zip(batch, numbers, strict=True)
            ]
            launch(jobs, batch[0])
            for place in batch:
                _tell(self._study.settle(place), self._monitor, self._folder)
            self._write(trials)

    def _overrides(self, place: int) -> list[str]:
        return [*self._space.fixed, *_options(self._study.parameters[place])]

    def _check(self, place: int) -> None:
        """Makes sure that what lies in a place's folder is of its present options."""
        configuration = self._compose(self._overrides(place), place)
        if configuration is not None:
            check_same_job(self._folder / str(place), configuration)
            self._hashes[place] = config_hash(configuration)

    def _check_no_stranger(self, *, known: Collection[int]) -> None:
        for path in sorted(self._folder.iterdir()):
            is_stranger = path.name.isdecimal() and int(path.name) not in known
            if is_stranger and any((path / name).exists() for name in (*RUN_FILES, JOB_FILE)):
                raise InputError(
                    f"{path}: a trial that {JOURNAL} beside it does not know. Restore the journal, name another folder "
                    "with hydra.sweep.dir=..., or add --fresh, which discards every trial"
                )

    def _write(self, wanted: int) -> None:
        """Writes `sweep.json`: the trials so far, for the report."""
        parameters = self._study.parameters
        trials = tuple(read_trial(self._folder, place, tried, self._monitor) for place, tried in parameters.items())
        search = Search(self._monitor, max(wanted, len(trials)), self._space.words(), trials, self._study.importances())
        jobs = [
            {
                "number": trial.number,
                "name": f"trial-{trial.number}",
                "overrides": self._overrides(trial.number),
                "config_hash": self._hashes.get(trial.number),
                "parameters": dict(trial.parameters),
                "state": str(trial.state),
                "value": trial.value,
            }
            for trial in trials
        ]
        content = {"jobs": jobs, SEARCH_KEY: search_content(search)}
        write_text(self._folder / SWEEP_FILE, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _options(parameters: Mapping[str, Value]) -> list[str]:
    return [f"{key}={value}" for key, value in parameters.items()]


def _tell(trial: Trial, monitor: str, folder: Path) -> None:
    value = "unknown" if trial.value is None else f"{trial.value:.3f}"
    match trial.state:
        case State.DONE | State.PRUNED:
            log.info("trial %d is %s: %s %s", trial.number, trial.state, monitor, value)
        case _:
            log.error(
                "trial %d %s: %s (%s)",
                trial.number,
                trial.state,
                trial.error or "it left no message",
                folder / str(trial.number) / "error.txt",
            )
