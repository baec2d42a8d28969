from __future__ import annotations

import math

import numpy as np
import pytest

from fetal_lm.data.adapters.challenge import LABEL_CSV, Challenge
from fetal_lm.errors import InputError

HEADER = "image_name,ofd_1_x,ofd_1_y,ofd_2_x,ofd_2_y,bpd_1_x,bpd_1_y,bpd_2_x,bpd_2_y"
ROW = "001_2HC.png,41,9,40,46,70.5,28,12,26"


@pytest.fixture
def make_challenge(make_hc18):
    def make(*lines, name=LABEL_CSV):
        root = make_hc18()
        (root / name).write_text("\n".join(lines))
        return root

    return make


def test_labels_are_kept_as_labelled(make_challenge):
    (record,) = Challenge(make_challenge(HEADER, ROW)).records()
    # The short axis is called OFD and neither pair is in canonical order: both stay.
    assert record.points_orig.tolist() == [[41, 9], [40, 46], [70.5, 28], [12, 26]]
    assert (record.image, record.examination, record.size_orig, record.mm_per_px) == (
        "001_2HC.png",
        "001",
        (54, 80),
        0.5,
    )


def test_the_longest_pair_is_the_ofd_if_wanted(make_challenge):
    right = "002_HC.png,12,26,70.5,28,41,9,40,46"
    records = Challenge(make_challenge(HEADER, ROW, right), ofd="longest").records()
    assert records[0].points_orig.tolist() == [[70.5, 28], [12, 26], [41, 9], [40, 46]]
    assert records[1].points_orig.tolist() == [[12, 26], [70.5, 28], [41, 9], [40, 46]]
    with pytest.raises(InputError, match="expected 'labelled' or 'longest', got 'shortest'"):
        Challenge("anywhere", ofd="shortest")


def test_columns_are_found_by_name(make_challenge):
    order = [8, 0, 3, 2, 1, 4, 5, 6, 7]
    shuffled = [",".join(np.array(line.split(","))[order]) + ",0" for line in (HEADER, ROW)]
    (record,) = Challenge(make_challenge(*shuffled)).records()
    assert record.points_orig.tolist() == [[41, 9], [40, 46], [70.5, 28], [12, 26]]


def test_a_column_without_a_name_as_pandas_writes_its_index_says_nothing(make_challenge):
    source = Challenge(make_challenge(f",{HEADER}", f"7,{ROW}"))
    (record,) = source.records()
    (row,) = source.rows()
    assert (record.part, record.mm_per_px) == (row.part, row.mm_per_px) == ("", 0.5)
    assert row.problems == ()


def test_images_may_lie_in_the_root_and_the_spacing_may_be_unknown(make_challenge):
    root = make_challenge(HEADER, ROW) / "training_set"
    source = Challenge(root, root.parent / LABEL_CSV)
    (record,) = source.records()
    assert math.isnan(record.mm_per_px)
    assert source.read(record).shape == (54, 80)
    assert source.content_key(record) == Challenge(root.parent).content_key(record)


def test_an_image_that_the_spacing_csv_lacks_has_an_unknown_spacing(make_challenge):
    root = make_challenge(HEADER, ROW)
    (root / "training_set_pixel_size_and_HC.csv").write_text("filename,pixel size(mm)\n000_HC.png,0.5\n")
    assert math.isnan(Challenge(root).records()[0].mm_per_px)


def test_points_outside_are_an_error_that_lists_every_row_or_are_kept(make_challenge):
    outside = ["000_HC.png,41,-1,40,46,70,28,12,26", "002_HC.png,41,9,40,53.6,80,28,12,26"]
    root = make_challenge(HEADER, ROW, *outside)
    with pytest.raises(InputError, match="got 2 of 3 rows with points outside") as caught:
        Challenge(root).records()
    assert "line 3 (000_HC.png, 80 x 54 px): ofd_1 (41, -1)" in str(caught.value)
    assert "line 4 (002_HC.png, 80 x 54 px): ofd_2 (40, 53.6), bpd_1 (80, 28)" in str(caught.value)
    kept = Challenge(root, outside="keep").records()
    assert kept[1].points_orig[0].tolist() == [41, -1]


def test_the_border_of_the_outermost_pixels_is_inside(make_challenge):
    (record,) = Challenge(make_challenge(HEADER, "000_HC.png,-0.5,-0.5,79.5,53.5,0,0,79,53")).records()
    assert record.points_orig[1].tolist() == [79.5, 53.5]


BAD_CSVS = {
    "empty": ([""], "expected the columns 'image_name', 'ofd_1_x'.*got none"),
    "header only": ([HEADER], "expected at least one row"),
    "no column": ([HEADER.replace("bpd_2_y", "bpd_y"), ROW], "missing: 'bpd_2_y'"),
    "text": ([HEADER, ROW.replace("70.5", "left")], "line 2, column 'bpd_1_x': expected a finite number, got 'left'"),
    "nan": ([HEADER, ROW.replace("70.5", "NaN")], "line 2, column 'bpd_1_x': expected a finite number, got 'NaN'"),
    "nothing": ([HEADER, ROW.replace("70.5", "")], "line 2, column 'bpd_1_x': expected a value, got nothing"),
    "twice": ([HEADER, ROW, ROW], "line 3.*got '001_2HC.png', which line 2 has too"),
    "no image": (
        [HEADER, ROW, ROW.replace("001_2", "900_")],
        "line 3, column 'image_name': .*900_HC.png; add the image",
    ),
}


@pytest.mark.parametrize("name", BAD_CSVS)
def test_a_bad_csv_is_one_clear_error(make_challenge, name):
    lines, message = BAD_CSVS[name]
    with pytest.raises(InputError, match=message) as caught:
        Challenge(make_challenge(*lines)).records()
    assert LABEL_CSV in str(caught.value)


def test_missing_files_are_errors(tmp_path, make_hc18):
    with pytest.raises(InputError, match=f"{LABEL_CSV}: cannot be read"):
        Challenge(tmp_path / "nowhere").records()
    with pytest.raises(InputError, match=r"other\.csv: cannot be read"):
        Challenge(make_hc18(), tmp_path / "other.csv").records()


def test_an_unknown_option_is_an_error(tmp_path):
    with pytest.raises(InputError, match="expected 'error' or 'keep', got 'clip'"):
        Challenge(tmp_path, outside="clip")


def test_the_real_labels_are_all_inside_and_have_spacings(hc18_root):
    records = Challenge(hc18_root).records()
    assert len(records) == 504
    assert all(0 < record.mm_per_px < 1 for record in records)
