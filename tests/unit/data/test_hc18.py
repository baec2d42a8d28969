from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from fetal_lm.biometry import diameters
from fetal_lm.data.adapters.hc18 import SPACING_CSV, Hc18, NoEllipseError, axis_ends, read_circumferences
from fetal_lm.errors import InputError
from fetal_lm.landmarks import canonical_order


def drawn_ring(size, centre, radii, degrees, width):
    """All pixels whose centres lie within half a width of an ellipse (along the gradient), without any cv2."""
    rows, columns = np.indices(size)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    x, y = columns - centre[0], rows - centre[1]
    along, across = x * cos + y * sin, -x * sin + y * cos
    value = np.hypot(along / radii[0], across / radii[1])
    slope = np.hypot(along / radii[0] ** 2, across / radii[1] ** 2) / np.maximum(value, 1e-9)
    distance = (value - 1) / np.maximum(slope, 1e-9)
    return np.where(np.abs(distance) <= width / 2, 255, 0).astype(np.uint8)


def true_ends(centre, radii, degrees):
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    along, across = radii[0] * np.array([cos, sin]), radii[1] * np.array([-sin, cos])
    return canonical_order(np.array(centre) + np.stack([-along, along, -across, across]))


@pytest.mark.parametrize("width", [1.5, 2, 3])
def test_axis_ends_have_no_bias_and_no_outlier(width):
    generator = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        centre, radii = generator.uniform((150, 100), (170, 110)), np.array([90, 70]) * generator.uniform(0.8, 1.0)
        degrees = generator.uniform(-89, 89)
        found = axis_ends(drawn_ring((212, 320), centre, radii, degrees, width))
        errors.append(found - true_ends(centre, radii, degrees))
    errors = np.array(errors)
    # A convention with pixel corners on integers would be 0.5 px off in x and in y.
    assert np.abs(errors.mean(axis=(0, 1))).max() < 0.03
    assert np.abs(errors).max() < 1.0


@pytest.mark.parametrize("width", [1, 2, 3])
def test_diameters_have_no_bias(width):
    generator = np.random.default_rng(1)
    off = []
    for _ in range(40):
        centre, radii = generator.uniform((150, 100), (170, 110)), np.array([90, 70]) * generator.uniform(0.8, 1.0)
        found = diameters(axis_ends(drawn_ring((212, 320), centre, radii, generator.uniform(-89, 89), width)))
        off.append([found["ofd"] - 2 * radii[0], found["bpd"] - 2 * radii[1]])
    # A wide ring has more pixels outside its centre line than inside: 0.05 px at 3 px width, which is 0.01 mm.
    assert np.abs(np.mean(off, axis=0)).max() < 0.08
    assert np.abs(off).max() < 0.3


def test_the_middle_of_cv2s_own_ring_is_where_it_was_drawn():
    outline = np.zeros((54, 80), np.uint8)
    cv2.ellipse(outline, (40, 27), (30, 20), 0, 0, 360, 255, 1)
    ends = axis_ends(outline)
    np.testing.assert_allclose(ends, [[10, 27], [70, 27], [40, 7], [40, 47]], atol=0.3)
    np.testing.assert_allclose(ends.mean(axis=0), [40, 27], atol=0.05)


def test_a_ring_that_the_frame_cuts_is_one_ellipse_still():
    whole = drawn_ring((212, 320), (160, 60), (90, 70), 5, 3)
    assert whole[0].any()
    np.testing.assert_allclose(axis_ends(whole), true_ends((160, 60), (90, 70), 5), atol=0.6)


