"""A run that goes on from its last checkpoint is, to the bit, the run that was never stopped."""

import shutil
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate

from fetal_lm.callbacks import AtomicCheckpoints
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.datamodule import LandmarkDataModule
from fetal_lm.data.splits import Split
from fetal_lm.train import build_model

CONF = Path(__file__).parents[2] / "conf"
SIZE_NET = (64, 96)
SOURCE = Phantom(seed=0, images=14)
SPLIT = Split(tuple(range(8)), (8, 9, 10), (11, 12, 13))


class CopyAfterTwoEpochs(pl.Callback):
    """What a kill in the third epoch leaves, in another folder."""

    def __init__(self, folder, copy):
        self.folder, self.copy = folder, copy

    def on_train_epoch_start(self, trainer, _):
        if trainer.current_epoch == 2:
            shutil.copytree(self.folder, self.copy)


def train(folder, cache_dir, *, options, workers, budget, copy=None):
    pl.seed_everything(0, verbose=False)
    overrides = [
        "model=single_hourglass", "model.network.depth=2", "model.network.channels=8", f"image_size={list(SIZE_NET)}",
        *options, f"callbacks.checkpoint.dirpath={folder}", f"callbacks.last_checkpoint.dirpath={folder}",
        f"callbacks.history.path={folder}/history.csv", "~callbacks.learning_rate",
    ]  # fmt: skip
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose("config", overrides)
    model = build_model(cfg)
    # No network here draws random numbers, but somebody's next one may.
    model.network.stem.register_forward_hook(lambda stem, _, maps: torch.dropout(maps, 0.2, stem.training))
    data = LandmarkDataModule(
        source=SOURCE, records=SOURCE.records(), split=SPLIT, augmentation=instantiate(cfg.augment, _convert_="all"),
        size_net=SIZE_NET, fit="squash", order="canonical", batch_size=4, workers=workers, cache_dir=cache_dir, seed=0,
    )  # fmt: skip
    callbacks = list(instantiate(cfg.callbacks, _convert_="all").values())
    trainer = pl.Trainer(
        accelerator="cpu", **budget, logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, callbacks=[*callbacks, *([CopyAfterTwoEpochs(folder, copy)] if copy else [])],
        plugins=[AtomicCheckpoints()],
    )  # fmt: skip
    last = folder / "last.ckpt"
    trainer.fit(model, datamodule=data, ckpt_path=last if last.exists() else None, weights_only=True)
    return {name: torch.load(folder / f"{name}.ckpt", weights_only=True) for name in ("best", "last")}


EPOCHS = {"max_epochs": 4}
# As many, validated at the end of every second one: the kill comes where a validation is due.
STEPS = {"max_epochs": -1, "max_steps": 8, "val_check_interval": 4, "check_val_every_n_epoch": None}

# Halved after every epoch that is no better, so that one missed step shows.
PLATEAU = ("optim=adam_plateau", "optim.schedule.patience=0", "optim.optimizer.lr=0.03")


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:Checkpoint directory .* is not empty")
@pytest.mark.parametrize(
    ("options", "workers", "budget"),
    [
        (PLATEAU, 0, EPOCHS),
        (("optim=adamw",), 1, EPOCHS),
        ((*PLATEAU, "callbacks=ema"), 0, EPOCHS),
        (("optim=adamw",), 0, STEPS),
    ],
    ids=["plateau", "loader process", "moving average", "a budget of steps"],
)
def test_the_same_weights_optimiser_schedule_and_best_checkpoint(tmp_path, options, workers, budget):
    arguments = {"cache_dir": tmp_path / "cache", "options": options, "workers": workers, "budget": budget}
    whole = train(tmp_path / "whole", copy=tmp_path / "moved", **arguments)
    assert torch.load(tmp_path / "moved" / "last.ckpt", weights_only=True)["epoch"] == 1
    resumed = train(tmp_path / "moved", **arguments)
    assert whole["last"]["epoch"] == resumed["last"]["epoch"] == 3
    for name, checkpoint in whole.items():
        assert checkpoint["lr_schedulers"] == resumed[name]["lr_schedulers"]
        # With a moving average its own state, and the weights that are trained on: `state_dict` is the average.
        parts = {"state_dict", "optimizer_states", *(checkpoint.keys() & {"current_model_state", "averaging_state"})}
        assert len(parts) == (4 if "callbacks=ema" in options else 2)
        for part in parts:
            torch.testing.assert_close(checkpoint[part], resumed[name][part], rtol=0, atol=0, equal_nan=True)
        best, best_resumed = (
            [state["best_model_score"] for key, state in one["callbacks"].items() if "val/mre_px" in key]
            for one in (checkpoint, resumed[name])
        )
        assert best == best_resumed
