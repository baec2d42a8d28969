"""A training that takes no time: a job's folder as the real one would leave it."""

import optuna
import pandas as pd
import pytest

from fetal_lm.job import Pruned, sitting
from fetal_lm.lock import locked
from fetal_lm.report.search import JOURNAL
from fetal_lm.search.study import NAME, storage

EPOCHS = 4


class Killed(BaseException):
    """Ends the process where it stands, as `kill -9` would."""


def options(overrides):
    return dict(override.lstrip("+").split("=", 1) for override in overrides)


def objective(overrides):
    """The lowest value is 1, at lr = 0.01 and any width."""
    chosen = options(overrides)
    return 1.0 + abs(float(chosen["optim.optimizer.lr"]) - 0.01) * 100 + int(chosen["model.network.channels"]) * 1e-6


class FakeTraining:
    """Trains at a place; what happens there may be told beforehand.

    Args:
        folder: of the search.
    """

    def __init__(self, folder):
        self.folder = folder
        self.happens = {}
        self.reports = False
        self.config = "epochs: 16\n"
        self.launched = []

    def __call__(self, jobs):
        self.launched.append([options(job)["hydra.sweep.subdir"] for job in jobs])
        for job in jobs:
            self.train(int(options(job)["hydra.sweep.subdir"]), job)

    def train(self, place, job):
        happens = self.happens.pop(place, "done")
        folder = self.folder / str(place)
        value = objective(job)
        with locked(folder, what="the job", advice=""):
            if happens == "killed before it noted anything":
                raise Killed
            if self.config:
                (folder / "config.yaml").write_text(self.config)
            values = [value + epoch for epoch in reversed(range(EPOCHS))]
            shown = values if happens in ("done", "killed after its end") else values[:2]
            if happens == "nothing finite":
                shown = [float("nan")]
            if self.reports:
                self.report(int(options(job)["search.trial"]), shown)
            try:
                with sitting(folder, config_hash="0"):
                    pd.DataFrame({"epoch": range(len(shown)), "val/mre_px": shown}).to_csv(
                        folder / "history.csv", index=False
                    )
                    if happens == "pruned":
                        raise Pruned("behind the others")
                    if happens == "failed":
                        raise ZeroDivisionError("no width")
                    if happens == "killed":
                        raise Killed
                    (folder / "row.json").write_text("{}")
                    if happens == "killed after its end":
                        raise Killed
            except ZeroDivisionError:
                (folder / "error.txt").write_text("no width\n")

    def report(self, number, values):
        study = optuna.load_study(study_name=NAME, storage=storage(self.folder / JOURNAL))
        trial = optuna.trial.Trial(study, study.get_trials()[number]._trial_id)
        for step, value in enumerate(values):
            if step not in study.get_trials()[number].intermediate_values:
                trial.report(value, step)


@pytest.fixture
def training(tmp_path):
    return FakeTraining(tmp_path / "search")
