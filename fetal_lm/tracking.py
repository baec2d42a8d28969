"""Experiment tracking: W&B without an account, a network or a question; or none."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

import pandas as pd
import wandb
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from fetal_lm.board.results import ReadImage, define_summaries, log_results
from fetal_lm.board.runs import mark_sent, mark_unsent
from fetal_lm.report.row import RunRow

log = logging.getLogger(__name__)

LONGEST_NAME: Final = 128
LONGEST_JOB_TYPE: Final = 64
"""What W&B takes, in characters; a run with more is refused, an offline one only when it is sent."""


def wandb_mode() -> str:
    """`WANDB_MODE` if it is set, else `online` for a user who is logged in, else `offline`.

    `WANDB_MODE=online` without a login is offline too: W&B would ask for a key and wait.
    """
    mode = os.environ.get("WANDB_MODE", "online")
    if mode != "online":
        return mode
    try:
        return "online" if wandb.login(prompt=False, verify=False) else "offline"
    except wandb.errors.Error as error:
        log.warning("W&B refuses the login (%s): this run is tracked offline", error)
        return "offline"


class TrackedRun(WandbLogger):
    """A W&B run whose troubles never stop the training that it follows.

    Args:
        run: the W&B run.
        folder: of the training.
        overlays: as in `wandb_logger`.
        models: as in `wandb_logger`.
    """

    def __init__(self, run: Any, folder: Path, *, overlays: int, models: bool) -> None:
        super().__init__(experiment=run, save_dir=folder, log_model=False)
        self.overlays = overlays
        self.models = models
        self._told = False

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Hands figures of an epoch on; the first time that W&B does not take them a warning says so."""
        try:
            super().log_metrics(metrics, step)
        except Exception as error:  # Of a W&B that was killed it is a connection's, of a full disk the system's.
            if not self._told:
                log.warning("W&B takes no more figures of this run (%s); its folder has them all", error)
            self._told = True


def wandb_logger(
    *,
    project: str,
    run_folder: Path,
    name: str,
    group: str,
    model: str,
    config: Mapping[str, Any],
    overlays: int,
    models: bool,
    init_timeout_s: float,
    finish_timeout_s: float,
) -> TrackedRun:
    """A W&B run of its own in `run_folder/wandb`.

    Args:
        project: W&B project.
        run_folder: where the run's files go.
        name: `model-seed`, in a sweep followed by what else it varies.
        group: the sweep.
        model: the config's name, followed by the variant where the sweep has several; the run's job type, by which a
            workspace groups.
        config: nested configuration; it is flattened to dotted keys, which W&B can filter and group by.
        overlays: how many test images at most are stored with truth and prediction.
        models: whether the selected weights are stored.
        init_timeout_s: how long to wait for W&B's answer before the run is tracked offline.
        finish_timeout_s: how long to wait at the end for what is still to be sent.
    """
    # Further processes of one training log nothing.
    mode = wandb_mode() if getattr(rank_zero_only, "rank", 0) == 0 else "disabled"
    options: dict[str, Any] = {
        "project": project,
        "name": shortened(name, LONGEST_NAME),
        "group": group,
        "job_type": shortened(model, LONGEST_JOB_TYPE),
        "dir": run_folder,
        "config": flatten(config),
        "reinit": "finish_previous",
        "settings": wandb.Settings(
            silent=True, init_timeout=init_timeout_s, finish_timeout=finish_timeout_s, finish_timeout_raises=True
        ),
    }
    try:
        run = wandb.init(mode=cast(Any, mode), **options)
    except wandb.errors.Error as error:
        if mode == "offline":
            raise
        # Logged in, but no network, or a key that W&B does not know. A training is worth more than its tracking,
        # which can be sent later.
        log.warning("W&B cannot be reached (%s): this run is tracked offline, send it with `fetal-lm sync`", error)
        run = wandb.init(mode="offline", **options)
    else:
        if mode == "online":
            # Until it has ended well: what a kill leaves unsent, `fetal-lm sync` finds by this.
            mark_unsent(Path(run.dir).parent)
    define_summaries(run)
    return TrackedRun(run, run_folder, overlays=overlays, models=models)


def shortened(text: str, longest: int) -> str:
    """A text of at most so many characters; of a longer one the beginning and what tells it from others that begin so.

    Example:
        >>> shortened("model optim.optimizer.lr=0.001", 24)
        'model optim.opt e767274f'
    """
    if len(text) <= longest:
        return text
    return f"{text[: longest - 9]} {hashlib.sha256(text.encode()).hexdigest()[:8]}"


def no_logger(**_: Any) -> None:
    """No tracking; a run's own files hold everything."""


def location(logger: Logger | None) -> str:
    """Where a run is tracked, in words."""
    if not isinstance(logger, WandbLogger):
        return "no tracking"
    run = logger.experiment
    return f"W&B offline run in {run.dir}" if run.offline else f"W&B run {run.url}"


def finish(logger: Logger | None, *, exit_code: int) -> None:
    """Closes a W&B run. Without it the next job of a multirun logs into this one.

    What W&B has not taken in time stays on disk, and `fetal-lm sync` sends it.
    """
    if not isinstance(logger, WandbLogger):
        return
    run = logger.experiment
    folder = Path(run.dir).parent
    try:
        run.finish(exit_code=exit_code)
    except Exception as error:  # Also of a W&B that was killed; the training is over and its results are on disk.
        mark_unsent(folder)
        log.warning("W&B did not take everything (%s): send the rest of %s with `fetal-lm sync`", error, folder)
        return
    if not run.offline:
        mark_sent(folder)


def log_final(logger: Logger | None, row: RunRow, table: pd.DataFrame, folder: Path, read: ReadImage) -> None:
    """Hands a finished run's results to W&B, as `board.results.log_results`; what goes wrong there is a warning."""
    if not isinstance(logger, TrackedRun):
        return
    try:
        log_results(logger.experiment, row, table, folder, read, overlays=logger.overlays, models=logger.models)
    except Exception as error:  # As above.
        log.warning("W&B lacks results of this run (%s); its folder has them all", error)


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings to dotted keys.

    Example:
        >>> flatten({"seed": 0, "model": {"network": {"depth": 4}}})
        {'seed': 0, 'model.network.depth': 4}
    """
    flat: dict[str, Any] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
