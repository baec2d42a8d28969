"""What Lightning calls while it trains, so that a run that was killed goes on as if nothing had happened."""

from __future__ import annotations

import io
import logging
import math
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.io import TorchCheckpointIO
from torch import Tensor

from fetal_lm.atomic import atomic_path
from fetal_lm.checkpoints import LAST
from fetal_lm.errors import InputError

log = logging.getLogger(__name__)

SECONDS = "seconds"
"""Column of `history.csv`: wall time of training and validation since the run's first epoch, interruptions left out."""


def training_seconds(path: Path) -> float:
    """Wall time of a run's training, over all its sittings, from its `history.csv`."""
    return float(pd.read_csv(path)[SECONDS].iloc[-1])


class History(pl.Callback):
    """Writes `history.csv`, one row an epoch, whatever the logger; a resumed run goes on with it.

    The logger of a resumed run is a new one, which would know the later epochs alone and take the best of them for the
    best of the run: it is told the earlier ones first.

    Args:
        path: of the CSV file.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._rows: list[dict[Any, Any]] = []
        self._started = self._earlier_seconds = 0.0
        self._trains = False

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Nothing is trained yet; see `on_fit_end`."""
        self._trains = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Keeps the epochs before the one that the run goes on from."""
        self._trains = True
        self._started = time.perf_counter()
        self._rows = self._earlier(trainer)
        self._earlier_seconds = self._rows[-1][SECONDS] if self._rows else 0.0
        _tell_loggers(trainer, self._rows)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """A run that goes on from its last epoch trains nothing, and Lightning does not call the method above."""
        if not self._trains:
            _tell_loggers(trainer, self._earlier(trainer))

    def _earlier(self, trainer: pl.Trainer) -> list[dict[Any, Any]]:
        if trainer.current_epoch == 0 or not self._path.is_file():
            return []
        before = pd.read_csv(self._path)
        return before[before["epoch"] < trainer.current_epoch].to_dict("records")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Adds the epoch; Lightning calls this after the epoch's validation."""
        if not trainer.is_global_zero:
            return
        logged = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        seconds = self._earlier_seconds + time.perf_counter() - self._started
        self._rows.append({"epoch": trainer.current_epoch, SECONDS: seconds, **logged})
        with atomic_path(self._path) as temporary:
            pd.DataFrame(self._rows).to_csv(temporary, index=False)


def _tell_loggers(trainer: pl.Trainer, rows: list[dict[Any, Any]]) -> None:
    """Logs earlier epochs as Lightning did when they ended: with the number of the epoch and of its last step, from 0.

    Args:
        trainer: at the end of the last of these epochs; each has as many steps as the others.
        rows: of `history.csv`. What was no number in an epoch, or was not logged, is left out.
    """
    for row in rows:
        figures = {name: value for name, value in row.items() if "/" in name and math.isfinite(value)}
        step = (row["epoch"] + 1) * trainer.global_step // trainer.current_epoch - 1
        for logger in trainer.loggers:
            logger.log_metrics({**figures, "epoch": row["epoch"]}, step=step)


class EpochLines(pl.Callback):
    """Says after every epoch how far a training is, where there is no terminal for a bar.

    Args:
        name: of the run.
        monitor: the metric that selects, to be said too; None where none does.
    """

    def __init__(self, name: str, *, monitor: str | None) -> None:
        self._name = name
        self._monitor = monitor

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Called after the epoch's validation."""
        value = None if self._monitor is None else trainer.callback_metrics.get(self._monitor)
        said = "" if value is None else f", {self._monitor} {float(value):.2f}"
        log.info("%s: epoch %d of %s%s", self._name, trainer.current_epoch + 1, trainer.max_epochs, said)


