"""A finished run's weights on other labels and other images."""

import json
import shutil

import pytest
import torch
from typer.testing import CliRunner

from fetal_lm.choices import Images, Seen
from fetal_lm.cli.app import app
from fetal_lm.configuration import read_configuration
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.sources import source_of_run
from fetal_lm.errors import InputError
from fetal_lm.evaluate import evaluate
from fetal_lm.report.predictions import read_predictions
from fetal_lm.report.row import read_row
from fetal_lm.report.sweep import read_sweep

from .conftest import TINY


class Elsewhere(Phantom):
    """The same phantoms as another archive would have them."""

    def __init__(self, **options):
        super().__init__(**options)
        self.archive = "elsewhere"


@pytest.fixture(scope="module")
def run(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained")
    assert experiment(*TINY, "logger=csv", f"hydra.run.dir={folder}").code == 0
    return folder


def test_the_same_images_give_the_same_predictions(run, tmp_path):
    (row,) = evaluate(
        read_sweep(run), Phantom(seed=0, images=30), images=Images.test, seen=Seen.refuse, output=tmp_path / "out"
    )
    assert row.test_images_seen == 0
    before, after = (read_predictions(folder / "predictions.csv") for folder in (run, tmp_path / "out"))
    assert before.equals(after)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "heatmaps.npz", "history.csv", "overlay.png", "predictions.csv", "row.json", "split.json",
    }  # fmt: skip


def test_trained_images_are_refused_left_out_or_said(run, tmp_path):
    source = Phantom(seed=0, images=30)
    split = json.loads((run / "split.json").read_text())
    with pytest.raises(InputError, match="of the 30 images show an examination that these weights were trained"):
        evaluate(read_sweep(run), source, images=Images.all, seen=Seen.refuse, output=tmp_path / "no")
    assert not (tmp_path / "no").exists()
    (row,) = evaluate(read_sweep(run), source, images=Images.all, seen=Seen.leave_out, output=tmp_path / "left")
    assert set(read_predictions(tmp_path / "left" / "predictions.csv")["image"]) == set(split["test"])
    assert row.test_images_seen == 0
    (row,) = evaluate(read_sweep(run), source, images=Images.all, seen=Seen.allow, output=tmp_path / "all")
    assert row.test_images_seen == len(split["train"]) + len(split["val"])
    assert row.metrics["heatmap"]["images"] == 30


def test_images_are_known_by_their_content_in_another_archive(run, tmp_path):
    with pytest.raises(InputError, match="trained or selected on"):
        evaluate(read_sweep(run), Elsewhere(seed=0, images=30), images=Images.all, seen=Seen.refuse, output=tmp_path)
    (row,) = evaluate(
        read_sweep(run), Elsewhere(seed=5, images=6), images=Images.all, seen=Seen.refuse, output=tmp_path
    )
    assert row.test_images_seen == 0


def test_the_run_itself_is_never_overwritten(run):
    before = {path: path.read_bytes() for path in run.iterdir() if path.is_file()}
    with pytest.raises(InputError, match="is the run itself"):
        evaluate(read_sweep(run), Phantom(seed=0, images=30), images=Images.test, seen=Seen.refuse, output=run)
    assert before == {path: path.read_bytes() for path in run.iterdir() if path.is_file()}


def test_a_run_of_a_gpu_is_tested_where_there_is_none(run, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    elsewhere = tmp_path / "run"
    shutil.copytree(run, elsewhere)
    config = elsewhere / "config.yaml"
    config.write_text(config.read_text().replace("accelerator: cpu", "accelerator: gpu"))
    (row,) = evaluate(
        read_sweep(elsewhere), Phantom(seed=0, images=30), images=Images.test, seen=Seen.refuse, output=tmp_path / "out"
    )
    assert row.metrics["heatmap"]["images"] > 0


def test_a_manifest_of_another_run_is_refused(run, experiment, tmp_path):
    other = tmp_path / "other"
    assert experiment(*TINY, "logger=csv", "data.fold=1", f"hydra.run.dir={other}").code == 0
    (other / "split.json").write_text((run / "split.json").read_text())
    with pytest.raises(InputError, match="another split"):
        evaluate(
            read_sweep(other), Phantom(seed=0, images=30), images=Images.test, seen=Seen.refuse, output=tmp_path / "out"
        )


def test_a_source_without_the_runs_images_says_what_to_do(run, tmp_path):
    class Renamed(Phantom):
        def records(self):
            return []

    with pytest.raises(InputError, match="--images all"):
        evaluate(read_sweep(run), Renamed(seed=0, images=30), images=Images.test, seen=Seen.refuse, output=tmp_path)


def test_the_command_tests_and_compares(run, tmp_path):
    command = ["evaluate", str(run), "--data", "phantom", "--set", "images=30", "--output", str(tmp_path / "out")]
    finished = CliRunner().invoke(app, command)
    assert finished.exit_code == 0, finished.output
    assert (tmp_path / "out" / "report" / "comparison.md").is_file()
    # What a page needs to show the images.
    assert len(source_of_run(tmp_path / "out" / "config.yaml").records()) == 30
    results = (tmp_path / "out" / "row.json").read_bytes()
    other = CliRunner().invoke(app, [*command, "--set", "seed=5", "--images", "all"])
    assert other.exit_code == 2
    assert "(seed was 0 and is 5), which would be overwritten" in other.output
    assert (tmp_path / "out" / "row.json").read_bytes() == results
    views = CliRunner().invoke(app, [*command, "--no-flips"])
    assert views.exit_code == 2
    assert "(test_flips was True and is False)" in views.output
    once = CliRunner().invoke(app, [*command, "--no-flips", "--rotations", "-5,5", "--output", str(tmp_path / "once")])
    assert once.exit_code == 0, once.output
    tested = read_configuration(tmp_path / "once" / "config.yaml")
    assert (tested.test_flips, list(tested.test_rotations)) == (False, [-5.0, 5.0])
    # A report tells results apart by what they were told to do differently.
    told = read_row(tmp_path / "once" / "row.json").overrides
    assert [option for option in told if option.startswith("test_")] == ["test_flips=false", "test_rotations=[-5,5]"]
    assert read_row(tmp_path / "out" / "row.json").overrides == read_row(run / "row.json").overrides
    assert (tmp_path / "once" / "predictions.csv").read_bytes() != (tmp_path / "out" / "predictions.csv").read_bytes()
    turned = CliRunner().invoke(app, [*command, "--half-turn", "--output", str(tmp_path / "turned")])
    assert turned.exit_code == 0, turned.output
    assert read_configuration(tmp_path / "turned" / "config.yaml").test_flips == "half_turn"
    unsure = CliRunner().invoke(app, [*command, "--when-unsure", "--output", str(tmp_path / "unsure")])
    assert unsure.exit_code == 0, unsure.output
    assert read_configuration(tmp_path / "unsure" / "config.yaml").test_flips == "when_unsure"
    refused = CliRunner().invoke(app, [*command, "--images", "all"])
    assert refused.exit_code == 2
    assert "--seen leave-out" in refused.output
    allowed = CliRunner().invoke(app, [*command, "--images", "all", "--seen", "allow"])
    assert allowed.exit_code == 0
    assert "23 of the 30 test images" in allowed.output.replace("\n", " ")
