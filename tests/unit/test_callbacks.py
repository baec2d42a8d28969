import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from fetal_lm import checkpoints, tracking
from fetal_lm.callbacks import AtomicCheckpoints, History, ModelCheckpoint, MovingAverage
from fetal_lm.errors import InputError


def test_the_best_so_far_is_known_though_the_folder_was_moved(tmp_path):
    options = {"filename": "best", "monitor": "val/mre_px", "mode": "min"}
    before, after = (ModelCheckpoint(dirpath=tmp_path / name, **options) for name in ("old", "new"))
    before.best_model_path = before.kth_best_model_path = str(tmp_path / "old" / "best.ckpt")
    before.best_model_score = before.kth_value = torch.tensor(3.0)
    before.best_k_models = {before.best_model_path: before.best_model_score}
    after.load_state_dict(before.state_dict())
    here = str(tmp_path / "new" / "best.ckpt")
    assert (after.best_model_path, after.kth_best_model_path, after.last_model_path) == (here, here, "")
    assert after.best_k_models == {here: 3.0}
    assert after.best_model_score == 3.0
    trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    assert not after.check_monitor_top_k(trainer, torch.tensor(4.0))


def test_its_state_has_lightnings_name(tmp_path):
    for options in ({"filename": "best", "monitor": "val/mre_px"}, {"filename": "last"}):
        ours, lightnings = (
            kind(dirpath=tmp_path, **options) for kind in (ModelCheckpoint, pl.callbacks.ModelCheckpoint)
        )
        assert ours.state_key == lightnings.state_key


def test_where_nothing_is_monitored_the_two_are_told_apart(tmp_path):
    both = [ModelCheckpoint(dirpath=tmp_path, filename=name) for name in ("best", "last")]
    pl.Trainer(accelerator="cpu", logger=False, callbacks=both)
    assert both[0].state_key != both[1].state_key


def test_a_checkpoint_never_lies_cut_short_under_its_name(tmp_path, monkeypatch):
    # Lightning's own writer goes through this folder; on another file system that is a copy.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    path = tmp_path / "checkpoints" / "last.ckpt"
    AtomicCheckpoints().save_checkpoint({"epoch": 0}, path)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="No space"):
        AtomicCheckpoints().save_checkpoint({"epoch": 1}, path)
    assert torch.load(path, weights_only=True) == {"epoch": 0}
    assert [entry.name for entry in path.parent.iterdir()] == ["last.ckpt"]


class Small(pl.LightningModule):
    """A layer and a batch normalisation; validates worse in every epoch but the second, whatever its weights are."""

    def __init__(self):
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.BatchNorm2d(2))
        self.trained, self.validated = [], []

    def training_step(self, batch, _):
        return (self.layers(batch) - batch[..., 1:-1, 1:-1]).square().mean()

    def validation_step(self, _batch, _):
        self.validated.append(copied(self))
        self.log("val/mre_px", 2.0 + abs(self.current_epoch - 1))

    def on_train_batch_end(self, *_):
        self.trained.append(copied(self))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.5)


