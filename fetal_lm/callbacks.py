"""Lightning callbacks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl

from fetal_lm.atomic import atomic_path

SECONDS = "seconds"
"""Column of `history.csv`: wall time of training and validation since the run's first epoch, interruptions left out."""


def training_seconds(path: Path) -> float:
    """Wall time of a run's training, over all its sittings, from its `history.csv`."""
    return float(pd.read_csv(path)[SECONDS].iloc[-1])


class History(pl.Callback):
    """Writes `history.csv`, one row an epoch, whatever the logger; a resumed run goes on with it.

    Args:
        path: of the CSV file.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._rows: list[dict[Any, Any]] = []
        self._started = self._earlier_seconds = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Keeps the epochs before the one that the run goes on from."""
        self._rows = []
        self._started = time.perf_counter()
        if trainer.current_epoch > 0 and self._path.is_file():
            before = pd.read_csv(self._path)
            self._rows = before[before["epoch"] < trainer.current_epoch].to_dict("records")
        self._earlier_seconds = self._rows[-1][SECONDS] if self._rows else 0.0

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Adds the epoch; Lightning calls this after the epoch's validation."""
        if not trainer.is_global_zero:
            return
        logged = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        seconds = self._earlier_seconds + time.perf_counter() - self._started
        self._rows.append({"epoch": trainer.current_epoch, SECONDS: seconds, **logged})
        with atomic_path(self._path) as temporary:
            pd.DataFrame(self._rows).to_csv(temporary, index=False)
