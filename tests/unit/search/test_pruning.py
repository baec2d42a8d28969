"""The callback against a real study: what it reports, and when it stops a training."""

import optuna
import pytest
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader

from fetal_lm.job import Pruned
from fetal_lm.search.pruning import Pruning
from fetal_lm.search.study import NAME, storage

VALUES = (9.0, 8.0, 7.0, 6.0)


class Told(pl.LightningModule):
    """One weight that learns nothing; the metric of each epoch is told beforehand."""

    def __init__(self, values):
        super().__init__()
        self.values = values
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, _):
        return (self.weight * batch.sum()).sum()

    def validation_step(self, *_):
        self.log("val/mre_px", self.values[self.current_epoch])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.0)


@pytest.fixture
def study(tmp_path):
    """A study with two trials that trained to their end, and one that runs."""
    made = optuna.create_study(storage=storage(tmp_path / "study.journal"), study_name=NAME)
    for shift in (0.0, 1.0):
        trial = made.ask()
        for step, value in enumerate(VALUES):
            trial.report(value + shift, step)
        made.tell(trial, VALUES[-1] + shift)
    made.ask()
    return made


def fit(tmp_path, values, *, trial=2, warmup=0.5, ckpt=None, epochs=4):
    pruning = Pruning(
        journal=tmp_path / "study.journal", trial=trial, monitor="val/mre_px", warmup=warmup,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=2),
    )  # fmt: skip
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, logger=False, enable_progress_bar=False, enable_model_summary=False,
        num_sanity_val_steps=0, enable_checkpointing=False, callbacks=[pruning], default_root_dir=tmp_path,
    )  # fmt: skip
    loader = DataLoader(torch.ones(2, 1))
    trainer.fit(Told(values), loader, loader, ckpt_path=ckpt)
    return trainer


pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


def reported(study, number=2):
    return study.get_trials(deepcopy=False)[number].intermediate_values


def test_a_good_trial_trains_to_its_end(study, tmp_path):
    assert fit(tmp_path, [10.0, 8.0, 7.0, 5.0]).current_epoch == 4
    assert reported(study) == {0: 10.0, 1: 8.0, 2: 7.0, 3: 5.0}


def test_a_bad_one_is_stopped_after_the_warmup(study, tmp_path):
    with pytest.raises(Pruned, match=r"val/mre_px 20\.00 after epoch 1 is behind"):
        fit(tmp_path, [20.0, 20.0, 1.0, 1.0])
    assert reported(study) == {0: 20.0, 1: 20.0}
    with pytest.raises(Pruned, match="after epoch 0"):
        fit(tmp_path, [30.0] * 4, warmup=0.0)


def test_its_last_epoch_is_never_pruned(study, tmp_path):
    assert fit(tmp_path, [20.0] * 4, warmup=1.0).current_epoch == 4


def test_what_is_not_finite_is_not_reported(study, tmp_path):
    fit(tmp_path, [float("nan"), 8.0, 7.0, 5.0])
    assert list(reported(study)) == [1, 2, 3]


def test_an_epoch_that_was_reported_before_a_kill_is_kept(study, tmp_path):
    running = optuna.trial.Trial(study, study.get_trials()[2]._trial_id)
    running.report(9.5, 0)
    fit(tmp_path, [10.0, 8.0, 7.0, 5.0])
    assert reported(study) == {0: 9.5, 1: 8.0, 2: 7.0, 3: 5.0}


def test_a_run_that_is_no_trial_reports_nothing(study, tmp_path):
    before = (tmp_path / "study.journal").read_bytes()
    assert fit(tmp_path, [50.0] * 4, trial=None).current_epoch == 4
    assert (tmp_path / "study.journal").read_bytes() == before


def test_the_warmup_is_a_share():
    with pytest.raises(ValueError, match=r"warmup: expected a share from 0 to 1, got 1\.5"):
        Pruning(journal="study.journal", trial=0, monitor="val/mre_px", warmup=1.5, pruner=None)
