"""What `--spacing` says, and which image it says it of."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import Calibration, Region, Spacing, uniform
from fetal_lm.predict.spacing import read_spacings


def test_spacings_by_image_go_before_the_files_own_and_a_number_after(tmp_path):
    table = tmp_path / "spacings.csv"
    table.write_text("image,mm_per_px\nsub/a.png,0.1\nb.png,0.2\nc.png,\n")
    spacings, own = read_spacings(str(table)), uniform(0.9)
    assert spacings.of(tmp_path / "sub" / "a.png", own) == uniform(0.1)
    assert spacings.of(tmp_path / "elsewhere" / "b.png", Calibration()) == uniform(0.2)
    # An empty cell says nothing.
    assert math.isnan(spacings.of(tmp_path / "c.png", Calibration()).whole.x_mm)
    assert spacings.of(tmp_path / "c.png", own) == own
    assert spacings.of(tmp_path / "d.png", own) == own
    assert not spacings.of(tmp_path / "d.png", Calibration()).whole.known
    assert read_spacings("0.12").of(tmp_path / "d.png", own) == own
    assert read_spacings("0.12").of(tmp_path / "d.png", Calibration()) == uniform(0.12)


def test_a_number_counts_where_no_region_holds_the_head():
    own = Calibration(regions=(Region(0, 0, 39, 53, Spacing(0.1, 0.1)), Region(40, 0, 79, 53, Spacing(0.3, 0.3))))
    given = read_spacings("0.2").of(Path("a.dcm"), own)
    head = np.array([[5.0, 20.0], [35.0, 20.0], [20.0, 5.0], [20.0, 35.0]])
    assert (given.at(head).x_mm, given.at(head + 60).x_mm, given.at(head + np.array([20, 0])).x_mm) == (0.1, 0.2, 0.2)
    # Both pictures cannot have it: a row that says so.
    across = ["lies across parts of the image with different spacings"]
    assert [given.doubts_at(head + np.array([dx, 0]), 1.0) for dx in (0, 20, 70)] == [[], across, []]
    assert Calibration(regions=own.regions[:1]).doubts_at(head + np.array([20, 0]), 1.0) == []


def test_a_linked_image_is_named_by_where_it_was_found_first(tmp_path):
    for folder in ("scans", "disk", "scans/real"):
        (tmp_path / folder).mkdir()
    for path in ("disk/a.png", "scans/real/b.png"):
        (tmp_path / path).touch()
    (tmp_path / "scans" / "p1").symlink_to(tmp_path / "disk")
    (tmp_path / "scans" / "p2").symlink_to(tmp_path / "scans" / "real")
    table = tmp_path / "scans" / "spacings.csv"
    table.write_text("image,mm_per_px\np1/a.png,0.1\na.png,0.2\nreal/b.png,0.3\nb.png,0.4\n")
    spacings = read_spacings(str(table))
    assert spacings.of(tmp_path / "scans" / "p1" / "a.png", Calibration()) == uniform(0.1)
    assert spacings.of(tmp_path / "scans" / "p2" / "b.png", Calibration()) == uniform(0.3)


@pytest.mark.parametrize("name", ["../scans/a.png", "./../scans/p1/../a.png", "{root}/scans/a.png"])
def test_an_image_is_named_by_any_path_to_it(tmp_path, monkeypatch, name):
    for folder in ("scans/p1", "labels", "elsewhere"):
        (tmp_path / folder).mkdir(parents=True)
    for path in ("scans/a.png", "elsewhere/a.png"):
        (tmp_path / path).touch()
    table = tmp_path / "labels" / "spacings.csv"
    table.write_text(f"image,mm_per_px\n{name.format(root=tmp_path)},0.1\n")
    spacings = read_spacings(str(table))
    assert spacings.of(tmp_path / "scans" / "a.png", Calibration()) == uniform(0.1)
    # It is no file name alone.
    assert not spacings.of(tmp_path / "elsewhere" / "a.png", Calibration()).whole.known
    monkeypatch.chdir(tmp_path / "labels")
    assert read_spacings("spacings.csv").of(Path("../scans/a.png"), Calibration()) == uniform(0.1)
    (tmp_path / "linked").symlink_to(tmp_path / "scans")
    assert spacings.of(tmp_path / "linked" / "a.png", Calibration()) == uniform(0.1)
    table.write_text(f"image,mm_per_px\n{tmp_path}/linked/a.png,0.2\n")
    assert read_spacings(str(table)).of(tmp_path / "scans" / "a.png", Calibration()) == uniform(0.2)


def test_two_rows_about_one_image_are_refused(tmp_path):
    table = tmp_path / "spacings.csv"
    table.write_text("image,mm_per_px\na.png,0.1\nb.png,0.1\n./a.png,0.2\n")
    with pytest.raises(InputError, match=r"line 4, column 'image': .* '\./a\.png', which is 'a\.png' in line 2"):
        read_spacings(str(table))


def test_a_file_name_that_two_images_have_is_refused(tmp_path):
    table, images = tmp_path / "spacings.csv", [tmp_path / "a.png", tmp_path / "b" / "a.png"]
    table.write_text("image,mm_per_px\na.png,0.1\n")
    with pytest.raises(InputError, match=r"'a\.png' may be"):
        read_spacings(str(table)).check(images)
    table.write_text("image,mm_per_px\na.png,0.1\nb/a.png,0.2\n")
    read_spacings(str(table)).check(images)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "1e-320", "0.00009", "101", "absent.csv", "a" * 300])
def test_a_wrong_spacing_is_said(text):
    with pytest.raises(InputError, match="--spacing"):
        read_spacings(text)


def test_hc18s_own_table_is_read_and_a_wrong_cell_named(tmp_path):
    table = tmp_path / "hc18.csv"
    table.write_text("filename,pixel size(mm),head circumference (mm)\na.png,0.5,100\n")
    assert read_spacings(str(table)).by_name == {"a.png": 0.5}
    for cell in ("-1", "1e-320", "1000"):
        table.write_text(f"image,mm_per_px\na.png,0.5\nb.png,{cell}\n")
        with pytest.raises(InputError, match=r"line 3, column 'mm_per_px': .* from 0\.0001 to 100, got"):
            read_spacings(str(table))
    table.write_text("picture,mm\na.png,0.5\n")
    with pytest.raises(InputError, match="'image', 'mm_per_px'"):
        read_spacings(str(table))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("filename,pixel size(mm)\na.png,0.5\na.png,0.6\n", r"line 3, column 'filename': .* which line 2 has too"),
        ("filename,pixel size(mm)\na.png,0.5,100\n", "line 2: expected 2 cells"),
        ("filename,pixel size(mm)\n", "at least one row"),
        ("filename,mm\na.png,0.5\n", r"got 'filename', 'mm'; missing: 'pixel size\(mm\)'"),
        ("filename;pixel size(mm)\na.png;0.5\n", "expected the columns 'image', 'mm_per_px'"),
        ("image,filename,pixel size(mm)\na.png,b.png,0.5\nc.png,b.png,0.5\n", "'b.png', which line 2 has too"),
    ],
)
def test_what_is_wrong_with_a_table_in_hc18s_layout_is_named(tmp_path, text, message):
    table = tmp_path / "hc18.csv"
    table.write_text(text)
    with pytest.raises(InputError, match=message):
        read_spacings(str(table))


def test_a_spacing_csv_with_a_name_that_no_file_has_is_refused(tmp_path):
    table = tmp_path / "spacings.csv"
    table.write_text("image,mm_per_px\na\0b.png,0.1\n")
    with pytest.raises(InputError, match="which no file has"):
        read_spacings(str(table))
