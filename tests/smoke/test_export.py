"""`fetal-lm export` of a finished run, and what measures with its file."""

import csv
import os
import shutil
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fetal_lm import Predictor, checkpoints
from fetal_lm.cli.app import app
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.errors import InputError
from fetal_lm.export import command, parity
from fetal_lm.export.parity import TOLERANCE_PX
from fetal_lm.predict.onnx_engine import open_exported
from fetal_lm.trained import load_run

from .conftest import ROOT, TINY

pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
pytest.importorskip("onnxscript", reason="onnxscript is not installed")

COMMAND = "import sys; from fetal_lm.cli.app import app; code = app(sys.argv[1:], standalone_mode=False); "
EXIT = "sys.exit(code)"
OTHER = (
    "model=stacked_hourglass", "loss=mse", "codec.joint=false", "codec.decoder=local_soft_argmax",
    "data.fit=letterbox",
)  # fmt: skip


def fetal_lm(*arguments, code=COMMAND + EXIT):
    """The command in a process of its own, as torch's tracing does not like to be watched by the tests' type checks."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=False,
    )


@pytest.fixture(scope="module")
def exported(trained, tmp_path_factory):
    """The run's file, and what the command printed."""
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    done = fetal_lm("export", trained, "--output", path)
    assert done.returncode == 0, done.stderr
    assert f"wrote {path}: " in done.stdout
    assert "px of torch" in done.stdout
    return path


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """Four phantom heads as files, of several sizes."""
    folder, source = tmp_path_factory.mktemp("heads"), Phantom(seed=3, images=4)
    for record, size in zip(source.records(), ((800, 540), (640, 480), (90, 70), (60, 50)), strict=True):
        assert cv2.imwrite(str(folder / record.image), cv2.resize(source.read(record), size))
    return folder


def rows_of(folder):
    with (folder / "measurements.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_file_finds_what_torch_finds(trained, exported):
    found = parity.parity(load_run(trained), open_exported(exported), images=200)
    assert found.points_px <= TOLERANCE_PX
    assert found.good
    assert np.isnan(found.bfloat16_px)


def test_weights_in_half_precision_make_a_file_of_half_the_size_which_finds_the_same(trained, exported, tmp_path):
    packed, path = tmp_path / "packed", tmp_path / "half.onnx"
    done = CliRunner().invoke(app, ["package", str(trained), "--output", str(packed), "--half"])
    assert done.exit_code == 0, done.output
    full, half = (
        checkpoints.read(place)["state_dict"] for place in (trained / checkpoints.BEST, packed / checkpoints.PACKED)
    )
    rounded = {name for name, value in half.items() if value.dtype == torch.float16}
    weights = sum(value.numel() for value in full.values() if value.is_floating_point())
    assert sum(full[name].numel() for name in rounded) >= checkpoints.HALVED * weights
    assert all(half[name].equal(value) for name, value in full.items() if name not in rounded)
    assert load_run(packed).model.network.heads[0].weight.dtype == torch.float32
    # Which compares the file with torch on the same weights.
    finished = fetal_lm("export", packed, "--output", path)
    assert finished.returncode == 0, finished.stderr + finished.stdout
    saved = 2 * sum(value.numel() for value in full.values() if value.ndim > 1)
    assert exported.stat().st_size - path.stat().st_size > 0.6 * saved


def test_the_file_does_not_tell_where_it_was_made(exported):
    content = exported.read_bytes()
    for place in (str(ROOT), "site-packages", str(exported.parent)):
        assert place.encode() not in content


def test_other_weights_are_told_apart_and_not_written(trained, exported, tmp_path, monkeypatch):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    for name, weight in checkpoint["state_dict"].items():
        if name.endswith("heads.0.weight"):
            weight += 0.05 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    torch.save(checkpoint, run / "checkpoints" / "best.ckpt")
    monkeypatch.setattr(command, "onnx_bytes", lambda *_: exported.read_bytes())
    refused = CliRunner().invoke(app, ["export", str(run), "--output", str(tmp_path / "other.onnx")])
    assert refused.exit_code == 1, refused.output
    assert "NOT written: on 12 images its points are up to" in refused.output
    assert not (tmp_path / "other.onnx").exists()


def test_a_run_with_other_options_is_exported_too(experiment, tmp_path):
    tiny = [override for override in TINY if not override.startswith("image_size")]
    run, path = tmp_path / "run", tmp_path / "other.onnx"
    done = experiment(*tiny, *OTHER, "image_size=[64,128]", "logger=csv", f"hydra.run.dir={run}")
    assert done.code == 0, done.err
    before, chosen = load_run(run), run / "checkpoints" / "best.ckpt"
    # A network that always shows something, but never the first end of the BPD.
    checkpoint = torch.load(chosen, weights_only=True)
    weights = checkpoint["state_dict"]
    weights["network.heads.1.weight"][2] = 0.0
    weights["network.heads.1.bias"][:] = torch.tensor([1.0, 1.0, -1.0, 1.0])
    torch.save(checkpoint, chosen)
    finished = fetal_lm("export", chosen, "--output", path, "--no-flips")
    assert finished.returncode == 0, finished.stderr + finished.stdout
    assert b"image alone, local_soft_argmax, map by map" in path.read_bytes()
    engine = open_exported(path)
    images = np.random.default_rng(0).integers(0, 256, (2, 100, 130), dtype=np.uint8)
    found = engine.find(images)
    assert np.isnan(found.points).all(-1).tolist() == [[False, False, True, False]] * 2
    assert np.isnan(found.confidence).tolist() == [[False, False, True, False]] * 2
    assert np.isinf(parity.parity(before, engine, images=1).points_px)
    turned = fetal_lm("export", chosen, "--output", tmp_path / "turned.onnx", "--when-unsure")
    assert turned.returncode == 0, turned.stderr + turned.stdout
    assert (
        b"image and, where that leaves doubts, half a turn of it, local_soft_argmax"
        in (tmp_path / "turned.onnx").read_bytes()
    )
    assert not np.allclose(open_exported(tmp_path / "turned.onnx").find(images).points, found.points, equal_nan=True)


def test_a_batch_gives_what_each_of_its_images_gives(exported):
    engine = open_exported(exported)
    images = np.random.default_rng(0).integers(0, 256, (3, 100, 130), dtype=np.uint8)
    together = engine.find(images)
    assert together.points.shape == (3, 4, 2)
    for number in range(3):
        alone = engine.find(images[number : number + 1])
        np.testing.assert_allclose(together.points[number], alone.points[0], atol=1e-3)
        np.testing.assert_allclose(together.confidence[number], alone.confidence[0], atol=1e-4)


def test_predict_needs_no_torch_and_goes_on_with_the_same_file_only(trained, exported, heads, tmp_path):
    check = f"{COMMAND} assert 'torch' not in sys.modules; {EXIT}"
    by_file = fetal_lm("predict", heads, "--spacing", 0.5, "--output", tmp_path / "a", "--model", exported, code=check)
    assert by_file.returncode == 0, by_file.stderr
    arguments = ["predict", str(heads), "--spacing", "0.5", "--no-overlays"]
    by_run = CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "b"), "--model", str(trained)])
    assert by_run.exit_code == 0, by_run.output
    ours, theirs = rows_of(tmp_path / "a"), rows_of(tmp_path / "b")
    assert [row["image"] for row in ours] == [row["image"] for row in theirs]
    for column in ("ofd_1_x", "bpd_2_y", "hc_mm", "ofd_2_confidence"):
        np.testing.assert_allclose(
            [float(row[column] or "nan") for row in ours], [float(row[column] or "nan") for row in theirs], atol=0.2
        )
    resumed = [*arguments, "--output", str(tmp_path / "b"), "--resume", "--model", str(exported)]
    other = CliRunner().invoke(app, resumed)
    assert other.exit_code == 2
    assert "begun with another model" in " ".join(other.output.split())
    again = ["predict", str(heads), "--spacing", "0.5", "--output", str(tmp_path / "a"), "--resume", "--model"]
    assert CliRunner().invoke(app, [*again, str(exported), "--engine", "onnx"]).exit_code == 0


