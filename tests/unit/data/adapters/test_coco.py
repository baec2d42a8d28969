"""COCO keypoints: names, visibility, and what is wrong with a file."""

from __future__ import annotations

import json
import logging
import math

import cv2
import numpy as np
import pytest

from fetal_lm.data.adapters.coco import Coco
from fetal_lm.data.rows import Auditable
from fetal_lm.errors import InputError

THEIRS = ["face", "bpd_2", "bpd_1", "ofd_2", "ofd_1"]
KEYPOINTS = [1, 2, 2, 40, 50, 2, 41, 4, 1, 70, 22, 2, 10, 20.5, 2]
POINTS_ORIG = [[10, 20.5], [70, 22], [41, 4], [40, 50]]


def content():
    """Two images of 80 x 54 px with a head each; the second knows nothing but its name."""
    return {
        "images": [
            {
                "id": 7,
                "file_name": "a.png",
                "width": 80,
                "height": 54,
                "mm_per_px": 0.25,
                "examination": "anna",
                "part": "val",
            },
            {"id": 8, "file_name": "more/b.jpg"},
        ],
        "annotations": [
            {"id": 1, "image_id": 8, "category_id": 3, "keypoints": KEYPOINTS},
            {"id": 2, "image_id": 7, "category_id": 3, "keypoints": KEYPOINTS},
        ],
        "categories": [{"id": 3, "name": "head", "keypoints": THEIRS}, {"id": 4, "name": "femur"}],
    }


@pytest.fixture
def write(tmp_path):
    def write(described, text=None):
        root = tmp_path / "coco"
        (root / "more").mkdir(parents=True, exist_ok=True)
        image = np.random.default_rng(0).integers(0, 256, (54, 80), dtype=np.uint8)
        for name in ("a.png", "more/b.jpg", "c.png"):
            cv2.imwrite(str(root / name), image)
        (root / "annotations.json").write_text(json.dumps(described) if text is None else text)
        return root

    return write


def test_landmarks_are_found_by_name_in_the_order_of_the_annotations(write, caplog):
    source = Coco(write(content()))
    with caplog.at_level(logging.WARNING):
        second, first = source.records()
    assert first.points_orig.tolist() == second.points_orig.tolist() == POINTS_ORIG
    assert (first.image, first.examination, first.size_orig, first.mm_per_px, first.part) == (
        "a.png",
        "anna",
        (54, 80),
        0.25,
        "val",
    )
    assert (second.image, second.examination, second.size_orig, second.part) == (
        "more/b.jpg",
        "more/b.jpg",
        (54, 80),
        "",
    )
    assert math.isnan(second.mm_per_px)
    assert source.read(second).shape == (54, 80)
    assert source.content_key(first) != source.content_key(second)
    assert "no examination for 1 of 2 images" in caplog.text
    assert "left out" not in caplog.text


def test_an_examination_may_be_called_0(write, caplog):
    described = content()
    for image in described["images"]:
        image["examination"] = 0
    source = Coco(write(described))
    with caplog.at_level(logging.WARNING):
        assert [record.examination for record in source.records()] == ["0", "0"]
    assert not caplog.text
    assert [row.examination for row in source.rows()] == ["0", "0"]
    for nothing in (None, ""):
        described["images"][0]["examination"] = nothing
        assert [record.examination for record in Coco(write(described)).records()] == ["0", "a.png"]


def test_other_names_are_mapped(write):
    described = content()
    described["categories"][0]["keypoints"] = ["face", "down", "up", "ofd_2", "front"]
    keypoints = {"ofd_1": "front", "bpd_1": "up", "bpd_2": "down"}
    records = Coco(write(described), keypoints=keypoints).records()
    assert records[0].points_orig.tolist() == POINTS_ORIG
    with pytest.raises(
        InputError, match="keypoints ofd_1, ofd_2, bpd_1, bpd_2, got face, down, up, ofd_2, front; none; say"
    ):
        Coco(write(described)).records()
    with pytest.raises(InputError, match=r"expected names among ofd_1, .* got nose"):
        Coco(write(described), keypoints={"nose": "front"})