def copied(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def by_hand(trained, *, decay):
    """The average after the last of some steps, by the rule as `MovingAverage` states it, in float64."""
    average = {name: value.double() for name, value in trained[0].items()}
    for k, weights in enumerate(trained[1:], start=2):
        kept = min(decay, k / (9 + k))
        average = {name: kept * value + (1 - kept) * weights[name].double() for name, value in average.items()}
    # What counts batches is no average.
    return {name: value if "num" not in name else trained[-1][name] for name, value in average.items()}


def assert_same(weights, expected):
    assert weights.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(weights[name].to(value.dtype), value, rtol=1e-5, atol=1e-6)


@pytest.fixture
def fitted(tmp_path):
    """A small model after three epochs of two steps, with best.ckpt and last.ckpt; see `by_hand` for the decay."""
    torch.manual_seed(0)
    model, images = Small(), torch.randn(3, 2, 1, 5, 7)
    here = {"dirpath": tmp_path, "enable_version_counter": False, "auto_insert_metric_name": False}
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=3, logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, plugins=[AtomicCheckpoints()],
        callbacks=[
            MovingAverage(decay=0.3),
            ModelCheckpoint(filename="best", monitor="val/mre_px", mode="min", **here),
            ModelCheckpoint(filename="last", save_on_train_epoch_end=True, **here),
        ],
    )  # fmt: skip
    trainer.fit(model, *(DataLoader(part, batch_size=None) for part in (images[:2], images[2:3])))
    return model


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*lower than")
def test_the_average_is_validated_saved_and_left_in_the_model(fitted, tmp_path):
    assert (len(fitted.trained), len(fitted.validated)) == (6, 3)
    for epoch, seen in enumerate(fitted.validated, start=1):
        assert_same(seen, by_hand(fitted.trained[: 2 * epoch], decay=0.3))
    assert_same(fitted.state_dict(), by_hand(fitted.trained, decay=0.3))
    best, last = (checkpoints.read(tmp_path / f"{name}.ckpt") for name in ("best", "last"))
    assert (best["global_step"], last["global_step"]) == (4, 6)
    assert_same(best["state_dict"], by_hand(fitted.trained[:4], decay=0.3))
    assert_same(last["state_dict"], by_hand(fitted.trained, decay=0.3))
    # A run that goes on needs the weights of the last step too, and these are far from the average.
    assert_same(last["current_model_state"], fitted.trained[-1])
    assert (last["state_dict"]["layers.0.weight"] - last["current_model_state"]["layers.0.weight"]).abs().max() > 0.01
    model = Small()
    checkpoints.load_weights(model, tmp_path / "best.ckpt")
    assert_same(model.state_dict(), fitted.validated[1])


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*lower than")
def test_an_average_neither_begins_nor_ends_where_a_run_goes_on(fitted, tmp_path):
    checkpoints.check_average(tmp_path / "last.ckpt", wanted=True)
    with pytest.raises(InputError, match=r"trained with a moving average of the weights; add callbacks=ema"):
        checkpoints.check_average(tmp_path / "last.ckpt", wanted=False)
    torch.save({"state_dict": fitted.state_dict()}, tmp_path / "plain.ckpt")
    checkpoints.check_average(tmp_path / "plain.ckpt", wanted=False)
    with pytest.raises(InputError, match=r"trained without a moving average of the weights; leave out callbacks=ema"):
        checkpoints.check_average(tmp_path / "plain.ckpt", wanted=True)


def select(folder, *values, monitor="val/mre_px"):
    """Trains a small model for as many epochs as there are values, which are what it validates."""

    class Validated(Small):
        def validation_step(self, _batch, _):
            self.log("val/mre_px", values[self.current_epoch])

    best = ModelCheckpoint(dirpath=folder, filename="best", monitor=monitor, mode="min", enable_version_counter=False)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=len(values), logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[best],
    )  # fmt: skip
    images = DataLoader(torch.zeros(1, 2, 1, 5, 7), batch_size=None)
    trainer.fit(Validated(), images, images)
    return checkpoints.read(folder / "best.ckpt")["epoch"]


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*lower than")
def test_what_selects_is_a_metric_that_was_a_number_once(tmp_path):
    assert select(tmp_path / "early", math.nan, 3.0, math.nan, 2.0, 4.0) == 3
    assert select(tmp_path / "last", 2.0, 3.0, 4.0, monitor=None) == 2
    with pytest.raises(InputError, match=r"monitor=val/typo: the validation has no such metric.*one of val/mre_px$"):
        select(tmp_path / "typo", 1.0, monitor="val/typo")
    with pytest.raises(InputError, match=r"monitor=val/mre_px: was a number after no epoch"):
        select(tmp_path / "never", math.nan, math.nan)


@pytest.mark.parametrize("decay", [-0.1, 1.0, 5.0])
def test_a_decay_that_is_no_share_is_refused(decay):
    with pytest.raises(ValueError, match=r"callbacks\.ema\.decay: expected a share"):
        MovingAverage(decay=decay)


class Recorded(pl.loggers.CSVLogger):
    """What a logger of one sitting is told, as (step, figures)."""

    def __init__(self, folder):
        super().__init__(folder)
        self.told = []

    def log_metrics(self, metrics, step=None):
        self.told.append((step, dict(metrics)))

    def save(self):
        pass

    @property
    def by_step(self):
        """Lightning tells figures of training and of validation one after the other."""
        steps = {}
        for step, metrics in self.told:
            steps.setdefault(step, {}).update(metrics)
        return steps


