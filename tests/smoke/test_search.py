"""A search, whole: killed in a trial, gone on with, with one that fails and one that is pruned."""

import json
import signal
import time

import optuna
import pandas as pd
import pytest
from optuna.storages.journal import JournalFileBackend

from .conftest import TINY

SEARCH = (
    "experiment=search", *TINY, "trainer.max_epochs=6", "logger=csv", "model.network.channels=8", "codec.sigma_px=3",
    "codec.decoder=choice(dark,guess)", "seed=3",
)  # fmt: skip
"""Trials that are told to guess fail: with this seed the second, and none of the other three."""


def until(condition, *, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def jobs(folder):
    return json.loads((folder / "sweep.json").read_text())["jobs"]


def sittings(folder, place):
    return json.loads((folder / str(place) / "job.json").read_text())["sittings"]


@pytest.fixture(scope="module")
def gone_on(start, experiment, tmp_path_factory):
    """A search that was killed in its first trial and started again, its command, and that second start."""
    folder = tmp_path_factory.mktemp("search") / "search"
    command = (*SEARCH, f"hydra.sweep.dir={folder}")
    with start(*command, "search.trials=3") as process:
        until((folder / "0" / "checkpoints" / "last.ckpt").exists)
        process.send_signal(signal.SIGKILL)
    return folder, command, experiment(*command, "search.trials=3")


def test_a_killed_trial_goes_on_and_a_failed_one_stops_nothing(gone_on):
    folder, _, done = gone_on
    assert done.code == 1, done.err[-3000:]
    assert "1 trials were started before, 3 are left" in done.out
    assert "trial 0 was left killed" in done.out
    assert "goes on after epoch" in done.err
    assert [job["state"] for job in jobs(folder)] == ["done", "failed", "done"]
    assert [sittings(folder, place) for place in range(3)] == [2, 1, 1]
    assert list(pd.read_csv(folder / "0" / "history.csv")["epoch"]) == list(range(6))
    study = optuna.load_study(
        study_name="search", storage=optuna.storages.JournalStorage(JournalFileBackend(str(folder / "study.journal")))
    )
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "FAIL", "COMPLETE"]
    for trial in (study.trials[1], study.trials[3]):
        assert list(trial.intermediate_values) == list(range(6))
        history = pd.read_csv(folder / str(trial.user_attrs["place"]) / "history.csv")
        assert trial.value == history["val/mre_px"].min()


def test_the_report_has_the_best_by_validation_and_names_what_failed(gone_on):
    folder, _, done = gone_on
    trials = pd.read_csv(folder / "report" / "trials.csv")
    best = trials.loc[trials["val/mre_px"].where(trials["state"] == "done").idxmin()]
    assert f"Best by val/mre_px: trial {best['trial']}" in done.out
    assert f"optim.optimizer.lr={best['optim.optimizer.lr']}" in done.out
    table = pd.read_csv(folder / "report" / "comparison.csv")
    row = json.loads((folder / str(best["trial"]) / "row.json").read_text())
    assert list(table["mean_px"]) == [pytest.approx(row["metrics"]["heatmap"]["mean_px"])]
    assert (folder / "report" / "search.png").stat().st_size > 10_000
    assert "MISSING: trial-1" in done.out
    assert "guess" in (folder / "1" / "error.txt").read_text()


def test_a_pruned_trial_is_no_error_and_never_tested(gone_on, experiment):
    folder, command, _ = gone_on
    kept = {place: (folder / place / "row.json").stat().st_mtime_ns for place in "02"}
    pruner = "callbacks.pruning.pruner"
    pruned = experiment(
        *command, "search.trials=4", f"{pruner}._target_=optuna.pruners.ThresholdPruner", f"+{pruner}.upper=0",
        f"~{pruner}.n_startup_trials",
    )  # fmt: skip
    assert [job["state"] for job in jobs(folder)] == ["done", "failed", "done", "pruned"]
    assert pruned.out.count("MISSING") == 1
    left = {path.name for path in (folder / "3").iterdir()}
    assert "history.csv" in left
    assert not left & {"row.json", "predictions.csv", "error.txt"}
    assert len(pd.read_csv(folder / "3" / "history.csv")) == 3
    assert {place: (folder / place / "row.json").stat().st_mtime_ns for place in "02"} == kept
