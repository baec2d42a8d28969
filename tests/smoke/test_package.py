"""`fetal-lm package` of a finished run, and what takes the folder in the run's place."""

import json
import re

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fetal_lm import Predictor, checkpoints
from fetal_lm.cli.app import app
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.export.package import package
from fetal_lm.trained import load_run


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def packed(trained, tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed") / "model"
    done = invoke("package", trained, "--output", folder)
    assert done.exit_code == 0, done.output
    assert f"wrote {folder}: " in done.output
    return folder


def test_it_holds_the_weights_and_what_is_needed_to_use_them(trained, packed):
    assert sorted(path.name for path in packed.iterdir()) == [
        "config.yaml", "history.csv", "predictions.csv", "row.json", "split.json", "weights.safetensors"
    ]  # fmt: skip
    run, small = load_run(trained), load_run(packed)
    weights = small.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())
    assert small.manifest.digest == run.manifest.digest
    assert small.row.metrics == run.row.metrics
    assert small.precision == run.precision


def test_it_measures_what_the_run_measures(trained, packed):
    source = Phantom(seed=3, images=2)
    for record in source.records():
        image = source.read(record)
        one, other = (Predictor(folder).measure(image, mm_per_px=0.1) for folder in (trained, packed))
        np.testing.assert_array_equal(one.points_orig, other.points_orig)


def test_it_may_look_at_other_mirror_images_than_the_run_was_tested_with(trained, packed, tmp_path):
    package(trained, tmp_path / "turned", flips="half_turn")
    turned, run = load_run(tmp_path / "turned"), load_run(trained)
    assert (turned.model.test_flips, run.model.test_flips) == ("half_turn", True)
    assert turned.row.overrides == [*load_run(packed).row.overrides, "test_flips=half_turn"]
    assert all(torch.equal(value, run.model.state_dict()[name]) for name, value in turned.model.state_dict().items())


def test_it_names_no_place_of_the_machine(trained, packed):
    for path in packed.iterdir():
        text = path.read_bytes().decode("latin-1")
        assert str(trained) not in text
        if path.suffix != ".safetensors":  # Its weights may look like anything.
            assert re.search(r"(^|[\s'\"=,])(/|\.\./)[\w.]", text, re.MULTILINE) is None, path


def test_it_can_be_evaluated_and_packed_again(packed, tmp_path):
    judged = invoke("evaluate", packed, "--data", "phantom", "--seen", "leave-out", "--output", tmp_path / "judged")
    assert judged.exit_code == 0, judged.output
    again = invoke("package", packed, "--output", tmp_path / "again")
    assert again.exit_code == 0, again.output
    first, second = (checkpoints.read(folder / "weights.safetensors") for folder in (packed, tmp_path / "again"))
    assert first["fetal_lm"] == second["fetal_lm"]
    assert all(value.equal(second["state_dict"][name]) for name, value in first["state_dict"].items())


def test_bad_input(trained, packed, tmp_path):
    there = invoke("package", trained, "--output", packed)
    assert there.exit_code == 2
    assert "is there already" in there.output
    nothing = invoke("package", tmp_path, "--output", tmp_path / "new")
    assert nothing.exit_code == 2
    assert "no row.json" in nothing.output
    weights = invoke("package", packed / "weights.safetensors", "--output", tmp_path / "new")
    assert weights.exit_code == 2
    assert "got one of its files; give the folder" in weights.output
    (tmp_path / "file").write_text("")
    blocked = invoke("package", trained, "--output", tmp_path / "file" / "model")
    assert blocked.exit_code == 2
    assert "cannot be written" in blocked.output


@pytest.mark.parametrize("damage", ["cut", "other", "swapped"])
def test_damaged_weights_are_refused(packed, tmp_path, damage):
    folder = tmp_path / "model"
    folder.mkdir()
    for path in packed.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = folder / "weights.safetensors"
    if damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "other":
        weights.write_bytes(b"no weights")
    else:
        manifest = json.loads((folder / "split.json").read_text())
        manifest["train"], manifest["test"] = manifest["test"], manifest["train"]
        (folder / "split.json").write_text(json.dumps(manifest))
    done = invoke("predict", __file__, "--model", folder, "--output", tmp_path / "measured")
    assert done.exit_code == 2
    assert "Traceback" not in done.output
