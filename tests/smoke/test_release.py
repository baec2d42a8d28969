"""From trainings over folds and one on everything to weights that `predict` takes without being told."""

import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fetal_lm.cli.app import app
from fetal_lm.predict import engine, released

from .conftest import ROOT, TINY

# Every way of reading a head at once, by torch and in an exported file. After two epochs maps are flat, and where their
# highest pixel lies is a question of the last bit: torch and the file were 0.027 px apart, after eight 0.001.
OPTIONS = (
    *TINY, "model=rim_unet", "model.network.depth=2", "model.network.pretrained=false", "data.fit=letterbox",
    "trainer.max_epochs=8",
)  # fmt: skip
SCRIPT = ROOT / "experiments" / "accuracy" / "release.py"

pytestmark = pytest.mark.slow


def run_script(*arguments):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False, cwd=ROOT
    )


@pytest.fixture(scope="module")
def sweep(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("folds") / "sweep"
    done = experiment("-m", *OPTIONS, "data.folds=2", "data.fold=0,1", "logger=csv", f"hydra.sweep.dir={folder}")
    assert done.code == 0, done.err[-3000:]
    return folder


def train(experiment, folder, *options):
    done = experiment(*OPTIONS, *options, "logger=csv", f"hydra.run.dir={folder}")
    assert done.code == 0, done.err[-3000:]
    return folder


def test_the_released_weights_say_what_to_expect_and_are_what_predict_takes(experiment, sweep, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    run = train(experiment, tmp_path / "run", "split=everything")
    folder = tmp_path / "released"
    folder.mkdir()
    (folder / "old").touch()
    done = run_script(run, sweep, "--half", "--output", folder)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == [
        "MODEL_CARD.md", "config.yaml", "history.csv", "model.onnx", "row.json", "split.json", "weights.safetensors"
    ]  # fmt: skip
    row = json.loads((folder / "row.json").read_text())
    assert row["metrics"]["rim"]["images"] == 30
    assert len(json.loads((folder / "split.json").read_text())["train"]) == 30
    card = (folder / "MODEL_CARD.md").read_text()
    assert f"{row['metrics']['rim']['hc_mae_mm']:.2f} [" in card
    assert f"{row['metrics']['rim']['found']:.4f} [" in card
    assert "nine tenths of the weights in half precision, which moves a point by at most" in card
    assert str(tmp_path) not in card

    monkeypatch.setattr(engine, "released", lambda name: released.released(name, folder))
    image = ROOT / "experiments" / "three_models" / "phantom_h1.png"
    for name in (None, "torch", "onnx"):
        options = [] if name is None else ["--engine", name]
        output = tmp_path / str(name)
        measured = CliRunner().invoke(app, ["predict", str(image), "--output", str(output), *options])
        assert measured.exit_code == 0, measured.output
    made_with = [json.loads((tmp_path / str(name) / "made_with.json").read_text())["model"] for name in (None, "onnx")]
    assert made_with[0] == made_with[1]


def test_what_does_not_belong_together_is_refused(experiment, sweep, tmp_path):
    other = train(experiment, tmp_path / "other", "split=everything", "optim.optimizer.lr=1e-4")
    refused = run_script(other, sweep, "--output", tmp_path / "released")
    assert refused.returncode == 2
    assert "optim.optimizer.lr was 0.003 and is 0.0001" in refused.stderr
    looked_again = run_script(other, sweep, "--when-unsure", "--output", tmp_path / "released")
    assert looked_again.returncode == 2
    assert "test_flips was True and is when_unsure" in looked_again.stderr
    honest = run_script(sweep / "0", sweep, "--output", tmp_path / "released")
    assert honest.returncode == 2
    assert "expected a run with split=everything" in honest.stderr
    assert list(tmp_path.iterdir()) == [other]
