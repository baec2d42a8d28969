"""Experiment tracking: W&B without an account, a network or a question; or none."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import wandb
from pytorch_lightning.loggers import Logger, WandbLogger
from pytorch_lightning.utilities import rank_zero_only

log = logging.getLogger(__name__)

# Logged as they change; the summary keeps the best value instead of the last.
LOWER_IS_BETTER = ("val/mre_px", "val/median_px", "val/bpd_mae_mm", "val/ofd_mae_mm", "val/hc_mae_mm", "val/loss")


def wandb_mode() -> str:
    """`WANDB_MODE` if it is set, else `online` for a user who is logged in, else `offline`.

    `WANDB_MODE=online` without a login is offline too: W&B would ask for a key and wait.
    """
    mode = os.environ.get("WANDB_MODE", "online")
    if mode == "online" and not wandb.login(prompt=False, verify=False):
        return "offline"
    return mode


def wandb_logger(*, project: str, run_folder: Path, name: str, group: str, config: Mapping[str, Any]) -> WandbLogger:
    """A W&B run of its own in `run_folder/wandb`.

    Args:
        project: W&B project.
        run_folder: where the run's files go.
        name: `model-seed`.
        group: the sweep.
        config: nested configuration; it is flattened to dotted keys, which W&B can filter and group by.
    """
    # Further processes of one training log nothing.
    mode = wandb_mode() if getattr(rank_zero_only, "rank", 0) == 0 else "disabled"
    options: dict[str, Any] = {
        "project": project,
        "name": name,
        "group": group,
        "dir": run_folder,
        "config": flatten(config),
        "reinit": "finish_previous",
        "settings": wandb.Settings(silent=True),
    }
    try:
        run = wandb.init(mode=cast(Any, mode), **options)
    except wandb.errors.CommError as error:
        # Logged in, but no network. A training is worth more than its tracking, which can be sent later.
        log.warning("W&B cannot be reached (%s): this run is tracked offline, send it with `wandb sync`", error)
        run = wandb.init(mode="offline", **options)
    logger = WandbLogger(experiment=run, save_dir=run_folder, log_model=False)
    for metric in LOWER_IS_BETTER:
        logger.experiment.define_metric(metric, step_metric="trainer/global_step", summary="min")
    return logger


def no_logger(**_: Any) -> None:
    """No tracking; a run's own files hold everything."""


def location(logger: Logger | None) -> str:
    """Where a run is tracked, in words."""
    if not isinstance(logger, WandbLogger):
        return "no tracking"
    run = logger.experiment
    return f"W&B offline run in {run.dir}" if run.offline else f"W&B run {run.url}"


def finish(logger: Logger | None, *, exit_code: int) -> None:
    """Closes a W&B run. Without it the next job of a multirun logs into this one."""
    if isinstance(logger, WandbLogger):
        logger.experiment.finish(exit_code=exit_code)


def log_summary(logger: Logger | None, figures: Mapping[str, Any], pictures: Mapping[str, Path]) -> None:
    """Puts final figures into the W&B summary and pictures into its media panel."""
    if not isinstance(logger, WandbLogger):
        return
    for name, picture in pictures.items():
        logger.log_image(name, [str(picture)])
    logger.experiment.summary.update(dict(figures))


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
