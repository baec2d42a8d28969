"""Two gloo processes on the CPU train and test what one process does, to rounding, and test every image once."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from fetal_lm.landmarks import NAMES

from .conftest import TINY


def test_two_processes_give_the_numbers_of_one(experiment, trained, tmp_path):
    folder = tmp_path / "run"
    done = experiment(
        *(override for override in TINY if override != "trainer=smoke"),
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.precision=32-true",
        "trainer.max_epochs=2",
        "data.batch_size=4",  # Of each process; `trained` has 8.
        "logger=csv",
        f"hydra.run.dir={folder}",
    )
    assert done.code == 0, done.err[-3000:]
    alone, together = (torch.load(run / "checkpoints" / "last.ckpt", weights_only=True) for run in (trained, folder))
    assert together["global_step"] == alone["global_step"] == 4
    histories = [pd.read_csv(run / "history.csv").drop(columns="seconds") for run in (trained, folder)]
    pd.testing.assert_frame_equal(*histories, check_like=True, rtol=1e-3)
    rows = [json.loads((run / "row.json").read_text())["metrics"]["heatmap"] for run in (trained, folder)]
    assert rows[1] == pytest.approx(rows[0], rel=1e-3)
    predictions = [pd.read_csv(run / "predictions.csv") for run in (trained, folder)]
    assert predictions[1]["image"].is_unique
    assert list(predictions[1]["image"]) == list(predictions[0]["image"])
    points = [table[[f"{name}_{axis}" for name in NAMES for axis in "xy"]] for table in predictions]
    np.testing.assert_allclose(*points, atol=0.1)  # In original pixels; 0.02 was seen.
    assert set(predictions[1]["image"]) == set(json.loads((folder / "split.json").read_text())["test"])
