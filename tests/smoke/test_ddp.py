"""Two processes on the CPU: one row, every test image once."""

import json

import pandas as pd

from .conftest import TINY


def test_two_processes_leave_one_complete_row(experiment, tmp_path):
    folder = tmp_path / "run"
    tiny = [override for override in TINY if override != "trainer=smoke"]
    done = experiment(
        *tiny,
        "trainer=ddp",
        "trainer.accelerator=cpu",
        "trainer.devices=2",
        "trainer.precision=32-true",
        "trainer.max_epochs=1",
        "data.batch_size=4",
        "logger=csv",
        f"hydra.run.dir={folder}",
    )
    assert done.code == 0, done.err[-3000:]
    predictions = pd.read_csv(folder / "predictions.csv")
    tested = json.loads((folder / "split.json").read_text())
    assert predictions["image"].is_unique
    assert len(predictions) == json.loads((folder / "row.json").read_text())["metrics"]["heatmap"]["images"]
    assert tested
    assert len(pd.read_csv(folder / "history.csv")) == 1
