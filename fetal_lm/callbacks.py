"""Lightning callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytorch_lightning as pl

from fetal_lm.atomic import atomic_path


class History(pl.Callback):
    """Writes `history.csv`, one row an epoch, whatever the logger; a resumed run goes on with it.

    Args:
        path: of the CSV file.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._rows: list[dict[Any, Any]] = []

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Keeps the epochs before the one that the run goes on from."""
        self._rows = []
        if trainer.current_epoch > 0 and self._path.is_file():
            before = pd.read_csv(self._path)
            self._rows = before[before["epoch"] < trainer.current_epoch].to_dict("records")

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:  # noqa: ARG002
        """Adds the epoch; Lightning calls this after the epoch's validation."""
        if not trainer.is_global_zero:
            return
        logged = {name: float(value) for name, value in trainer.callback_metrics.items() if "/" in name}
        self._rows.append({"epoch": trainer.current_epoch, **logged})
        with atomic_path(self._path) as temporary:
            pd.DataFrame(self._rows).to_csv(temporary, index=False)
