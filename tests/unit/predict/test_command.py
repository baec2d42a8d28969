"""From paths to a table and pictures, with a network that always finds the same head."""

from __future__ import annotations

import csv
import json

import cv2
import numpy as np
import pytest

from fetal_lm.predict import command
from fetal_lm.predict.measurement import measurement_of

SIZE = (300, 420)
HEAD = np.array([[100.0, 150.0], [300.0, 150.0], [200.0, 70.0], [200.0, 230.0]])


class Measuring:
    """In place of a `Predictor`."""

    digest = "a"

    def __init__(self, model, *, engine=None):
        pass

    def measure_batch(self, images, calibrations):
        spacings = [one.at(HEAD) for _, one in zip(images, calibrations, strict=True)]
        return [measurement_of(HEAD, np.ones(4), spacing=spacing, size_orig=SIZE) for spacing in spacings]


@pytest.fixture
def scans(tmp_path):
    (tmp_path / "scans").mkdir()
    return tmp_path / "scans"


@pytest.fixture
def predict(scans, tmp_path, monkeypatch):
    """The command on the scans, into the folder `out`."""
    monkeypatch.setattr(command, "Predictor", Measuring)

    def run(**options):
        given = {"spacing": None, "output": tmp_path / "out", "model": None, **options}
        return command.predict([str(scans)], **given)

    return run


def write_image(path):
    encoded, content = cv2.imencode(".png", np.zeros(SIZE, np.uint8))
    assert encoded
    path.write_bytes(content.tobytes())
    return path


def rows_of(folder):
    with (folder / "measurements.csv").open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_summary_says_where_a_spacing_is_missing(scans, predict, tmp_path, capsys):
    for name in "ab":
        write_image(scans / f"{name}.png")
    table = tmp_path / "sp.csv"
    table.write_text("image,mm_per_px\na.png,0.5\nb.png,\n")
    assert predict(spacing=str(table), overlays=False) == 0
    assert f"1 frames without a pixel spacing: millimetres are empty; no spacing in {table} for them" in (
        capsys.readouterr().out
    )


def test_a_name_too_long_for_a_picture_is_cut_and_stays_its_own(scans, predict, tmp_path):
    # 255 bytes are the most that a file system takes; a letter may have two.
    same = "a" * 250
    names = [f"{same}.png", f"{same}.jpg", f"{same[:-1]}b.png", "ä" * 125 + ".png", "short.png"]
    for name in names:
        write_image(scans / name)
    assert predict() == 0
    assert sorted(row["image"] for row in rows_of(tmp_path / "out")) == sorted(str(scans / name) for name in names)
    pictures = {path.name for path in (tmp_path / "out" / "overlays").iterdir()}
    assert len(pictures) == len(names)
    assert "short.png" in pictures
    assert max(len(name.encode()) for name in pictures) <= 240
    assert predict(resume=True) == 0
    assert {path.name for path in (tmp_path / "out" / "overlays").iterdir()} == pictures


def test_the_json_is_kept_in_step_with_the_table_that_is_gone_on_with(scans, predict, tmp_path, capsys):
    described = tmp_path / "out" / "measurements.json"
    write_image(scans / "a.png")
    assert predict(resume=True) == 0
    assert not described.exists()
    assert predict(resume=True, as_json=True) == 0
    write_image(scans / "b.png")
    capsys.readouterr()
    assert predict(resume=True) == 0
    assert [row["image"] for row in json.loads(described.read_text())] == [
        str(scans / name) for name in ("a.png", "b.png")
    ]
    assert f"wrote {described}" in capsys.readouterr().out


def test_a_json_that_may_be_somebody_elses_stays(scans, predict, tmp_path):
    described = tmp_path / "out" / "measurements.json"
    described.parent.mkdir()
    described.write_text("theirs")
    write_image(scans / "a.png")
    assert predict() == 0
    assert described.read_text() == "theirs"


def test_what_has_a_row_and_no_picture_is_said_once(scans, predict, tmp_path, capsys):
    said = "2 frames were measured before without a picture and are not drawn now"
    for name in "ab":
        write_image(scans / f"{name}.png")
    assert predict(overlays=False) == 0
    assert predict(overlays=False, resume=True) == 0
    assert "picture" not in capsys.readouterr().out
    write_image(scans / "c.png")
    assert predict(resume=True) == 0
    assert capsys.readouterr().out.count(said) == 1
    assert [path.name for path in (tmp_path / "out" / "overlays").iterdir()] == ["c.png"]


def test_of_pages_too_and_not_where_there_are_pictures(scans, predict, tmp_path, capsys):
    assert cv2.imwritemulti(str(scans / "a.tif"), [np.zeros(SIZE, np.uint8)] * 3)
    write_image(scans / "b.png")
    assert predict() == 0
    assert predict(resume=True) == 0
    assert "picture" not in capsys.readouterr().out
    (tmp_path / "out" / "overlays" / "a.tif" / "0002.png").unlink()
    assert predict(resume=True) == 0
    assert "1 frames were measured before without a picture" in capsys.readouterr().out
