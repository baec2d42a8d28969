"""From points to rows and pictures: everything behind the network."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest

from fetal_lm.data.adapters.hc18 import Hc18
from fetal_lm.data.images import grey_of
from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import UNKNOWN, Spacing
from fetal_lm.predict.measurement import DARK, brightness_of, measurement_of
from fetal_lm.predict.overlay import draw_overlay
from fetal_lm.predict.table import COLUMNS, Table, failed_row, measured_row, write_json

HEAD = np.array([[100.0, 150.0], [300.0, 150.0], [200.0, 70.0], [200.0, 230.0]])
SURE = np.array([0.9, 0.8, 1.0, 0.7])
SIZE = (300, 420)
MADE_WITH = {"model": "a", "spacing": "0.5"}


SQUARE = Spacing(0.5, 0.5)


def measured(points=HEAD, sure=SURE, spacing=SQUARE):
    return measurement_of(points, sure, spacing=spacing, size_orig=SIZE)


def test_a_good_head_is_measured_and_trusted():
    head = measured()
    assert (head.bpd_mm, head.ofd_mm, head.cephalic_index) == (80.0, 100.0, 0.8)
    # By hand: Ramanujan with axes 80 and 100 mm, h = 1 / 81.
    assert head.hc_mm == pytest.approx(math.pi * 90 * (1 + (3 / 81) / (10 + math.sqrt(4 - 3 / 81))), abs=1e-6)
    assert head.ga_weeks == pytest.approx(8.96 + 0.54 * 28.3617 + 0.0003 * 28.3617**3, abs=1e-3)
    assert head.flags == ()
    assert head.trusted


def test_pixels_need_not_be_square():
    head = measured(spacing=Spacing(0.4, 0.5))
    assert (head.bpd_mm, head.ofd_mm, head.cephalic_index) == (80.0, 80.0, 1.0)


def test_without_a_spacing_there_are_no_millimetres_but_an_index():
    head = measured(spacing=UNKNOWN)
    assert all(math.isnan(value) for value in (head.bpd_mm, head.ofd_mm, head.hc_mm, head.ga_weeks))
    assert head.cephalic_index == 0.8
    assert head.trusted


@pytest.mark.parametrize(
    ("points", "sure", "spacing", "flag"),
    [
        (np.where(np.arange(4)[:, None] == 1, np.nan, HEAD), SURE, UNKNOWN, "not found: ofd_2"),
        (HEAD, np.array([0.9, 0.1, 1.0, np.nan]), UNKNOWN, "low confidence: ofd_2, bpd_2"),
        (HEAD + np.array([130, 0]), SURE, UNKNOWN, "outside the image: ofd_2"),
        (HEAD + np.array([[0, 0], [0, 0], [40, 0], [40, 0]]), SURE, UNKNOWN, "do not bisect"),
        (HEAD + np.array([[0, 0], [0, 0], [40, 0], [-40, 0]]), SURE, UNKNOWN, "right angles"),
        (HEAD + np.array([[0, 0], [0, 0], [0, 40], [0, -40]]), SURE, UNKNOWN, "cephalic index 0.40 outside"),
        (HEAD[[2, 3, 0, 1]], SURE, UNKNOWN, "cephalic index 1.25 outside"),
        (HEAD, SURE, Spacing(5.0, 5.0), "is the spacing right"),
    ],
)
def test_each_reason_for_distrust_is_said(points, sure, spacing, flag):
    (said,) = measured(points, sure, spacing).flags
    assert flag in said


def test_doubts_about_the_spacing_are_said():
    head = measurement_of(HEAD, SURE, spacing=SQUARE, size_orig=SIZE, doubts=["lies somewhere else"])
    assert head.flags == ("lies somewhere else",)


def test_a_dark_image_is_said():
    head = measurement_of(HEAD, SURE, spacing=SQUARE, size_orig=SIZE, brightness=DARK - 1)
    assert head.flags == ("dark: its brightest pixels have 127 of 255; scale its grey values up to the full range",)
    assert measurement_of(HEAD, SURE, spacing=SQUARE, size_orig=SIZE, brightness=DARK).trusted


@pytest.mark.parametrize("bits", [12, 15])
def test_16_bits_that_are_not_filled_are_dark_whatever_is_written_on_them(bits):
    deep = np.random.default_rng(0).integers(0, 2**bits, (300, 420), dtype=np.uint16)
    assert brightness_of(grey_of(deep)) == round((2**bits - 1) / 257) < DARK
    deep[:2, :50] = 65535
    assert brightness_of(grey_of(deep)) < DARK
    assert brightness_of(grey_of(deep << (16 - bits))) >= 254


def test_no_image_of_hc18_is_dark(hc18_root):
    source = Hc18(root=hc18_root)
    assert min(brightness_of(source.read(record)) for record in source.records()) == 146


def test_a_model_may_bring_its_own_bound_of_confidence():
    head = measurement_of(HEAD, SURE, spacing=SQUARE, size_orig=SIZE, low_confidence=0.75)
    assert head.flags == ("low confidence: bpd_2",)


def rows_of(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def test_the_columns_are_those_that_were_promised(tmp_path):
    assert COLUMNS == (
        "image", "frame", "ofd_1_x", "ofd_1_y", "ofd_2_x", "ofd_2_y", "bpd_1_x", "bpd_1_y", "bpd_2_x", "bpd_2_y",
        "bpd_mm", "ofd_mm", "hc_mm", "cephalic_index", "ga_weeks", "ga_formula", "ofd_1_confidence",
        "ofd_2_confidence", "bpd_1_confidence", "bpd_2_confidence", "flag", "error",
    )  # fmt: skip
    with Table(tmp_path, resume=False, made_with=MADE_WITH) as table:
        table.append([measured_row("a, b.png", 1, measured()), failed_row("c.png", "two\nlines")])
    good, bad = rows_of(tmp_path / "measurements.csv")
    assert good["image"] == "a, b.png"
    assert (good["ofd_2_x"], good["bpd_mm"], good["ga_formula"]) == ("300.0000", "80.0000", "Hadlock 1984 (HC)")
    assert (bad["image"], bad["frame"], bad["ofd_1_x"], bad["error"]) == ("c.png", "", "", "two lines")
    write_json(tmp_path / "measurements.csv", tmp_path / "m.json")
    first, second = json.loads((tmp_path / "m.json").read_text())
    assert (first["frame"], first["hc_mm"], second["hc_mm"]) == (1, pytest.approx(measured().hc_mm, abs=1e-4), None)
    assert set(first) == set(COLUMNS)


def test_a_torn_row_is_cut_and_the_rest_gone_on_with(tmp_path):
    with Table(tmp_path, resume=False, made_with=MADE_WITH) as table:
        table.append([measured_row("a.png", 1, measured()), failed_row("b.png", "broken")])
    whole = (tmp_path / "measurements.csv").read_bytes()
    (tmp_path / "measurements.csv").write_bytes(whole + b"c.png,1,10")
    with Table(tmp_path, resume=True, made_with=MADE_WITH) as table:
        assert table.has(Path("a.png"), 1)
        assert table.has(Path.cwd() / "a.png", 1)
        assert not table.has(Path("a.png"), 2)
        assert not table.has(Path("b.png"), 1)
        assert table.failed_before == 1
    assert (tmp_path / "measurements.csv").read_bytes() == whole


@pytest.mark.parametrize("name", ["a\rb.png", "a\nb.png", "a\r\nb.png", 'a"\r,"b.png'])
def test_a_name_with_a_line_break_is_one_cell(tmp_path, name):
    table, described = tmp_path / "measurements.csv", tmp_path / "m.json"
    with Table(tmp_path, resume=False, made_with=MADE_WITH) as writing:
        writing.append([measured_row(name, 1, measured()), failed_row(f"c{name}", "broken")])
    whole = table.read_bytes()
    assert [row["image"] for row in rows_of(table)] == [name, f"c{name}"]
    write_json(table, described)
    assert [row["image"] for row in json.loads(described.read_text())] == [name, f"c{name}"]
    # Torn within the name too.
    for torn in (b"", b'"d\n', b'"d\ne""\n', b'"d\n",1\r'):
        table.write_bytes(whole + torn)
        with Table(tmp_path, resume=True, made_with=MADE_WITH) as writing:
            assert writing.has(Path(name), 1)
            assert writing.failed_before == 1
        assert table.read_bytes() == whole
    with Table(tmp_path, resume=True, made_with=MADE_WITH, again=[Path(f"c{name}")]) as writing:
        assert writing.failed_before == 0
    assert [row["image"] for row in rows_of(table)] == [name]


def test_a_header_without_its_line_break_is_written_again(tmp_path):
    with Table(tmp_path, resume=False, made_with=MADE_WITH):
        pass
    whole = (tmp_path / "measurements.csv").read_bytes()
    (tmp_path / "measurements.csv").write_bytes(whole.rstrip())
    with Table(tmp_path, resume=True, made_with=MADE_WITH):
        pass
    assert (tmp_path / "measurements.csv").read_bytes() == whole


def test_what_could_not_be_read_is_tried_again_and_other_failures_stay(tmp_path):
    rows = [measured_row("a, a.png", 1, measured()), failed_row("b.png", "broken"), failed_row("c.png", "broken")]
    with Table(tmp_path, resume=False, made_with=MADE_WITH) as table:
        table.append([*rows, measured_row("d.png", 1, measured())])
    first = rows_of(tmp_path / "measurements.csv")
    with Table(tmp_path, resume=True, made_with=MADE_WITH, again=map(Path, ("a, a.png", "b.png", "d.png"))) as table:
        assert table.has(Path("a, a.png"), 1)
        assert table.has(Path("d.png"), 1)
        assert table.failed_before == 1
        table.append([measured_row("b.png", 1, measured())])
    mended = rows_of(tmp_path / "measurements.csv")
    assert mended[:3] == [first[0], first[2], first[3]]
    assert (mended[3]["image"], mended[3]["error"]) == ("b.png", "")
    with pytest.raises(InputError, match="begun with another model"):
        Table(tmp_path, resume=True, made_with={**MADE_WITH, "model": "b"}, again=[Path("c.png")])
    assert rows_of(tmp_path / "measurements.csv") == mended


def test_rows_of_two_models_never_mix(tmp_path):
    with Table(tmp_path, resume=False, made_with=MADE_WITH):
        pass
    with Table(tmp_path, resume=True, made_with=MADE_WITH):
        pass
    with pytest.raises(InputError, match="begun with another model;"):
        Table(tmp_path, resume=True, made_with={**MADE_WITH, "model": "b"})
    with pytest.raises(InputError, match="begun with another model and another spacing;"):
        Table(tmp_path, resume=True, made_with={"model": "b", "spacing": "nan"})
    (tmp_path / "made_with.json").write_text("[]")
    with pytest.raises(InputError, match=r"made_with\.json: expected what the table"):
        Table(tmp_path, resume=True, made_with=MADE_WITH)


def test_results_are_not_overwritten_nor_mixed_with_others(tmp_path):
    table = tmp_path / "measurements.csv"
    # The last line of somebody's table need not end.
    for theirs in ("something,else\n1,2", "something", ",".join(COLUMNS) + "\ntheirs"):
        table.write_text(theirs)
        with pytest.raises(InputError, match="--resume"):
            Table(tmp_path, resume=False, made_with=MADE_WITH)
        with pytest.raises(InputError, match=r"its first line is another|made_with\.json: expected what"):
            Table(tmp_path, resume=True, made_with=MADE_WITH)
        assert table.read_text() == theirs
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the results"):
        Table(tmp_path / "file", resume=False, made_with=MADE_WITH)


def test_the_picture_shows_the_calipers_where_the_points_are():
    image = np.zeros(SIZE, np.uint8)
    picture = draw_overlay(image, measured())
    assert picture.shape == (*SIZE, 3)
    for x, y in HEAD.astype(int):
        assert picture[y, x].max() > 100
    assert not picture[280:, 330:].any()
    nothing = measured(np.full((4, 2), np.nan), np.full(4, np.nan))
    assert draw_overlay(image, nothing).shape == (*SIZE, 3)
