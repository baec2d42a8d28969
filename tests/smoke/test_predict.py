"""`fetal-lm predict` with a finished run, whole."""

import csv
import json

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from fetal_lm import Predictor
from fetal_lm.cli.app import app
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.errors import InputError
from fetal_lm.landmarks import NAMES
from fetal_lm.report.predictions import read_predictions

COORDINATES = [f"{name}_{axis}" for name in NAMES for axis in "xy"]


@pytest.fixture
def scans(trained, tmp_path):
    """The run's test images as files, and one that is broken."""
    source, folder = Phantom(seed=0, images=30), tmp_path / "scans"
    tested = set(read_predictions(trained / "predictions.csv")["image"])
    for record in source.records():
        if record.image in tested:
            path = folder / record.image
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path.with_suffix(".png")), source.read(record))
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def predict(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


def rows_of(folder):
    with (folder / "measurements.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_it_finds_what_the_run_found_and_goes_on_after_a_kill(trained, scans, tmp_path):
    out = tmp_path / "out"
    finished = predict(scans, "--spacing", 0.5, "--output", out, "--model", trained, "--json")
    assert finished.exit_code == 1, finished.output
    rows = rows_of(out)
    (broken,) = [row for row in rows if row["error"]]
    assert broken["image"].endswith("broken.png")
    found = {row["image"].rpartition("/")[2]: row for row in rows if not row["error"]}
    truth = read_predictions(trained / "predictions.csv")
    assert len(found) == len(truth)
    for row in truth.to_dict("records"):
        name = row["image"].rpartition("/")[2].rpartition(".")[0] + ".png"
        ours = [float(found[name][column] or "nan") for column in COORDINATES]
        np.testing.assert_allclose(ours, [row[column] for column in COORDINATES], atol=0.01)
    assert len(json.loads((out / "measurements.json").read_text())) == len(rows)
    assert len(list((out / "overlays").rglob("*.png"))) == len(found)
    table = out / "measurements.csv"
    whole = table.read_bytes()
    lines = whole.splitlines(keepends=True)
    table.write_bytes(b"".join(lines[:3]) + b"torn")
    assert predict(scans, "--spacing", 0.5, "--output", out, "--model", trained).exit_code == 2
    elsewhere = predict(scans.parent, "--spacing", 0.5, "--output", out, "--model", trained, "--resume")
    assert elsewhere.exit_code == 2
    assert "begun with another folder of images" in elsewhere.output.replace("\n", " ")
    other = predict(scans, "--spacing", 0.4, "--output", out, "--model", trained, "--resume")
    assert other.exit_code == 2
    assert "begun with another spacing" in other.output.replace("\n", " ")
    table.write_bytes(b"".join(lines[:3]) + b"torn")
    resumed = predict(scans, "--spacing", 0.5, "--output", out, "--model", trained, "--resume", "--no-overlays")
    assert resumed.exit_code == 1
    assert sorted(row["image"] for row in rows_of(out)) == sorted(row["image"] for row in rows)
    mended = scans / "broken.png"
    mended.write_bytes(next(file for file in scans.rglob("*.png") if file != mended).read_bytes())
    assert predict(scans, "--spacing", 0.5, "--output", out, "--model", trained, "--resume").exit_code == 0
    assert sorted(row["image"] for row in rows_of(out)) == sorted(row["image"] for row in rows)
    assert not any(row["error"] for row in rows_of(out))


def test_the_pages_of_a_tiff_each_have_a_row_and_an_overlay_after_a_kill_too(trained, tmp_path):
    source, scans, out = Phantom(seed=0, images=2), tmp_path / "scans", tmp_path / "out"
    pages = [source.read(record) for record in source.records()]
    scans.mkdir()
    assert cv2.imwritemulti(str(scans / "clip.tif"), [*pages, pages[0]])
    assert cv2.imwrite(str(scans / "still.tif"), pages[1])
    assert predict(scans, "--output", out, "--model", trained).exit_code == 0
    rows = rows_of(out)
    assert [row["frame"] for row in rows] == ["1", "2", "3", "1"]
    pictures = {"clip.tif/0001.png", "clip.tif/0002.png", "clip.tif/0003.png", "still.tif.png"}
    assert {path.relative_to(out / "overlays").as_posix() for path in (out / "overlays").rglob("*.png")} == pictures
    table = out / "measurements.csv"
    table.write_bytes(b"".join(table.read_bytes().splitlines(keepends=True)[:2]))
    assert predict(scans, "--output", out, "--model", trained, "--resume").exit_code == 0
    again = rows_of(out)
    assert [(row["image"], row["frame"]) for row in again] == [(row["image"], row["frame"]) for row in rows]
    # A batch of another size rounds differently.
    for one, other in zip(again, rows, strict=True):
        ours, before = ([float(row[column] or "nan") for column in COORDINATES] for row in (one, other))
        np.testing.assert_allclose(ours, before, atol=0.01)


def test_without_a_spacing_there_are_no_millimetres_and_it_is_said_once(trained, scans, tmp_path):
    (scans / "broken.png").unlink()
    finished = predict(scans, "--output", tmp_path / "out", "--model", trained, "--no-overlays")
    assert finished.exit_code == 0, finished.output
    assert finished.output.count("without a pixel spacing") == 1
    assert not any(row["hc_mm"] for row in rows_of(tmp_path / "out"))
    assert not (tmp_path / "out" / "overlays").exists()


def test_what_is_no_model_is_said(scans, tmp_path):
    missing = predict(scans, "--output", tmp_path / "out", "--model", tmp_path / "absent")
    assert missing.exit_code == 2
    assert "python run.py" in missing.output
    wrong = predict(scans, "--output", tmp_path / "out", "--model", scans)
    assert wrong.exit_code == 2
    assert "row.json" in wrong.output


def test_arrays_are_measured_as_files_are(trained):
    source = Phantom(seed=0, images=1)
    image = source.read(source.records()[0])
    predictor = Predictor(trained)
    grey = predictor.measure(image, mm_per_px=0.2)
    colour = predictor.measure(np.dstack([image] * 3).astype(np.uint16) * 257, mm_per_px=0.2)
    np.testing.assert_allclose(colour.points_orig, grey.points_orig, atol=0.01)
    for wrong in (image[None, None], image.astype(float)):
        with pytest.raises(InputError, match="expected an image of"):
            predictor.measure(wrong)
    with pytest.raises(InputError, match="mm_per_px"):
        predictor.measure(image, mm_per_px=0.0)
