"""Sweeps whose jobs run in other processes and at the same time: on this machine, and on a Slurm of one node."""

import json
import os
import re
import signal
import time
from contextlib import contextmanager

import pandas as pd
import pytest

from fetal_lm.lock import holder
from fetal_lm.threads import cores

from .conftest import TINY
from .slurm import one_node_slurm, skip_without_slurm

SWEEP = ("-m", *TINY, "logger=csv")


def wait_for(condition, what, seconds=280):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.2)


@contextmanager
def started(process):
    """Ends the process where the test fails before it does."""
    try:
        yield process
    finally:
        kill(process)


def kill(process):
    """`kill -9` of the command alone, not of the jobs that it has started."""
    os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.stderr.close()
    process.wait()


def sittings(folder):
    return {int(note.parent.name): json.loads(note.read_text())["sittings"] for note in folder.glob("*/job.json")}


def table(folder):
    return pd.read_csv(folder / "report" / "comparison.csv")


def said_threads(folder):
    """The numbers of threads that jobs say they compute with."""
    return {
        int(number) for log in folder.glob("*/run.log") for number in re.findall(r"threads: (\d+)", log.read_text())
    }


@pytest.mark.slow
def test_joblib_shares_the_cores_and_goes_on_after_a_kill(start, experiment, tmp_path):
    folder = tmp_path / "sweep"
    command = (
        *SWEEP, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "data.fold=0,1,7", "trainer.max_epochs=6",
        f"hydra.sweep.dir={folder}",
    )  # fmt: skip
    # A shell that asks for more threads than a job's share.
    environment = {"OMP_NUM_THREADS": "64"}
    both = [folder / number for number in "01"]
    with started(start(*command, environment=environment)):
        wait_for(lambda: all((job / "checkpoints" / "last.ckpt").exists() for job in both), "checkpoint")
    wait_for(lambda: not any(map(holder, both)), "end of the workers", seconds=30)
    done = experiment(*command, environment=environment)
    assert done.code == 1
    assert "MISSING: single_hourglass-0-data.fold=7" in done.out
    assert table(folder)["folds"].tolist() == [2]
    assert all(sittings(folder)[number] == 2 for number in (0, 1))
    assert "goes on after epoch" in (folder / "0" / "run.log").read_text()
    assert said_threads(folder) == {max(1, cores() // 2)}
    # Bars of two jobs would overwrite each other.
    assert "━" not in done.out + done.err
    assert "epoch 6 of 6, val/mre_px" in done.err


@pytest.mark.slow
def test_jobs_of_submitit_outlive_their_command_and_are_waited_for(start, experiment, tmp_path):
    folder = tmp_path / "sweep"
    command = (*SWEEP, "hydra/launcher=submitit_local", "data.fold=0,7", f"hydra.sweep.dir={folder}")
    with started(start(*command)):
        wait_for(lambda: (folder / "0" / "config.yaml").exists(), "training")
    done = experiment(*command)
    assert done.code == 1
    assert "MISSING: single_hourglass-0-data.fold=7" in done.out
    assert table(folder)["folds"].tolist() == [1]
    assert sittings(folder)[0] == 1


@pytest.mark.slow
@pytest.mark.slurm
def test_a_slurm_of_one_node_runs_a_sweep_of_four_jobs(experiment, tmp_path):
    skip_without_slurm()
    folder = tmp_path / "sweep"
    (tmp_path / "slurm").mkdir()
    with one_node_slurm(tmp_path / "slurm", cpus=2) as environment:
        done = experiment(
            *SWEEP, "hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.mem_gb=1",
            "seed=0,1,2,3", f"hydra.sweep.dir={folder}", environment={**environment, "OMP_NUM_THREADS": "64"},
        )  # fmt: skip
    assert done.code == 0, done.err[-3000:]
    assert table(folder)["seeds"].tolist() == [4]
    assert f"fetal-lm report {folder}" in done.out
    assert sittings(folder) == {0: 1, 1: 1, 2: 1, 3: 1}
    assert said_threads(folder) == {1}
    # Slurm itself started them, not this process.
    assert len(list((folder / ".submitit").glob("*_?/*_?_0_log.out"))) == 4
