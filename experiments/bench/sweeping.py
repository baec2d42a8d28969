"""What a sweep costs beyond the training of its jobs."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from fetal_lm.report.row import read_row
from fetal_lm.threads import cores

ROOT: Final = Path(__file__).resolve().parents[2]
SWEEPS: Final = (("basic", "csv"), ("joblib", "csv"), ("basic", "wandb"))
"""Launchers and loggers."""
JOBS: Final = (1, 4, 16)
TINY: Final = ("trainer=smoke", "image_size=[64,64]", "model.network.channels=8", "data.source.images=30")


def sweeping() -> list[tuple[str, str]]:
    """Rows of the table: what sweeps cost beyond training, each run once, and each further job's part of it."""
    rows = []
    for launcher, logger in SWEEPS:
        beyond_s = {jobs: _beyond_training(launcher, logger, jobs) for jobs in JOBS}
        few, many = min(JOBS), max(JOBS)
        what = f"hydra/launcher={launcher} logger={logger}"
        counts, times = ", ".join(map(str, beyond_s)), ", ".join(f"{value:.1f}" for value in beyond_s.values())
        further_s = (beyond_s[many] - beyond_s[few]) / (many - few)
        rows.append((f"{what}: a sweep of {counts} jobs, s beyond training", times))
        rows.append((f"{what}: each further job, s beyond training", f"{further_s:.1f}"))
    return rows


def _beyond_training(launcher: str, logger: str, jobs: int) -> float:
    """Wall time of a sweep of tiny jobs without their training, which some do at the same time; in seconds."""
    at_once = min(jobs, cores()) if launcher == "joblib" else 1
    with tempfile.TemporaryDirectory() as folder:
        sweep = Path(folder) / "sweep"
        options = (
            "-m", *TINY, f"hydra/launcher={launcher}", f"logger={logger}", f"seed=range({jobs})",
            f"hydra.sweep.dir={sweep}", f"paths.cache={folder}/cache",
        )  # fmt: skip
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, str(ROOT / "run.py"), *options], check=True, capture_output=True,
            env={**os.environ, "WANDB_MODE": "offline"},
        )  # fmt: skip
        wall_s = time.perf_counter() - started
        training_s = sum(read_row(path).train_seconds for path in sweep.glob("*/row.json"))
    return wall_s - training_s / at_once