class EpochSeed(pl.Callback):
    """Makes random numbers drawn in training (dropout) a function of (seed, epoch), as the order of the images is.

    A checkpoint holds no state of the generators, and how often loaders draw from them depends on where a run began.

    Args:
        seed: of the run.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_batch_start(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,  # noqa: ARG002
        batch: Any,  # noqa: ARG002
        batch_idx: int,
    ) -> None:
        """Seeds before the first batch of an epoch, after the loaders were made."""
        if batch_idx == 0:
            (state,) = np.random.SeedSequence([self._seed, trainer.current_epoch]).generate_state(1)
            torch.manual_seed(int(state))


class WholeEpochs(pl.Callback):
    """Lets a run whose budget is `max_steps` go on after a checkpoint as one whose budget is `max_epochs` does.

    With `max_steps` Lightning takes every checkpoint for one from the midst of an epoch: after one that was written at
    an epoch's end, as `last.ckpt` is, it would train one batch, or none, and call that the next epoch
    (`FitLoop.restarting`).
    """

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:  # noqa: ARG002
        """Before a checkpoint is restored."""
        trainer.fit_loop._iteration_based_training = _no  # type: ignore[method-assign]


def _no() -> bool:
    return False


class MovingAverage(pl.callbacks.WeightAveraging):
    """An exponential moving average of the weights, which is what is validated, saved as the run's weights and tested.

    Lightning's `WeightAveraging` does the work: it updates the average after every step, puts it in the model's place
    during validation, and writes it to a checkpoint's `state_dict`; weights and optimiser of the training go on beside
    it (`current_model_state`), also after a kill. Lightning's own `EMAWeightAveraging` is not taken, for three reasons:
    its decay is constant, so that after 600 steps at 0.999 the average is still half of what the first step left; it
    averages the whole numbers that batch normalisation counts its batches with, which rounds them down; and it makes
    the average where the model lies before Lightning moves it, on the CPU, where every step on a GPU would copy it to.

    After the k-th step, k = 2, 3, ..., average <- d x average + (1 - d) x weights with d = min(decay, k / (9 + k)); the
    first step's weights are the first average. That is the rule of TensorFlow's `tf.train.ExponentialMovingAverage`
    with `num_updates`: the average reaches over about the last ninth of the steps, and over 1 / (1 - decay) at most.
    Batch normalisation's running mean and variance are averaged as the weights are, its count is the training's.

    Args:
        decay: the largest share of the average that a step keeps, 0 to below 1.

    Raises:
        ValueError: the decay is out of range.
    """

    def __init__(self, *, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"callbacks.ema.decay: expected a share from 0 to below 1, got {decay}")
        super().__init__(use_buffers=True, avg_fn=partial(averaged, decay=decay))

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Moves the average to where the model lies now."""
        if self._average_model is not None:
            self._average_model.to(pl_module.device)


def averaged(average: Tensor, current: Tensor, updates: Tensor, *, decay: float) -> Tensor:
    """The next moving average of one weight or buffer; see `MovingAverage`.

    Args:
        average: so far.
        current: of the training, after its step.
        updates: of the average before this one, 1 or more.
        decay: the largest share that is kept.

    Example:
        >>> averaged(torch.tensor([0.0]), torch.tensor([11.0]), torch.tensor(1), decay=0.999)
        tensor([9.])
    """
    if not average.is_floating_point():
        return current
    kept = ((1 + updates) / (10 + updates)).clamp_max(decay).to(average.dtype)
    return torch.lerp(current, average, kept)


class ModelCheckpoint(pl.callbacks.ModelCheckpoint):
    """Lightning's, but what it selects by has to be there, and it knows the best so far wherever the run's folder lies.

    Where the monitor is NaN in every epoch Lightning keeps the first one's weights, which would be tested as the best.
    A NaN is no mistake before there has been a number.

    Lightning compares the folder's path with the one in the checkpoint, and where a sweep was moved it forgets the best
    score: the next epoch, however bad, would become `best.ckpt`. The class has Lightning's name because its state in a
    checkpoint goes by it.
    """

    @property
    def state_key(self) -> str:
        """Lightning's, which leaves the file's name out: with `monitor=null` that of `best` would be that of `last`."""
        key: str = super().state_key
        return key if self.monitor is not None or self.filename == LAST else f"{key}{self.filename}"

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the state as one of files of the same names in the present folder."""
        paths = {key: self._here(state_dict[key]) for key in state_dict if key.endswith("_path")}
        best = {self._here(path): score for path, score in state_dict["best_k_models"].items()}
        super().load_state_dict({**state_dict, **paths, "best_k_models": best, "dirpath": self.dirpath})

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Saves what is best so far.

        Raises:
            InputError: the validation knows no such metric.
        """
        there = trainer.callback_metrics
        if self.monitor is not None and self.monitor not in there and not trainer.sanity_checking:
            known = ", ".join(sorted(name for name in there if name.startswith("val/")))
            raise InputError(f"monitor={self.monitor}: the validation has no such metric; choose one of {known}")
        super().on_validation_end(trainer, pl_module)

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Makes sure that something was selected; called where a run goes on from its last epoch, too.

        Raises:
            InputError: the monitor was never a number.
        """
        if self.best_model_score is not None and not math.isfinite(self.best_model_score):
            raise InputError(
                f"monitor={self.monitor}: was a number after no epoch, so that there are no best weights to test; if "
                "the loss is no number either (history.csv) train with a lower optim.optimizer.lr, else choose another "
                "monitor, for example val/mre_px"
            )

    def _here(self, path: str) -> str:
        return str(Path(self.dirpath or "") / Path(path).name) if path else path


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints appear whole or not at all.

    Lightning writes into the system's folder for temporary files and moves the file from there: between file systems,
    as on most clusters, that is a copy, which a kill leaves cut short under its final name.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:  # noqa: ARG002
        """Writes beside the place, then renames."""
        # torch.save into a file says of a full disk only that its writer failed; into memory first, the OSError does.
        content = io.BytesIO()
        torch.save(checkpoint, content)
        with atomic_path(Path(path)) as temporary:
            temporary.write_bytes(content.getbuffer())
