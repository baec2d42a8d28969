"""A trained model and its test images -> predictions, a picture and figures on disk."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pytorch_lightning as pl
import torch

from fetal_lm.data.datamodule import LandmarkDataModule
from fetal_lm.hypotheses.base import Hypothesis, Prediction
from fetal_lm.report.heatmaps import FILE_NAME as HEATMAPS_FILE
from fetal_lm.report.heatmaps import Heatmaps, write_heatmaps
from fetal_lm.report.pictures import overlay_picture
from fetal_lm.report.predictions import best_median_worst, prediction_table, summarise, write_predictions


def silence_lightning() -> None:
    """Leaves out Lightning's advice about hardware and products, and a deprecation inside it; for commands."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*LeafSpec.*", category=FutureWarning)
    # Where a run goes on, its checkpoints are there.
    warnings.filterwarnings("ignore", message="Checkpoint directory .* exists and is not empty")
    # Wherever Slurm is installed, whatever the training has to do with it.
    warnings.filterwarnings("ignore", message="The `srun` command is available on your system but is not used")


class Measured(NamedTuple):
    """Figures of `predictions.summarise` by branch, and the median time from an image to its points."""

    metrics: Mapping[str, Mapping[str, float]]
    ms_per_image: float


def measure(
    model: Hypothesis,
    data: LandmarkDataModule,
    *,
    accelerator: str,
    precision: str,
    folder: Path,
    name: str,
    progress: bool = True,
) -> Measured:
    """Predicts the test images; writes predictions.csv, heatmaps.npz and overlay.png into `folder`.

    Args:
        model: with the weights to test.
        data: its `split.test` is tested.
        accelerator: Lightning's.
        precision: Lightning's, as the model was trained.
        folder: for the three files.
        name: of the model, for the picture's title.
        progress: whether to show a bar.
    """
    # A trainer of one device, whatever trained: each test image is predicted once, in order.
    trainer = pl.Trainer(
        accelerator=accelerator, devices=1, precision=precision, logger=False,  # type: ignore[arg-type]  # checked there
        enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=progress, default_root_dir=folder,
    )  # fmt: skip
    batches = cast(list[Prediction], trainer.predict(model, dataloaders=data.predict_dataloader()))
    predicted_orig = {
        branch: torch.cat([batch.points_orig[branch] for batch in batches]).double().cpu().numpy()
        for branch in model.branches
    }
    tested = data.tested()
    table = prediction_table(tested, predicted_orig)
    write_predictions(table, folder / "predictions.csv")
    write_heatmaps(
        Heatmaps(
            tuple(record.image for record in tested),
            torch.cat([batch.heatmaps for batch in batches]).cpu().numpy(),
            torch.cat([batch.to_orig for batch in batches]).cpu().numpy(),
            model.size_net,
        ),
        folder / HEATMAPS_FILE,
    )
    by_branch = {branch: table[table["branch"] == branch] for branch in model.branches}
    shown = best_median_worst(by_branch[model.branches[0]].reset_index(drop=True))
    overlay_picture(
        data.images([data.split.test[position] for position in shown.index]), shown, folder / "overlay.png",
        title=f"{name} on test images",
    )  # fmt: skip
    metrics = {branch: summarise(rows) for branch, rows in by_branch.items()}
    return Measured(metrics, _milliseconds_per_image(model, data, trainer))


def _milliseconds_per_image(
    model: Hypothesis, data: LandmarkDataModule, trainer: pl.Trainer, repeats: int = 20
) -> float:
    """Median time from an image at network size to its points, one at a time, in the precision of the training."""
    # Prediction has left the model on the CPU.
    model.to(trainer.strategy.root_device).eval()
    image = next(iter(data.predict_dataloader())).image[:1].to(model.device)
    times = []
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        for _ in range(repeats + 3):
            started = time.perf_counter()
            points = model.points(image, flips=model.test_flips, rotations=model.test_rotations)
            points[model.branches[0]].cpu()
            times.append(time.perf_counter() - started)
    return float(np.median(times[3:])) * 1000