def test_the_python_call_takes_the_file_too(trained, exported):
    source = Phantom(seed=0, images=1)
    image = source.read(source.records()[0])
    ours, theirs = Predictor(exported).measure(image, mm_per_px=0.2), Predictor(trained).measure(image, mm_per_px=0.2)
    np.testing.assert_allclose(ours.points_orig, theirs.points_orig, atol=0.2)
    np.testing.assert_allclose(ours.confidence, theirs.confidence, atol=1e-3)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("model.pt", "ends in .onnx"),
        ("folder.onnx", "it is a folder"),
        ("there.onnx", "--force"),
        ("file/model.onnx", "cannot be written"),
    ],
)
def test_a_place_that_cannot_be_written_is_said_before_the_work(trained, tmp_path, output, message):
    (tmp_path / "folder.onnx").mkdir()
    (tmp_path / "there.onnx").write_text("x")
    (tmp_path / "file").write_text("x")
    refused = CliRunner().invoke(app, ["export", str(trained), "--output", str(tmp_path / output)])
    assert refused.exit_code == 2
    assert message in refused.output
    assert (tmp_path / "there.onnx").read_text() == "x"


def test_what_is_no_run_or_lacks_a_package_is_said(trained, exported, tmp_path, monkeypatch):
    lonely = tmp_path / "weights" / "best.ckpt"
    lonely.parent.mkdir()
    shutil.copy(trained / "checkpoints" / "best.ckpt", lonely)
    for model, message in (
        (lonely, "weights alone do not say"), (tmp_path, "row.json"), (exported, "exported already"),
    ):  # fmt: skip
        refused = CliRunner().invoke(app, ["export", str(model), "--output", str(tmp_path / "m.onnx")])
        assert refused.exit_code == 2
        assert message in refused.output
    with pytest.raises(InputError, match="needs the folder of a finished run"):
        Predictor(exported, engine="torch")
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    missing = CliRunner().invoke(app, ["export", str(trained), "--output", str(tmp_path / "m.onnx")])
    assert missing.exit_code == 2
    assert "an export needs onnxscript, which is not installed: pip install onnx" in missing.output
