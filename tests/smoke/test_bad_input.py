"""What a user sees who gets something wrong: one clear message, an exit code, nothing half-written."""

import json
import shutil
import signal
import time

import pytest
import torch

from fetal_lm import checkpoints
from fetal_lm.lock import locked

from .conftest import TINY
from .test_sweep import inspect


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["data=hc18"], ["data.root is not set", "data.root=..."]),
        (["data=hc18", "data.root=nowhere"], ["nowhere", "training_set"]),
        (["model=unet"], ["unet", "single_hourglass", "stacked_hourglass"]),
        (["codec.decoder=peak"], ["peak", "dark"]),
        (["data.fold=7"], ["fold", "7"]),
        (["split=source"], ["30 of 30 are in none", "split=examination"]),
        (["image_size=[100,64]"], ["100", "multiples of 64"]),
        (["image_size=64"], ["image_size", "[256,256]", "got 64"]),
        (["data.source.images=0"], ["images", "0"]),
        (["ckpt_path=last"], ["last.ckpt", "hydra.run.dir"]),
        (["data.fit=crop"], ["crop", "letterbox"]),
        (["data.order=random"], ["random", "canonical"]),
        (["monitor=val/typo"], ["monitor=val/typo", "one of val/bpd_mae_mm", "val/mre_px"]),
        (["test_flips=no"], ["test_flips", "true, false, half_turn or when_unsure", "'no'"]),
        (
            ["optim=adam_plateau", "+trainer.check_val_every_n_epoch=null"],
            ["optim=adam_plateau", "at the end of each epoch"],
        ),
        (["optim=adam_plateau", "monitor=null"], ["optim=adam_plateau watches the monitor, but monitor=null"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_one_clear_message(experiment, tmp_path, overrides, expected):
    tiny = [override for override in TINY if override.split("=")[0] not in {o.split("=")[0] for o in overrides}]
    if "data=hc18" in overrides:
        tiny.remove("data.source.images=30")
    done = experiment(*tiny, *overrides, "logger=csv", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.code != 0
    assert "Traceback" not in done.err
    for word in expected:
        assert word in done.err, done.err
    assert not (tmp_path / "run" / "row.json").exists()


@pytest.fixture(scope="module")
def finished(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    done = experiment(*TINY, "logger=csv", f"hydra.run.dir={folder}")
    assert done.code == 0, done.err[-3000:]
    return folder


def test_a_folder_that_another_training_uses_is_refused(experiment, tmp_path):
    with locked(tmp_path / "run", what="the run", advice="wait"):
        done = experiment(*TINY, "logger=csv", f"hydra.run.dir={tmp_path / 'run'}")
    assert done.code != 0
    assert "the run is in use by process" in done.err
    assert not (tmp_path / "run" / "split.json").exists()


def test_a_run_goes_on_from_its_last_checkpoint(experiment, finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    # The schedule of the optimiser is as long as the run, so that only a constant one can be made longer.
    longer = ("optim=adam_plateau", "trainer.max_epochs=2")
    assert experiment(*TINY, *longer, "logger=csv", f"hydra.run.dir={folder}").code == 0
    before = (folder / "history.csv").read_text().splitlines()
    # The last, whether or not it was the best: in this run it is not.
    last, best = (checkpoints.read(folder / "checkpoints" / f"{name}.ckpt") for name in ("last", "best"))
    assert (last["global_step"], best["global_step"]) == (4, 2)
    done = experiment(
        *TINY, *longer[:1], "trainer.max_epochs=4", "logger=csv", f"hydra.run.dir={folder}", "ckpt_path=last"
    )
    assert done.code == 0, done.err[-3000:]
    after = (folder / "history.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in after] == ["epoch", "0", "1", "2", "3"]
    assert after[1:3] == before[1:3]
    seconds = [float(line.split(",")[1]) for line in after[1:]]
    assert seconds == sorted(seconds)
    assert json.loads((folder / "row.json").read_text())["train_seconds"] == pytest.approx(seconds[-1])
    assert (folder / "split.json").read_text() == (finished / "split.json").read_text()


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["model=stacked_hourglass"], ["single_hourglass", "stacked_hourglass"]),
        (["data.fold=1"], ["another split"]),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(experiment, finished, tmp_path, overrides, expected):
    checkpoint = finished / "checkpoints" / "last.ckpt"
    done = experiment(*TINY, *overrides, "logger=csv", f"hydra.run.dir={tmp_path / 'run'}", f"ckpt_path={checkpoint}")
    assert done.code != 0
    assert "Traceback" not in done.err
    for word in expected:
        assert word in done.err


def test_a_run_goes_on_from_the_checkpoint_of_another_folder_with_its_best_and_its_history(
    experiment, finished, tmp_path
):
    folder, options = tmp_path / "run", ("optim=adam_plateau", "logger=csv")
    assert experiment(*TINY, *options, "trainer.max_epochs=2", f"hydra.run.dir={folder}").code == 0
    # No epoch is better than a best score of 0.
    last = folder / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    (state,) = (state for key, state in content["callbacks"].items() if "val/mre_px" in key)
    zero = torch.tensor(0.0)
    state |= {"best_model_score": zero, "kth_value": zero}
    state["best_k_models"] = dict.fromkeys(state["best_k_models"], zero)
    torch.save(content, last)
    other = tmp_path / "other"
    going_on = (*TINY, *options, "trainer.max_epochs=3", f"ckpt_path={last}")
    done = experiment(*going_on, f"hydra.run.dir={other}")
    assert done.code == 0, done.err[-3000:]
    assert (other / "checkpoints" / "best.ckpt").read_bytes() == (folder / "checkpoints" / "best.ckpt").read_bytes()
    assert len((other / "history.csv").read_text().splitlines()) == 4
    changed = experiment(*going_on, "optim.optimizer.lr=1e-9", f"hydra.run.dir={tmp_path / 'third'}")
    assert changed.code != 0
    assert "optim.optimizer.lr was" in changed.err
    (folder / "checkpoints" / "best.ckpt").unlink()
    alone = experiment(*going_on, f"hydra.run.dir={other}")
    assert alone.code != 0
    assert "best.ckpt: is missing" in alone.err
    assert (other / "row.json").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.fold=1", "another split"),
        # A schedule that is as long as the run is not made longer on the way.
        ("trainer.max_epochs=4", "trainer.max_epochs was"),
    ],
)
def test_a_refused_resume_leaves_the_folders_result_alone(experiment, finished, tmp_path, override, message):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    kept = {name: (folder / name).read_bytes() for name in ("row.json", "config.yaml", "split.json")}
    done = experiment(*TINY, override, "logger=csv", f"hydra.run.dir={folder}", "ckpt_path=last")
    assert done.code != 0
    assert message in done.err
    assert {name: (folder / name).read_bytes() for name in kept} == kept


def test_a_file_that_is_no_checkpoint_is_refused(experiment, tmp_path):
    path = tmp_path / "not.ckpt"
    path.write_bytes(b"not a checkpoint")
    done = experiment(*TINY, "logger=csv", f"hydra.run.dir={tmp_path / 'run'}", f"ckpt_path={path}")
    assert done.code != 0
    assert "Traceback" not in done.err
    assert "not.ckpt" in done.err


def test_a_full_disk_is_said_and_leaves_no_half_written_result(experiment, tmp_path):
    # A limit on the size of files stands for the disk: no file may grow beyond 100 KiB.
    limit = ("bash", "-c", 'ulimit -f 100; exec "$@"', "bash")
    done = experiment(*TINY, "data.cache=false", "logger=csv", f"hydra.run.dir={tmp_path / 'run'}", prefix=limit)
    assert done.code != 0
    assert "Traceback" not in done.err
    assert "File too large" in done.err
    assert str(tmp_path / "run") in done.err
    assert not (tmp_path / "run" / "row.json").exists()


def test_ctrl_c_keeps_the_last_checkpoint_and_closes_the_tracked_run(start, tmp_path):
    folder = tmp_path / "run"
    with start(*TINY, "trainer.max_epochs=1000", f"hydra.run.dir={folder}") as process:
        deadline = time.monotonic() + 300
        while not (folder / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "ckpt_path=last" in (folder / "run.log").read_text()
    assert not (folder / "row.json").exists()
    (run,) = folder.glob("wandb/offline-run-*")
    assert [record["exit"]["exit_code"] for record in inspect(run) if record["type"] == "exit"] == [130]
