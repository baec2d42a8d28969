"""What a user sees who gets something wrong: one clear message, an exit code, nothing half-written."""

import json
import shutil
import signal
import time

import pytest

from fetal_lm import checkpoints

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
        (["data.source.images=0"], ["images", "0"]),
        (["ckpt_path=last"], ["last.ckpt", "hydra.run.dir"]),
        (["data.fit=crop"], ["crop", "letterbox"]),
        (["data.order=random"], ["random", "canonical"]),
        (["test_flips=no"], ["test_flips", "true or false", "'no'"]),
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


def test_a_refused_resume_leaves_the_folders_result_alone(experiment, finished, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    kept = {name: (folder / name).read_bytes() for name in ("row.json", "config.yaml", "split.json")}
    done = experiment(*TINY, "data.fold=1", "logger=csv", f"hydra.run.dir={folder}", "ckpt_path=last")
    assert done.code != 0
    assert "another split" in done.err
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
