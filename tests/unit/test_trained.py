"""What is no run is said in words that help."""

import contextlib
import pickle
import shutil
from pathlib import Path

import pytest

from fetal_lm.checkpoints import PACKED
from fetal_lm.errors import InputError
from fetal_lm.predict.released import EXPORTED, FOLDER
from fetal_lm.trained import load_run


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere", "there is no such folder"),
        ("empty", "holds no row.json, so that no run finished in it"),
        ("a" * 300, r"cannot be read \(File name too long\)"),
        ("run/checkpoints/best.ckpt", "weights alone do not say what network they are of"),
    ],
)
def test_what_is_no_finished_run_is_named(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=message) as raised:
        load_run(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)


class Touches:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture
def config(tmp_path):
    """Of a copy of the released folder, beside a pickle that makes the file `touched` where it is read."""
    shutil.copytree(FOLDER, tmp_path / "run")
    (tmp_path / "pickled").write_bytes(pickle.dumps(Touches(tmp_path / "touched")))
    return tmp_path / "run" / "config.yaml"


LOSS = "  _target_: fetal_lm.losses.CrossEntropy\n  swap_invariant: true\n"
DEPTH = "    depth: 3\n"


@pytest.mark.parametrize("place", [LOSS, DEPTH], ids=["loss", "depth"])
@pytest.mark.parametrize(
    "target",
    [
        "pandas.read_pickle",
        "fetal_lm.losses.torch.load",
        "fetal_lm.atomic.write_text",
        "fetal_lm.losses.Tensor",
        "fetal_lm.losses_of_others.Loss",
        "[1, 2]",
    ],
)
def test_a_folder_from_elsewhere_chooses_no_code(tmp_path, config, place, target):
    named, text = f"{{_target_: {target}, filepath_or_buffer: {tmp_path / 'pickled'}}}", config.read_text()
    assert place in text
    # The whole loss, or deep in the model an element of a list.
    config.write_text(text.replace(place, f"  {named}\n" if place == LOSS else f"    depth: [{named}]\n"))
    with pytest.raises(InputError, match="may name nothing else") as raised:
        load_run(config.parent)
    assert str(raised.value).startswith(f"{config}: ")
    assert target in str(raised.value)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize(
    "line",
    ["monitor: null", "- 384", "  swap_invariant: true", "  outline_weight: 20.0", "  order: canonical", "seed: 0"],
)
def test_nor_does_any_other_option_of_it(tmp_path, config, line, escaped):
    named, text = f"{{_target_: pandas.read_pickle, filepath_or_buffer: {tmp_path / 'pickled'}}}", config.read_text()
    assert f"{line}\n" in text
    # An escaped interpolation is one only when what it stands for is looked up again.
    value = f"'\\${{oc.create:{named}}}'" if escaped else named
    config.write_text(text.replace(f"{line}\n", f"{line.rpartition(' ')[0]} {value}\n"))
    with contextlib.suppress(InputError):
        load_run(config.parent)
    assert not (tmp_path / "touched").exists()


@pytest.mark.parametrize("loss", ["null", "x", "[1]", "{swap_invariant: true}"])
def test_a_part_that_describes_nothing_is_said(tmp_path, loss):
    run = tmp_path / "run"
    shutil.copytree(FOLDER, run)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("loss:\n" + LOSS, f"loss: {loss}\n"))
    with pytest.raises(InputError, match="loss names None"):
        load_run(run)


def test_a_configuration_that_makes_no_model_is_named(tmp_path):
    for was, becomes in (("loss:\n" + LOSS, ""), (DEPTH, "    deepness: 3\n")):
        run = tmp_path / f"run {len(becomes)}"
        shutil.copytree(FOLDER, run)
        config = run / "config.yaml"
        config.write_text(config.read_text().replace(was, becomes))
        with pytest.raises(InputError, match=r"this version of fetal_lm makes no model of it|loss names None"):
            load_run(run)


def test_to_predict_needs_no_optimiser(tmp_path):
    run = tmp_path / "run"
    shutil.copytree(FOLDER, run)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("fetal_lm.muon.Muon", "somebody.elses.Optimizer"))
    model = load_run(run).model
    with pytest.raises(RuntimeError, match="made to predict"):
        model._optimizer(model.parameters())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("weights.safetensors", "model holds no row.json; weights alone do not say"),
        ("model.onnx", "got a file that is exported already; give the folder of its run"),
        ("notes.txt", "holds no row.json"),
    ],
)
def test_a_file_without_its_run_is_named(tmp_path, name, message):
    file = tmp_path / "model" / name
    file.parent.mkdir()
    file.touch()
    with pytest.raises(InputError, match=message):
        load_run(file)


def test_a_packed_run_is_named_by_its_weights_too_and_its_other_files_are_said():
    assert load_run(FOLDER / PACKED).digest == load_run(FOLDER).digest
    with pytest.raises(InputError, match=r"model\.onnx: .* exported already"):
        load_run(FOLDER / EXPORTED)
    with pytest.raises(InputError, match=f"config.yaml: .* another file of a run; give its folder, {FOLDER}"):
        load_run(FOLDER / "config.yaml")