def sit(folder, *, epochs, logger):
    """Trains a small model of four steps an epoch up to an epoch, from where an earlier sitting here ended."""

    class Logged(Small):
        def training_step(self, batch, _):
            loss = super().training_step(batch, _)
            self.log("train/loss", loss, on_step=False, on_epoch=True)
            return loss

    torch.manual_seed(0)
    last = folder / "last.ckpt"
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=logger, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, log_every_n_steps=1, default_root_dir=folder,
        callbacks=[
            History(folder / "history.csv"),
            ModelCheckpoint(
                dirpath=folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
            ),
        ],
    )  # fmt: skip
    images = torch.randn(5, 2, 1, 5, 7)
    parts = (DataLoader(part, batch_size=None) for part in (images[:4], images[4:]))
    trainer.fit(Logged(), *parts, ckpt_path=last if last.is_file() else None, weights_only=True)


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:Checkpoint directory")
def test_the_logger_of_a_run_that_goes_on_is_told_what_one_of_an_undisturbed_run_is(tmp_path):
    whole = Recorded(tmp_path)
    sit(tmp_path / "whole", epochs=4, logger=whole)
    assert list(whole.by_step) == [3, 7, 11, 15]
    assert {frozenset(figures) for figures in whole.by_step.values()} == {
        frozenset({"epoch", "train/loss", "val/mre_px"})
    }
    # Begun, then killed after epochs 1 and 3, at last after all of them: there it has nothing left to train.
    for epochs in (1, 3, 4, 4):
        told = Recorded(tmp_path)
        sit(tmp_path / "killed", epochs=epochs, logger=told)
        expected = {step: whole.by_step[step] for step in list(whole.by_step)[:epochs]}
        assert list(told.by_step) == list(expected), "in the order of the epochs"
        for step, figures in expected.items():
            assert told.by_step[step] == pytest.approx(figures, rel=1e-6), step
    history = pd.read_csv(tmp_path / "killed" / "history.csv")
    assert history["epoch"].tolist() == [0, 1, 2, 3]


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:Checkpoint directory")
def test_a_logger_is_not_told_what_was_no_number_or_comes_again(tmp_path):
    sit(tmp_path, epochs=2, logger=False)
    history = pd.read_csv(tmp_path / "history.csv")
    history.loc[0, "val/mre_px"] = math.nan
    # An epoch whose checkpoint was never written: the run goes on before it.
    history.loc[2] = {**history.loc[1], "epoch": 2, "val/mre_px": -9.0}
    history.to_csv(tmp_path / "history.csv", index=False)
    told = Recorded(tmp_path)
    sit(tmp_path, epochs=3, logger=told)
    assert "val/mre_px" not in told.by_step[3]
    assert told.by_step[11]["val/mre_px"] == 3.0


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:Checkpoint directory")
def test_the_wandb_run_of_a_training_that_goes_on_has_all_curves_and_the_best_of_all(tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    sit(tmp_path, epochs=2, logger=False)
    logger = tracking.wandb_logger(
        project="p", run_folder=tmp_path, name="n", group="g", model="m", config={}, overlays=0, models=False,
        init_timeout_s=60.0, finish_timeout_s=60.0,
    )  # fmt: skip
    sit(tmp_path, epochs=4, logger=logger)
    tracking.finish(logger, exit_code=0)
    (run,) = (tmp_path / "wandb").glob("offline-run-*")
    wandb = str(Path(sys.executable).with_name("wandb"))
    done = subprocess.run([wandb, "leet", "inspect", "--json", str(run)], capture_output=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
    summary = {}
    for record in records:
        if record["type"] == "summary":
            summary |= record["summary"]["update"]
    # The best is of epoch 1; that of this sitting is 3.
    assert summary["val/mre_px"]["min"] == 2.0
    logged = [record["history"]["item"] for record in records if record["type"] == "history"]
    for name in ("val/mre_px", "train/loss"):
        curve = [(item["epoch"], item["trainer/global_step"]) for item in logged if name in item]
        assert curve == [(0, 3), (1, 7), (2, 11), (3, 15)], name
    assert [item["val/mre_px"] for item in logged if "val/mre_px" in item] == [3.0, 2.0, 3.0, 4.0]
