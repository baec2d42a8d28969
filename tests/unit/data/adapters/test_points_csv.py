"""What the sources with a CSV of points share, and what a folder of one's own and the benchmark's table add to it."""

from __future__ import annotations

import csv
import logging
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from fetal_lm.data.adapters.folder import Folder
from fetal_lm.data.adapters.multicentre import Multicentre, subject
from fetal_lm.data.rows import Auditable
from fetal_lm.errors import InputError

POINTS = {
    "ofd_1_x": "10",
    "ofd_1_y": "20.5",
    "ofd_2_x": "70",
    "ofd_2_y": "22",
    "bpd_1_x": "41",
    "bpd_1_y": "4",
    "bpd_2_x": "40",
    "bpd_2_y": "50",
}
POINTS_ORIG = [[10, 20.5], [70, 22], [41, 4], [40, 50]]

OWN = {"image": "a.png", **POINTS}
FULL = {**OWN, "mm_per_px": "0.25", "examination": "anna", "part": "train"}
BENCHMARK = {
    "index": "0",
    "image_name": "001_HC.png",
    "scale": "1.8",
    "center_w": "400.0",
    "center_h": "270.0",
    **POINTS,
    "SubjectID": "",
    "px_to_mm_rate": "0.25",
    "Algo": "",
    "Split": "Train",
}
MAKE = {
    "folder": (Folder, FULL, "image", "labels.csv"),
    "multicentre": (Multicentre, BENCHMARK, "image_name", "Head.csv"),
}

both = pytest.mark.parametrize("kind", MAKE)