def test_a_mask_of_zeros_and_ones_is_a_ring_too():
    outline = drawn_ring((54, 80), (40, 27), (24, 18), 20, 2)
    np.testing.assert_array_equal(axis_ends(outline // 255), axis_ends(outline))


def two_rings():
    return np.maximum(drawn_ring((54, 80), (20, 27), (14, 10), 0, 2), drawn_ring((54, 80), (60, 27), (14, 10), 0, 2))


def ring_in_ring():
    return np.maximum(
        drawn_ring((212, 320), (160, 106), (90, 70), 0, 2), drawn_ring((212, 320), (160, 106), (60, 45), 0, 2)
    )


def filled():
    return drawn_ring((54, 80), (40, 27), (24, 18), 20, 2) | cv2.ellipse(
        np.zeros((54, 80), np.uint8), (40, 27), (24, 18), 20, 0, 360, 255, -1
    )


def with_lines(*lines):
    outline = np.zeros((54, 80), np.uint8)
    for start, end in lines:
        cv2.line(outline, start, end, 255, 1)
    return outline


BAD_OUTLINES = {
    "black": (np.zeros((54, 80), np.uint8), "black"),
    "white": (np.full((54, 80), 255, np.uint8), "filled"),
    "three pixels": (with_lines(((4, 5), (6, 5))), "only 3 pixels"),
    "dot": (np.pad(np.full((3, 3), 255, np.uint8), ((20, 31), (40, 37))), "filled|no ellipse"),
    "horizontal line": (with_lines(((4, 5), (60, 5))), "no ring|no ellipse"),
    "slanted line": (with_lines(((4, 5), (60, 40))), "no ring|no ellipse|px from"),
    "cross": (with_lines(((4, 5), (60, 40)), ((60, 5), (4, 40))), "no ring|px from"),
    "two rings": (two_rings(), "two rings"),
    "ring in ring": (ring_in_ring(), "two rings"),
    "filled": (filled(), "filled"),
    "stray mark": (np.maximum(drawn_ring((212, 320), (160, 106), (90, 70), 0, 2), np.pad([[255]], ((5, 206), (5, 314)))
    ).astype(np.uint8), "stray mark"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_OUTLINES)
def test_what_is_not_one_ring_is_an_error(name):
    outline, message = BAD_OUTLINES[name]
    with pytest.raises(NoEllipseError, match=message):
        axis_ends(outline)


def test_records_have_names_examinations_sizes_and_spacings(make_hc18):
    source = Hc18(str(make_hc18()))
    records = source.records()
    assert [record.image for record in records] == ["000_HC.png", "001_HC.png", "001_2HC.png", "002_HC.png"]
    assert [record.examination for record in records] == ["000", "001", "001", "002"]
    assert {record.size_orig for record in records} == {(54, 80)}
    assert {record.mm_per_px for record in records} == {0.5}
    # The last head's long axis is the second one: its OFD is 48 px long although drawn across.
    lengths = diameters(records[3].points_orig)
    assert lengths["ofd"] == pytest.approx(48, abs=0.6)
    assert lengths["bpd"] == pytest.approx(32, abs=0.6)
    for record in records:
        np.testing.assert_array_equal(canonical_order(record.points_orig), record.points_orig)


def test_the_csvs_circumferences_are_read_by_name(make_hc18):
    path = make_hc18() / SPACING_CSV
    path.write_text(path.read_text().replace("001_2HC.png,0.5,100.0", "001_2HC.png,0.5,123.25"))
    lengths_mm = {"000_HC.png": 100.0, "001_HC.png": 100.0, "001_2HC.png": 123.25, "002_HC.png": 100.0}
    assert read_circumferences(path) == lengths_mm
    path.write_text(path.read_text().replace("123.25", "0"))
    with pytest.raises(
        InputError, match=r"line 4, column 'head circumference \(mm\)': expected millimetres above 0, got 0"
    ):
        read_circumferences(path)


def test_images_are_read_and_keyed_by_content(make_hc18):
    root = make_hc18()
    source = Hc18(root)
    record, other = source.records()[:2]
    path = root / "training_set" / record.image
    np.testing.assert_array_equal(source.read(record), cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    before = source.content_key(record)
    assert before != source.content_key(other)
    cv2.imwrite(str(path), source.read(record) ^ 1)
    assert source.content_key(record) != before


def test_an_image_without_a_row_and_a_row_without_an_image_are_named(make_hc18):
    root = make_hc18()
    (root / "training_set" / "000_HC.png").rename(root / "training_set" / "777_HC.png")
    with pytest.raises(InputError, match=r"expected an image for each row, got none for 000_HC\.png"):
        Hc18(root).records()
    (root / "training_set" / "000_HC.png").write_bytes((root / "training_set" / "777_HC.png").read_bytes())
    with pytest.raises(InputError, match=r"expected a row for each image, got none for 777_HC\.png"):
        Hc18(root).records()


def test_many_missing_images_are_counted(make_hc18):
    root = make_hc18()
    lines = "\n".join(f"{number}_HC.png,0.5,100" for number in range(100, 110))
    with (root / SPACING_CSV).open("a") as handle:
        handle.write(lines)
    with pytest.raises(InputError, match=r"100_HC\.png, .*104_HC\.png and 5 more"):
        Hc18(root).records()


def test_hidden_files_are_no_images(make_hc18):
    root = make_hc18()
    (root / "training_set" / "._000_HC.png").write_bytes(b"resource fork")
    assert len(Hc18(root).records()) == 4


def test_a_missing_or_damaged_outline_is_named(make_hc18):
    root = make_hc18()
    outline = root / "training_set" / "001_HC_Annotation.png"
    cv2.imwrite(str(outline), two_rings())
    with pytest.raises(InputError, match=r"001_HC_Annotation\.png: expected one ellipse drawn as a ring .*two rings"):
        Hc18(root).records()
    cv2.imwrite(str(outline), np.zeros((54, 81), np.uint8))
    with pytest.raises(InputError, match="expected 80 x 54 px"):
        Hc18(root).records()
    outline.unlink()
    with pytest.raises(InputError, match=r"001_HC_Annotation\.png: cannot be read"):
        Hc18(root).records()


def test_a_missing_folder_is_an_error(tmp_path, make_hc18):
    with pytest.raises(InputError, match=r"nowhere.*cannot be read"):
        Hc18(tmp_path / "nowhere").records()
    root = make_hc18()
    with pytest.raises(InputError, match=r"cannot be read .*check the folder"):
        Hc18(root / "training_set").records()


HEADER = "filename,pixel size(mm),head circumference (mm)"
BAD_CSVS = {
    "empty": ("", "expected the columns 'filename', 'pixel size.mm.' in the first line, got none"),
    "header only": (HEADER, "expected at least one row"),
    "no column": ("filename,pixels\n000_HC.png,0.5", "missing: 'pixel size.mm.'"),
    "column twice": ("filename,pixel size(mm),filename\na,1,a", "more than once"),
    "text": (f"{HEADER}\n000_HC.png,wide,100", "line 2, column 'pixel size.mm.': expected a finite number, got 'wide'"),
    "nan": (f"{HEADER}\n000_HC.png,nan,100", "expected a finite number, got 'nan'"),
    "infinite": (f"{HEADER}\n000_HC.png,inf,100", "expected a finite number, got 'inf'"),
    "nothing": (f"{HEADER}\n000_HC.png,,100", "expected a value, got nothing"),
    "zero": (f"{HEADER}\n000_HC.png,0,100", "line 2.*above 0, got 0"),
    "negative": (f"{HEADER}\n\n000_HC.png,-0.1,100", "line 3.*above 0, got -0.1"),
    "twice": (f"{HEADER}\na.png,1,9\nb.png,1,9\na.png,1,9", "line 4.*got 'a.png', which line 2 has too"),
    "short row": (f"{HEADER}\n000_HC.png,0.5", "line 2: expected 3 cells as in the first line, got 2"),
}


@pytest.mark.parametrize("name", BAD_CSVS)
def test_a_bad_csv_is_one_clear_error(make_hc18, name):
    root = make_hc18()
    content, message = BAD_CSVS[name]
    (root / SPACING_CSV).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        Hc18(root).records()
    assert str(root / SPACING_CSV) in str(caught.value)


def test_a_csv_that_is_no_text_is_an_error(make_hc18):
    root = make_hc18()
    (root / SPACING_CSV).write_bytes(b"\xff\xfe\x00spreadsheet")
    with pytest.raises(InputError, match="expected a CSV in UTF-8"):
        Hc18(root).records()


def test_a_csv_with_a_byte_order_mark_and_windows_lines_is_read(make_hc18):
    root = make_hc18()
    text = (root / SPACING_CSV).read_text().replace("\n", "\r\n")
    (root / SPACING_CSV).write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert len(Hc18(root).records()) == 4


def test_real_outlines_give_the_officially_measured_circumference(hc18_root):
    with (hc18_root / SPACING_CSV).open() as handle:
        official = {row["filename"]: float(row["head circumference (mm)"]) for row in csv.DictReader(handle)}
    records = Hc18(hc18_root).records()
    assert len(records) == len(official)
    off_mm = np.array([
        diameters(record.points_orig, record.mm_per_px)["hc"] - official[record.image] for record in records
    ])  # fmt: skip
    assert abs(off_mm.mean()) < 0.02
    assert np.abs(off_mm).mean() < 0.03
    assert np.abs(off_mm).max() < 0.2


def test_only_some_images_are_used_where_a_csv_names_them(make_hc18, tmp_path):
    root = make_hc18()
    only = tmp_path / "only.csv"
    only.write_text("image_name,note\n002_HC.png,a\n000_HC.png,b\n")
    assert [record.image for record in Hc18(root, only=only).records()] == ["000_HC.png", "002_HC.png"]
    only.write_text("image_name\n777_HC.png\n")
    with pytest.raises(InputError, match=r"777_HC\.png"):
        Hc18(root, only=only).records()
