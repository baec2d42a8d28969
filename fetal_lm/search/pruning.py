"""Lightning's side of a search: tells the study how a trial is doing and stops what will not be the best."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from fetal_lm.job import Pruned
from fetal_lm.search.library import load_optuna
from fetal_lm.search.study import NAME, storage


class Pruning(pl.Callback):
    """Reports the monitor after every epoch; stops the training where the pruner says so.

    Args:
        journal: file of the study.
        trial: number in it; None, in a run that is no trial of a search, does nothing.
        monitor: the metric; lower is better.
        warmup: share of the training, 0 to 1, before which nothing is stopped. A one-cycle schedule is at its highest
            rate early, where what will be the best may look bad.
        pruner: Optuna's.
    """

    def __init__(self, *, journal: str | Path, trial: int | None, monitor: str, warmup: float, pruner: Any) -> None:
        if not 0 <= warmup <= 1:
            raise ValueError(f"callbacks.pruning.warmup: expected a share from 0 to 1, got {warmup}")
        self._journal = Path(journal)
        self._number = trial
        self._monitor = monitor
        self._warmup = warmup
        self._pruner = pruner
        self._trial: Any = None
        self._reason = ""

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Finds the trial."""
        self._reason = ""
        if self._number is None or not trainer.is_global_zero:
            return
        optuna = load_optuna()
        study = optuna.load_study(
            study_name=NAME,
            storage=storage(self._journal),
            pruner=self._pruner,
            sampler=optuna.samplers.RandomSampler(),  # Nothing is drawn here.
        )
        # An id of a journal's own: trials are known by number.
        (trial_id,) = [one._trial_id for one in study.get_trials(deepcopy=False) if one.number == self._number]
        self._trial = optuna.trial.Trial(study, trial_id)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Reports the epoch; Lightning calls this after the epoch's validation."""
        value = float(trainer.callback_metrics.get(self._monitor, math.nan))
        if self._trial is None or not math.isfinite(value):
            return
        epoch = trainer.current_epoch
        if epoch not in self._trial.storage.get_trial(self._trial._trial_id).intermediate_values:
            self._trial.report(value, epoch)
        done = trainer.global_step / max(float(trainer.estimated_stepping_batches), 1.0)
        if self._warmup <= done < 1 and self._trial.should_prune():
            self._reason = f"{self._monitor} {value:.2f} after epoch {epoch} is behind the other trials"
            trainer.should_stop = True

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Ends the run of a trial that was stopped before its weights are tested.

        Raises:
            Pruned: it was.
        """
        if self._reason:
            raise Pruned(self._reason)
