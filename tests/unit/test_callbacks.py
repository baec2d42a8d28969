import tempfile

import pytest
import pytorch_lightning as pl
import torch

from fetal_lm.callbacks import AtomicCheckpoints, ModelCheckpoint


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
    options = {"dirpath": tmp_path, "monitor": "val/mre_px"}
    assert ModelCheckpoint(**options).state_key == pl.callbacks.ModelCheckpoint(**options).state_key


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
