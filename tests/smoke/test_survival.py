"""A sweep that is killed at random moments and started again ends as one that nobody disturbed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch

from .conftest import ROOT, TINY

TIMES = {"ms_per_image", "train_seconds"}


@pytest.mark.slow
def test_twenty_kills_change_nothing(tmp_path):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), str(tmp_path)],
        capture_output=True, text=True, timeout=580, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    assert len(seen["hit"]) == 20
    assert sum("running" in states for states in seen["hit"]) >= 5
    assert any("goes on after epoch" in (tmp_path / f"{name}.log").read_text() for name in seen["folders"])
    for name in seen["folders"]:
        for number in "01":
            check_same_run(tmp_path / "undisturbed" / number, tmp_path / name / number)
        tables = [pd.read_csv(tmp_path / sweep / "report" / "comparison.csv") for sweep in ("undisturbed", name)]
        times = [column for column in tables[0] if "second" in column or column.startswith("ms")]
        pd.testing.assert_frame_equal(*(table.drop(columns=times) for table in tables), check_exact=True)


def check_same_run(whole, killed):
    assert row(whole) == row(killed)
    assert (whole / "predictions.csv").read_bytes() == (killed / "predictions.csv").read_bytes()
    histories = [pd.read_csv(run / "history.csv").drop(columns="seconds") for run in (whole, killed)]
    pd.testing.assert_frame_equal(*histories, check_exact=True)
    for name in ("best.ckpt", "last.ckpt"):
        one, other = (torch.load(run / "checkpoints" / name, weights_only=True) for run in (whole, killed))
        torch.testing.assert_close(one["state_dict"], other["state_dict"], rtol=0, atol=0, equal_nan=True)
    assert json.loads((killed / "job.json").read_text())["state"] == "done"
    assert [path.name for path in killed.rglob(".*-????????*")] == []


def row(run):
    """What a run says about itself, but for how long it took."""
    content = json.loads((run / "row.json").read_text())
    return {key: value for key, value in content.items() if key not in TIMES}


@pytest.fixture(scope="module")
def half_failed(experiment, tmp_path_factory):
    """A sweep whose second job cannot work, and its command."""
    folder = tmp_path_factory.mktemp("half") / "sweep"
    command = ("-m", *TINY, "data.fold=0,7", "logger=csv", f"hydra.sweep.dir={folder}")
    return folder, command, experiment(*command)


def test_a_failed_job_does_not_stop_the_others(half_failed):
    folder, _, done = half_failed
    assert done.code == 1
    assert "MISSING: single_hourglass-0-data.fold=7" in done.out
    assert "error.txt ends with" in done.out
    assert f"hydra.sweep.dir={folder}" in done.out.splitlines()[-1]
    assert "fold" in (folder / "1" / "error.txt").read_text()
    assert (folder / "0" / "row.json").is_file()
    assert not (folder / "1" / "row.json").exists()


def test_a_second_start_keeps_what_is_done_and_tries_again_what_failed(half_failed, experiment):
    folder, command, _ = half_failed
    kept = {name: (folder / "0" / name).stat().st_mtime_ns for name in ("row.json", "predictions.csv", "job.json")}
    again = experiment(*command)
    assert again.code == 1
    assert "1 done, 1 failed" in again.out
    assert "is done, its row is kept" in again.err
    note = json.loads((folder / "1" / "job.json").read_text())
    assert (note["state"], note["sittings"]) == ("failed", 2)
    assert "fold" in note["error"]
    other = experiment(*command, "trainer.max_epochs=1")
    assert other.code == 1
    assert "trainer.max_epochs was 2 and is 1" in other.err
    assert "Traceback" not in other.err
    assert {name: (folder / "0" / name).stat().st_mtime_ns for name in kept} == kept