@pytest.fixture
def write(tmp_path):
    """Writes rows as a CSV beside grey images of 80 x 54 px; names ending in .jpg become JPEGs."""

    def write(rows, name="labels.csv", images=None):
        root = tmp_path / "data"
        generator = np.random.default_rng(0)
        column = "image" if "image" in rows[0] else "image_name"
        for row in rows:
            path = (images or root) / row[column]
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), generator.integers(0, 256, (54, 80), dtype=np.uint8))
        root.mkdir(exist_ok=True)
        with (root / name).open("w", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return root

    return write


def test_a_folder_with_all_columns(write):
    rows = [FULL, {**FULL, "image": "more/b.jpg", "mm_per_px": "", "part": "TEST"}]
    source = Folder(write(rows))
    first, second = source.records()
    assert first.points_orig.tolist() == POINTS_ORIG
    assert (first.image, first.examination, first.size_orig, first.mm_per_px, first.part) == (
        "a.png",
        "anna",
        (54, 80),
        0.25,
        "train",
    )
    assert (second.image, second.size_orig, second.part) == ("more/b.jpg", (54, 80), "test")
    assert math.isnan(second.mm_per_px)
    assert source.read(second).shape == (54, 80)
    assert source.content_key(first) != source.content_key(second)
    assert source.path(second) == source.csv.parent / "more" / "b.jpg"


def test_without_examinations_each_image_is_its_own_and_a_warning_counts_them(write, caplog):
    root = write([OWN, {**OWN, "image": "b.png"}])
    with caplog.at_level(logging.WARNING):
        records = Folder(root).records()
    assert [record.examination for record in records] == ["a.png", "b.png"]
    assert [record.part for record in records] == ["", ""]
    assert all(math.isnan(record.mm_per_px) for record in records)
    assert "no examination for 2 of 2 images" in caplog.text


def test_an_empty_examination_is_never_shared(write, caplog):
    rows = [{**FULL, "image": f"{number}.png", "examination": "" if number else "x"} for number in range(3)]
    with caplog.at_level(logging.WARNING):
        records = Folder(write(rows)).records()
    assert [record.examination for record in records] == ["x", "1.png", "2.png"]
    assert "no examination for 2 of 3 images" in caplog.text


def test_the_benchmarks_table(write):
    rows = [
        BENCHMARK,
        {**BENCHMARK, "image_name": "001_2HC.jpg", "px_to_mm_rate": "", "Split": "Test"},
        {**BENCHMARK, "image_name": "Patient00683_Plane3_1_of_2.png", "SubjectID": "683.0"},
    ]
    source = Multicentre(write(rows, "Head.csv"))
    records = source.records()
    assert [record.examination for record in records] == ["001", "001", "subject-683"]
    assert [record.part for record in records] == ["train", "test", "train"]
    assert [record.mm_per_px for record in records] == pytest.approx([0.25, math.nan, 0.25], nan_ok=True)
    assert records[0].points_orig.tolist() == POINTS_ORIG


def test_a_row_of_the_benchmark_that_names_nobody_is_warned_of(write, caplog):
    with caplog.at_level(logging.WARNING):
        Multicentre(write([BENCHMARK], "Head.csv")).records()
        assert not caplog.text
        Multicentre(write([BENCHMARK, {**BENCHMARK, "image_name": "Head/head.png"}], "Head.csv")).records()
    assert "no examination for 1 of 2 images" in caplog.text


def test_the_benchmarks_images_may_lie_elsewhere(write, tmp_path):
    root = write([BENCHMARK], "Head_Test.csv", images=tmp_path / "images" / "Head")
    with pytest.raises(InputError, match=r"Head_Test\.csv, line 2, column 'image_name': .*add the image"):
        Multicentre(root, root / "Head_Test.csv").records()
    source = Multicentre(root, root / "Head_Test.csv", tmp_path / "images" / "Head")
    assert source.read(source.records()[0]).shape == (54, 80)


@pytest.mark.parametrize(
    ("subject_id", "image", "expected"),
    [
        ("683", "x.png", "subject-683"),
        ("683.0", "x.png", "subject-683"),
        ("00683", "x.png", "subject-683"),
        ("1000", "x.png", "subject-1000"),
        ("0", "x.png", "subject-0"),
        ("UCL-7", "x.png", "subject-UCL-7"),
        ("", "Patient00683_Plane3_2_of_2.png", "subject-683"),
        ("", "Head/Patient00683_Plane3_1_of_2.png", "subject-683"),
        ("", "683_HC.png", "683"),
        ("", "Head/683_2HC.png", "683"),
        ("", "114_22HC.jpeg", "114"),
        ("", "a_HC_b.png", "a_HC_b.png"),
        ("", "Head/Patient.png", "Head/Patient.png"),
    ],
)
def test_whose_head_a_row_of_the_benchmark_shows(subject_id, image, expected):
    assert subject(subject_id, image) == expected


BAD_CELLS = {
    "text": ({"bpd_1_x": "left"}, "line 3, column 'bpd_1_x': expected a finite number, got 'left'"),
    "nan": ({"bpd_1_x": "nan"}, "line 3, column 'bpd_1_x': expected a finite number, got 'nan'"),
    "nothing": ({"ofd_2_y": ""}, "line 3, column 'ofd_2_y': expected a value, got nothing"),
    "outside": ({"ofd_2_x": "79.6"}, r"got 1 of 2 rows with points outside.*\n  line 3 \(b.png, 80 x 54 px\): ofd_2"),
}


@both
@pytest.mark.parametrize("case", BAD_CELLS)
def test_a_bad_cell_is_one_clear_error(write, kind, case):
    make, row, column, name = MAKE[kind]
    cells, message = BAD_CELLS[case]
    root = write([row, {**row, column: "b.png", **cells}], name)
    with pytest.raises(InputError, match=message) as caught:
        make(root).records()
    assert str(root / name) in str(caught.value)


@both
@pytest.mark.parametrize("spacing", ["0", "-0.1", "half", "inf"])
def test_a_spacing_is_a_number_above_0_or_nothing(write, kind, spacing):
    make, row, _, name = MAKE[kind]
    column = make.spacing_column
    with pytest.raises(InputError, match=f"line 2, column '{column}': expected .* got '?{spacing}"):
        make(write([{**row, column: spacing}], name)).records()


@both
def test_an_unknown_part_is_an_error_and_an_empty_one_is_none(write, kind):
    make, row, column, name = MAKE[kind]
    part = make.part_column
    root = write([{**row, part: ""}, {**row, column: "b.png", part: "Dev"}], name)
    with pytest.raises(InputError, match=f"line 3, column '{part}': expected 'train', .*'test' or nothing, got 'Dev'"):
        make(root).records()
    assert make(write([{**row, part: ""}], name)).records()[0].part == ""


def test_the_benchmark_knows_no_part_val(write):
    with pytest.raises(InputError, match="expected 'train', 'test' or nothing, got 'val'"):
        Multicentre(write([{**BENCHMARK, "Split": "val"}], "Head.csv")).records()


@both
def test_other_bad_files_are_errors(write, tmp_path, kind):
    make, row, column, name = MAKE[kind]
    with pytest.raises(InputError, match=f"{name}: cannot be read"):
        make(tmp_path / "nowhere").records()
    with pytest.raises(InputError, match="missing: 'bpd_2_y'"):
        make(write([{key: cell for key, cell in row.items() if key != "bpd_2_y"}], name)).records()
    with pytest.raises(InputError, match=f"line 3, column '{column}': expected each name once"):
        make(write([row, row], name)).records()
    root = write([row], name)
    (root / row[column]).unlink()
    with pytest.raises(InputError, match=f"line 2, column '{column}': expected an image in the folder"):
        make(root).records()
    with pytest.raises(InputError, match="expected 'error' or 'keep', got 'clip'"):
        make(root, outside="clip")


@pytest.mark.parametrize("column", ["SubjectID", "px_to_mm_rate", "Split"])
def test_the_benchmark_needs_its_columns(write, column):
    with pytest.raises(InputError, match=f"missing: '{column}'"):
        Multicentre(write([{k: v for k, v in BENCHMARK.items() if k != column}], "Head.csv")).records()


def test_an_optional_column_twice_is_an_error(write):
    root = write([FULL])
    path = root / "labels.csv"
    path.write_text(path.read_text().replace("part\n", "part,mm_per_px\n").replace("train\n", "train,0.5\n"))
    with pytest.raises(InputError, match="'mm_per_px' more than once"):
        Folder(root).records()


def test_points_outside_may_be_kept(write):
    root = write([{**FULL, "bpd_1_y": "-7"}])
    assert Folder(root, outside="keep").records()[0].points_orig[2].tolist() == [41, -7]


@both
def test_rows_are_passed_on_unchecked_with_what_is_wrong(write, kind):
    make, row, column, name = MAKE[kind]
    rows = [
        row,
        {**row, column: "b.png", "bpd_1_x": "left", make.spacing_column: "-2", make.part_column: "Dev"},
        {**row, column: "gone.png", "ofd_1_x": "-500", make.spacing_column: ""},
    ]
    root = write(rows, name)
    (root / "gone.png").unlink()
    with (root / name).open("a") as handle:
        handle.write("short\n")
    source = make(root)
    assert isinstance(source, Auditable)
    good, bad, gone, short = source.rows()
    assert good.points_orig.tolist() == POINTS_ORIG
    assert (good.image, good.line, good.part, good.mm_per_px, good.problems) == (row[column], 2, "train", 0.25, ())
    assert good.path == root / row[column]
    assert math.isnan(bad.points_orig[2, 0])
    assert bad.points_orig[2, 1] == 4
    assert (bad.mm_per_px, bad.part) == (-2, "")
    assert len(bad.problems) == 2
    assert bad.problems[0].startswith("bpd_1_x: expected a finite number, got 'left'")
    assert "got 'Dev'" in bad.problems[1]
    assert (gone.points_orig[0, 0], gone.problems) == (-500, ())
    assert math.isnan(gone.mm_per_px)
    assert short.line == 5
    assert any("cells as in the first line, got 1" in problem for problem in short.problems)
    assert np.isnan(short.points_orig).sum() >= 7


def test_rows_say_nothing_of_an_examination_that_is_not_given(write):
    (row,) = Folder(write([OWN])).rows()
    assert row.examination == ""


@both
def test_rows_of_no_file_or_other_columns_are_an_error(write, tmp_path, kind):
    make, row, _, name = MAKE[kind]
    with pytest.raises(InputError, match="cannot be read"):
        next(make(tmp_path / "nowhere").rows())
    root = write([{key: cell for key, cell in row.items() if key != "ofd_1_x"}], name)
    with pytest.raises(InputError, match="'ofd_1_x'"):
        next(make(root).rows())
    Path(root / name).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="expected a CSV in UTF-8"):
        next(make(root).rows())
