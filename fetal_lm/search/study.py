"""The study: Optuna's memory of a search, as a journal on disk.

A place of the search is a number and a folder; every start of a training there is a trial of the study that knows its
place. A trial that a kill left running, or that failed, is marked as failed, and its place gets a new one of the same
parameters. How a training ended is read from its folder alone (`report.search.read_trial`), so that a kill between its
end and the study's note loses nothing.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from fetal_lm.errors import InputError
from fetal_lm.job import State
from fetal_lm.lock import holder
from fetal_lm.report.search import JOURNAL, Trial, Value, read_trial
from fetal_lm.search.library import load_optuna
from fetal_lm.search.space import Space

log = logging.getLogger(__name__)

NAME: Final = "search"
STARTUP_TRIALS: Final = 5
"""Drawn at random before the sampler draws conclusions; Optuna's 10 would be most of a small search."""

_PLACE: Final = "place"
_SPACE: Final = "space"
_MONITOR: Final = "monitor"
_REMEDY: Final = (
    "Search the same, name another folder with hydra.sweep.dir=..., or add --fresh, which discards every trial"
)


class StudyOfSearch:
    """The study in a search's folder. One process at a time opens it; trainings only report to it.

    Args:
        folder: of the search; the caller holds its lock.
        space: what is searched.
        monitor: the metric that is minimised.
        seed: of what is proposed; with the place it decides, whatever was killed in between.

    Raises:
        InputError: Optuna is missing, the journal is damaged or of another search, or a trial's process still runs.
        OSError: the folder cannot be written.
    """

    def __init__(self, folder: Path, space: Space, *, monitor: str, seed: int) -> None:
        self._folder = folder
        self._space = space
        self._monitor = monitor
        self._seed = seed
        self._optuna: Any = load_optuna()
        self._study = self._opened()
        self._check_same_search()
        self._mark_what_ended()

    @property
    def parameters(self) -> dict[int, dict[str, Value]]:
        """What is tried at each place that was started, by number."""
        return {place: dict(trial.params) for place, trial in sorted(self._latest().items())}

    def open_places(self, wanted: int) -> list[int]:
        """The places to train at: those killed and failed first, in their order, then those never started.

        Args:
            wanted: how many there are to be.
        """
        latest = self._latest()
        failed = [place for place, trial in sorted(latest.items()) if trial.state == self._optuna.trial.TrialState.FAIL]
        return failed + [place for place in range(wanted) if place not in latest]

    def ask(self, place: int, known: Mapping[str, Value] | None = None) -> int:
        """Begins a trial at a place: with the parameters that it had, else with `known`, else with proposed ones.

        Returns:
            The trial's number in the study, for `Pruning`.
        """
        earlier = self._latest().get(place)
        fixed = dict(earlier.params) if earlier else known
        if fixed is not None:
            self._study.enqueue_trial(fixed, user_attrs={_PLACE: place})
        self._study.sampler = self._sampler(place)
        trial = self._study.ask(dict(self._space.distributions))
        if fixed is None:
            trial.set_user_attr(_PLACE, place)
        if earlier:
            # The training goes on behind them, and they are compared with those of the others.
            for step, value in earlier.intermediate_values.items():
                trial.report(value, step)
        return int(trial.number)

    def settle(self, place: int) -> Trial:
        """Notes how the training at a place ended and returns that."""
        trial = self._latest()[place]
        found = read_trial(self._folder, place, dict(trial.params), self._monitor)
        if trial.state.is_finished():
            return found
        states = self._optuna.trial.TrialState
        if found.state is State.DONE and found.value is not None:
            self._study.tell(trial.number, found.value, state=states.COMPLETE)
        elif found.state is State.PRUNED:
            self._study.tell(trial.number, state=states.PRUNED)
        else:
            self._study.tell(trial.number, state=states.FAIL)
        return found

    def importances(self) -> dict[str, float]:
        """For each option its share of what makes finished trials differ (PED-ANOVA); empty for too few or equal ones.

        Source: Watanabe, Bansal, Hutter, "PED-ANOVA", IJCAI 2023, as `optuna.importance`.
        """
        done = [trial for trial in self._study.get_trials(deepcopy=False) if trial.value is not None]
        complete = [trial for trial in done if trial.state == self._optuna.trial.TrialState.COMPLETE]
        if len(complete) <= STARTUP_TRIALS or len({trial.value for trial in complete}) < 2:
            return {}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # That some of its arguments are experimental.
            shares = self._optuna.importance.get_param_importances(self._study)
        return {str(name): float(share) for name, share in shares.items()}

    def _latest(self) -> dict[int, Any]:
        """The last trial of each place that was given all its parameters."""
        return {
            int(trial.user_attrs[_PLACE]): trial
            for trial in self._study.get_trials(deepcopy=False)
            if _PLACE in trial.user_attrs and trial.params.keys() == self._space.distributions.keys()
        }

    def _sampler(self, place: int) -> Any:
        (state,) = np.random.SeedSequence([self._seed, place]).generate_state(1)
        # Liar: trials that are asked for together keep away from one another.
        return self._optuna.samplers.TPESampler(seed=int(state), n_startup_trials=STARTUP_TRIALS, constant_liar=True)

    def _opened(self) -> Any:
        path = self._folder / JOURNAL
        _mend(path)
        # Of a process that was killed while it wrote; Optuna would wait for it half a minute.
        for left in self._folder.glob(f"{JOURNAL}.lock*"):
            left.unlink(missing_ok=True)
        try:
            store = storage(path)
            known = NAME in self._optuna.get_all_study_names(storage=store)
            # Every call of create_study is a line of the journal, also where the study is there.
            made = self._optuna.load_study if known else self._optuna.create_study
            return made(storage=store, study_name=NAME)
        except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as error:
            raise InputError(
                f"{path}: expected the journal of a study ({type(error).__name__}: {error}); restore it, or "
                "begin anew with --fresh or another hydra.sweep.dir=..."
            ) from error

    def _check_same_search(self) -> None:
        study, path = self._study, self._folder / JOURNAL
        if study.direction != self._optuna.study.StudyDirection.MINIMIZE:
            raise InputError(f"{path}: its study maximises, but {self._monitor} is to be low. {_REMEDY}")
        asked = {_MONITOR: self._monitor, _SPACE: self._space.words()}
        stored = study.user_attrs
        if not stored.keys() >= asked.keys():
            if study.get_trials(deepcopy=False):
                raise InputError(f"{path}: it does not say what it searched. {_REMEDY}")
            for key, value in asked.items():
                study.set_user_attr(key, value)
            return
        different = [
            f"{name} was {before.get(name, 'not searched')} and is {now.get(name, 'not searched')}"
            for before, now in (
                ({_MONITOR: stored[_MONITOR]}, {_MONITOR: self._monitor}),
                (stored[_SPACE], self._space.words()),
            )
            for name in dict.fromkeys([*before, *now])
            if before.get(name) != now.get(name)
        ]
        if different:
            raise InputError(f"{path}: the search in this folder is another one: {'; '.join(different)}. {_REMEDY}")

    def _mark_what_ended(self) -> None:
        states = self._optuna.trial.TrialState
        for place in self._latest():
            if by := holder(self._folder / str(place)):
                raise InputError(
                    f"{self._folder / str(place)}: the trial is in use by {by}; wait until it has ended, or end it"
                )
        # Begun by a process that was killed before it had parameters, or before they had a place.
        while self._study.get_trials(deepcopy=False, states=(states.WAITING,)):
            self._study.tell(self._study.ask(), state=states.FAIL)
        latest = {trial.number: place for place, trial in self._latest().items()}
        for trial in self._study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            if trial.number not in latest:
                self._study.tell(trial.number, state=states.FAIL)
                continue
            found = self.settle(latest[trial.number])
            log.info("trial %d was left %s", found.number, found.state)


def storage(path: Path) -> Any:
    """Optuna's storage in a journal: a line of JSON for every change, so that a kill costs at most the last one.

    Its lock is a file made with O_EXCL, which NFS has since version 3.
    """
    storages = load_optuna().storages
    backend = storages.journal.JournalFileBackend(str(path), lock_obj=storages.journal.JournalFileOpenLock(str(path)))
    return storages.JournalStorage(backend)


def _mend(path: Path) -> None:
    """Cuts off a line that a kill or a full disk left half written; Optuna would append to it.

    Raises:
        InputError: another line is damaged.
    """
    if not path.exists():
        return
    content = path.read_bytes()
    whole, newline, rest = content.rpartition(b"\n")
    for number, line in enumerate(whole.split(b"\n") if newline else [], start=1):
        try:
            json.loads(line)
        except ValueError as error:
            raise InputError(
                f"{path}: line {number} is not JSON ({error}); restore the file, or begin anew with --fresh or another "
                "hydra.sweep.dir=..."
            ) from error
    if rest:
        log.warning("%s: its last line was cut short and is left out", path)
        with path.open("r+b") as handle:
            handle.truncate(len(content) - len(rest))
