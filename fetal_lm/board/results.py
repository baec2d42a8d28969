"""What a finished run hands to W&B: its figures, its test images one by one, its weights, its split."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import wandb
from jaxtyping import UInt8

from fetal_lm.board import names
from fetal_lm.board.distribution import CURVES, distribution_points
from fetal_lm.board.overlay import small_overlay
from fetal_lm.report.charges import charged_errors, image_measures
from fetal_lm.report.row import RunRow

log = logging.getLogger(__name__)

ReadImage = Callable[[str], UInt8[np.ndarray, "_ _"]]

TABLE_FIGURES: Final = ("mean_px", "mean_mm", "bpd_mae_mm", "ofd_mae_mm", "hc_mae_mm", "undecoded_rate")
_DATA_DIR: Final = "WANDB_DATA_DIR"


def define_summaries(run: Any) -> None:
    """Says what the summary keeps: the best of validation instead of the last, of the error curves nothing.

    Args:
        run: the W&B run, at its start.
    """
    run.define_metric(names.VALIDATION, step_metric=names.STEP, summary="min")
    for error, within in CURVES:
        run.define_metric(error, hidden=True, summary="none")
        run.define_metric(within, step_metric=error, summary="none")


def log_results(
    run: Any, row: RunRow, table: pd.DataFrame, folder: Path, read: ReadImage, *, overlays: int, models: bool
) -> None:
    """Logs a finished run: figures into the summary, curve, picture, table and artifacts.

    Nothing here waits for the network: W&B's own process sends it.

    Args:
        run: the W&B run.
        row: of the run.
        table: its `prediction_table`, all branches.
        folder: of the run, with overlay.png, split.json, config.yaml and checkpoints/best.ckpt.
        read: the image of a name, grey and in its original size.
        overlays: how many rows of the table get a picture, the worst images first.
        models: whether the selected weights are stored as an artifact.
    """
    for point in distribution_points(table[table["branch"] == row.primary_branch]):
        run.log(point)
    picture = wandb.Image(str(folder / "overlay.png"))
    with _staged_beside(folder):
        run.log({names.PICTURE: picture, names.TABLE: image_table(table, read, overlays=overlays)})
    run.summary.update(names.final_figures(row))
    split = wandb.Artifact(f"split-{row.split_digest[:12]}", type="split", metadata={"digest": row.split_digest})
    _add(split, folder / "split.json")
    run.log_artifact(split)
    if models:
        weights = wandb.Artifact(
            f"{row.model}-{run.id}",
            type="model",
            metadata={
                "model": row.model,
                "seed": row.seed,
                "split_digest": row.split_digest,
                **names.final_figures(row),
            },
        )
        _add(weights, folder / "checkpoints" / "best.ckpt")
        _add(weights, folder / "config.yaml")
        run.log_artifact(weights, aliases=["best"])


def image_table(table: pd.DataFrame, read: ReadImage, *, overlays: int) -> wandb.Table:
    """One row per branch and test image, the worst first.

    Args:
        table: a `prediction_table`.
        read: the image of a name.
        overlays: how many rows at most get a picture. The others have their figures alone, and the log counts them.

    Returns:
        Columns image, examination, branch, overlay and `TABLE_FIGURES`; misses are charged, what is unknown is None.
    """
    order = np.argsort(-charged_errors(table).error_px.mean(axis=1), kind="stable")
    measures = image_measures(table)
    content = wandb.Table(columns=["image", "examination", "branch", "overlay", *TABLE_FIGURES])
    for rank, position in enumerate(order):
        row = {str(name): value for name, value in table.iloc[position].items()}
        measured = measures.iloc[position]
        overlay = None
        if rank < overlays:
            overlay = wandb.Image(small_overlay(read(row["image"]), row), file_type="jpg")
        figures = [None if np.isnan(measured[figure]) else float(measured[figure]) for figure in TABLE_FIGURES]
        content.add_data(row["image"], row["examination"], row["branch"], overlay, *figures)
    if len(order) > overlays:
        log.info("W&B's table of test images shows the %d worst of %d rows as pictures", overlays, len(order))
    return content


@contextmanager
def _staged_beside(folder: Path) -> Iterator[None]:
    """W&B copies a table's pictures into a folder until they are sent: into the run's own rather than the user's home.

    It stays there with an offline run, which could not be sent without them.
    """
    if _DATA_DIR in os.environ:
        yield
        return
    os.environ[_DATA_DIR] = str(folder / "wandb")
    try:
        yield
    finally:
        del os.environ[_DATA_DIR]


def _add(artifact: wandb.Artifact, path: Path) -> None:
    # "mutable", the default, would store every checkpoint of an offline run twice.
    artifact.add_file(str(path), policy="immutable", skip_cache=True)
