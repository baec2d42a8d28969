"""Learning rates over a run, each in the form that Lightning's `configure_optimizers` returns."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import OneCycleLR, ReduceLROnPlateau


@runtime_checkable
class Schedule(Protocol):
    """Makes Lightning's `lr_scheduler` entry for an optimiser."""

    def __call__(self, optimizer: Optimizer, *, steps: int, monitor: str | None) -> dict[str, Any]:
        """Over `steps` optimiser steps; `monitor` names the metric that selects, if one does."""
        ...


def one_cycle(optimizer: Optimizer, *, steps: int, monitor: str | None, warmup: float) -> dict[str, Any]:  # noqa: ARG001
    """Up to the optimiser's learning rate over the first share `warmup` of the run, then down along a cosine.

    Source: Smith, Topin, "Super-convergence", 2019, as in `torch.optim.lr_scheduler.OneCycleLR`.
    """
    schedule = OneCycleLR(
        optimizer, max_lr=optimizer.param_groups[0]["lr"], total_steps=max(steps, 1), pct_start=warmup
    )
    return {"scheduler": schedule, "interval": "step"}


def halve_on_plateau(optimizer: Optimizer, *, steps: int, monitor: str | None, patience: int) -> dict[str, Any]:  # noqa: ARG001
    """Half the learning rate after `patience` epochs without a better `monitor` (the study's)."""
    return {"scheduler": ReduceLROnPlateau(optimizer, factor=0.5, patience=patience), "monitor": monitor}