def test_what_is_not_labelled_is_left_out_and_counted(write, caplog):
    described = content()
    described["annotations"][0]["keypoints"] = [*KEYPOINTS[:11], 0, *KEYPOINTS[12:]]
    described["annotations"].append({"id": 3, "image_id": 8, "category_id": 4})
    described["images"].append({"id": 9, "file_name": "c.png"})
    with caplog.at_level(logging.WARNING):
        (record,) = Coco(write(described)).records()
    assert record.image == "a.png"
    assert "1 annotations leave one of the four landmarks unlabelled" in caplog.text
    assert "1 annotations are of categories without the four landmarks" in caplog.text
    assert "1 images have no annotation" in caplog.text
    described["annotations"] = described["annotations"][:1]
    with pytest.raises(InputError, match="expected at least one annotation with all four landmarks"):
        Coco(write(described)).records()


def test_rows_say_what_is_not_labelled(write):
    described = content()
    described["annotations"][0]["keypoints"] = [*KEYPOINTS[:11], 0, *KEYPOINTS[12:]]
    source = Coco(write(described))
    assert isinstance(source, Auditable)
    bare, full = source.rows()
    assert bare.problems == ("not labelled: ofd_2",)
    assert np.isnan(bare.points_orig).tolist() == [[False] * 2, [True] * 2, [False] * 2, [False] * 2]
    assert (bare.examination, bare.part) == ("", "")
    assert full.points_orig.tolist() == POINTS_ORIG
    assert (full.image, full.examination, full.part, full.mm_per_px, full.problems) == (
        "a.png",
        "anna",
        "val",
        0.25,
        (),
    )


def test_points_outside_are_an_error_or_kept(write):
    described = content()
    described["annotations"][1]["keypoints"] = [*KEYPOINTS[:6], 41, -7, *KEYPOINTS[8:]]
    root = write(described)
    with pytest.raises(InputError, match=r"got 1 annotations with points outside.*\n.*annotation 2 \(a.png\): bpd_1"):
        Coco(root).records()
    assert Coco(root, outside="keep").records()[1].points_orig[2].tolist() == [41, -7]
    with pytest.raises(InputError, match="expected 'error' or 'keep'"):
        Coco(root, outside="clip")


def change(*path, value):
    def edit(described):
        for key in path[:-1]:
            described = described[key]
        described[path[-1]] = value

    return edit


BAD = {
    "list": (change("images", value={"a": 1}), "a list of objects under 'images'"),
    "no file name": (change("images", 0, value={"id": 7}), "expected an id of its own and a file_name"),
    "id twice": (change("images", 0, "id", value=8), "expected an id of its own"),
    "no such image": (change("annotations", 0, "image_id", value=99), "annotation 1: expected the id of an image.*99"),
    "no file": (change("images", 1, "file_name", value="gone.png"), "annotation 1: expected an image at .*gone.png"),
    "other size": (change("images", 0, "width", value=160), "annotation 2: expected .* 160 x 54 px .*, got 80 x 54"),
    "twice": (change("annotations", 0, "image_id", value=7), "annotation 2: expected one head for each image"),
    "short": (change("annotations", 0, "keypoints", value=KEYPOINTS[:12]), "annotation 1: expected x, y and visib"),
    "text": (change("annotations", 0, "keypoints", value=["x", *KEYPOINTS[1:]]), "annotation 1: expected x, y"),
    "nan": (change("annotations", 0, "keypoints", value=[math.nan, *KEYPOINTS[1:]]), "annotation 1: expected x, y"),
    "spacing": (change("images", 0, "mm_per_px", value=0), "expected mm_per_px above 0 in image a.png, got 0"),
    "part": (
        change("images", 0, "part", value="dev"),
        "expected part among train, val, test in image a.png, got 'dev'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_clear_error(write, case):
    edit, message = BAD[case]
    described = content()
    edit(described)
    with pytest.raises(InputError, match=message) as caught:
        Coco(write(described)).records()
    assert "annotations.json" in str(caught.value)


@pytest.mark.parametrize(("text", "message"), [("{", "expected COCO keypoints in JSON"), ("[]", "list of objects")])
def test_what_is_no_coco_is_an_error(write, tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        Coco(write(None, text)).records()
    with pytest.raises(InputError, match=r"other\.json: cannot be read"):
        Coco(tmp_path, tmp_path / "other.json").records()
