"""A run that begins with another run's weights."""

import json

import pytest
import yaml

from fetal_lm import checkpoints

from .conftest import TINY


@pytest.mark.slow
def test_a_run_begins_with_anothers_weights_unless_they_know_its_heads(experiment, trained, tmp_path):
    first, run = trained / "checkpoints" / "best.ckpt", tmp_path / "run"
    # Without a learning rate they are also what it ends with.
    command = (
        *TINY, "optim=adam_plateau", "optim.optimizer.lr=0.0", "trainer.max_epochs=1", "logger=csv",
        f"init_from={first}", f"hydra.run.dir={run}",
    )  # fmt: skip
    refused = experiment(*command)
    assert refused.code != 0
    assert "Traceback" not in refused.err
    assert "that this run selects on show an examination that these weights were trained or selected on" in refused.err
    assert not (run / "split.json").exists()
    done = experiment(*command, "data.source.seed=5")
    assert done.code == 0, done.err[-3000:]
    assert f"begins with the weights of {first}" in done.err
    before, after = (checkpoints.read(path)["state_dict"] for path in (first, run / "checkpoints" / "best.ckpt"))
    trained_weights = [name for name in before if "running" not in name and "num_batches" not in name]
    assert len(trained_weights) > 50
    assert all(before[name].equal(after[name]) for name in trained_weights)
    assert yaml.safe_load((run / "config.yaml").read_text())["init_from"] == str(first)
    theirs, ours = (json.loads((folder / "split.json").read_text()) for folder in (trained, run))
    assert ours["before"][0]["images"] == {**theirs["train"], **theirs["val"]}
    assert "before" not in theirs
