"""Every source comes out of a conversion as it went in."""

from __future__ import annotations

import hashlib
import json
import math

import cv2
import numpy as np
import pytest

from fetal_lm.data.adapters.folder import Folder
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.convert import convert
from fetal_lm.data.manifest import Learnt
from fetal_lm.data.sources import CONF, source_by_name
from fetal_lm.errors import InputError

CHALLENGE = "image_name,ofd_1_x,ofd_1_y,ofd_2_x,ofd_2_y,bpd_1_x,bpd_1_y,bpd_2_x,bpd_2_y"
BENCHMARK = f"{CHALLENGE},SubjectID,px_to_mm_rate,Split"


@pytest.fixture
def root(make_hc18):
    """An HC18 folder that every reader of files finds its labels in."""
    root = make_hc18()
    folder = root / "training_set"
    cv2.imwrite(str(folder / "head.jpg"), np.random.default_rng(1).integers(0, 256, (40, 90), dtype=np.uint8))
    third = 1 / 3
    (root / "role_challenge_dataset_ground_truth.csv").write_text(
        f"{CHALLENGE}\n001_2HC.png,41,9.1,40,46,70.5,28,12,26\n000_HC.png,{third},9,40,46,70,28,12,26\n"
    )
    (folder / "Head.csv").write_text(
        f"{BENCHMARK}\n001_2HC.png,41,9.1,40,46,70.5,28,12,26,,0.25,Test\nhead.jpg,{third},9,40,-3,70,28,12,26,7.0,,Train\n"
    )
    (folder / "labels.csv").write_text(
        "image,ofd_1_x,ofd_1_y,ofd_2_x,ofd_2_y,bpd_1_x,bpd_1_y,bpd_2_x,bpd_2_y,part\n"
        "head.jpg,41,9.1,40,39,70.5,28,12,26,val\n../training_set/001_2HC.png,41,9.1,40,46,70.5,28,12,26,\n"
    )
    keypoints = [coordinate for x, y in ((41, 9.1), (40, 39), (70.5, 28), (12, 26)) for coordinate in (x, y, 2)]
    (folder / "annotations.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "head.jpg", "mm_per_px": third, "examination": "anna"}],
                "annotations": [{"image_id": 1, "category_id": 1, "keypoints": keypoints}],
                "categories": [{"id": 1, "keypoints": ["ofd_1", "ofd_2", "bpd_1", "bpd_2"]}],
            }
        )
    )
    return root


def make(name, root):
    folder = root / "training_set"
    options = {
        "hc18": {"root": root},
        "challenge": {"root": root},
        "multicentre": {"root": folder, "outside": "keep"},
        "folder": {"root": folder},
        "coco": {"root": folder},
        "phantom": {"images": 3, "seed": 1},
    }
    if name == "hc18":
        # A head.jpg is no part of HC18's layout, a CSV of images may lie beside it.
        (folder / "head.jpg").unlink()
    return source_by_name(name, **options[name])


def state(folder):
    """Every file below a folder, with its content and time."""
    return {
        path: (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("copy_images", [False, True])
@pytest.mark.parametrize("name", sorted(path.stem for path in CONF.glob("*.yaml")))
def test_every_source_round_trips(root, tmp_path, name, copy_images):
    source = make(name, root)
    before = state(root)
    records = source.records()
    converted = convert(source, tmp_path / "out", copy_images=copy_images)
    outside = name == "multicentre"
    assert converted == (
        tmp_path / "out" / "labels.csv",
        len(records),
        int(outside),
        sum(math.isnan(record.mm_per_px) for record in records),
    )
    read = Folder(tmp_path / "out", outside="keep" if outside else "error")
    found = read.records()
    assert len(found) == len(records)
    for record, again in zip(records, found, strict=True):
        assert np.abs(again.points_orig - record.points_orig).max() < 1e-6
        assert again.mm_per_px == pytest.approx(record.mm_per_px, rel=1e-12, nan_ok=True)
        # An image that is an examination of its own, because nobody says whose it is, stays one and is warned of.
        own = again.image if record.examination == record.image else record.examination
        assert (again.examination, again.part, again.size_orig) == (own, record.part, record.size_orig)
        assert (read.read(again) == source.read(record)).all()
        if name != "phantom":
            assert read.content_key(again) == source.content_key(record)
    assert state(root) == before
    assert (tmp_path / "out" / "images").exists() == (copy_images or name == "phantom")
    assert not [path for path in (tmp_path / "out").rglob(".*") if path.is_file()]


def test_a_copy_stands_alone_and_may_be_moved(root, tmp_path):
    convert(make("folder", root), tmp_path / "out", copy_images=True)
    (tmp_path / "out").rename(tmp_path / "moved")
    root.rename(tmp_path / "gone")
    assert [record.image for record in Folder(tmp_path / "moved").records()] == [
        "images/head.jpg",
        "images/training_set/001_2HC.png",
    ]


def test_references_survive_a_link_to_the_output_folder(root, tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "er")
    convert(make("challenge", root), tmp_path / "link")
    assert len(Folder(tmp_path / "link").records()) == len(Folder(tmp_path / "deep" / "er").records()) == 2


def test_names_that_would_meet_get_a_number(tmp_path):
    root = tmp_path / "in"
    rows = ["image,ofd_1_x,ofd_1_y,ofd_2_x,ofd_2_y,bpd_1_x,bpd_1_y,bpd_2_x,bpd_2_y"]
    for number, name in enumerate(("sub/a.png", "a.png", "../a.png", "A.png")):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.full((54, 80), number, np.uint8))
        rows.append(f"{name},1,2,70,3,40,1,41,50")
    (root / "labels.csv").write_text("\n".join(rows))
    convert(Folder(root), tmp_path / "out", copy_images=True)
    read = Folder(tmp_path / "out")
    records = read.records()
    assert [record.image for record in records] == [
        "images/sub/a.png",
        "images/a.png",
        "images/a-2.png",
        "images/A-3.png",
    ]
    assert [int(read.read(record)[0, 0]) for record in records] == [0, 1, 2, 3]


def test_existing_labels_are_kept_unless_forced(root, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.csv").write_text("mine")
    with pytest.raises(InputError, match=r"labels\.csv: is there already.*--force"):
        convert(make("challenge", root), tmp_path / "out")
    assert (tmp_path / "out" / "labels.csv").read_text() == "mine"
    convert(make("challenge", root), tmp_path / "out", force=True)
    assert len(Folder(tmp_path / "out").records()) == 2


def test_another_image_is_kept_unless_forced_and_the_same_one_is_no_obstacle(root, tmp_path):
    (tmp_path / "out" / "images").mkdir(parents=True)
    target = tmp_path / "out" / "images" / "000_HC.png"
    target.write_bytes(b"mine")
    with pytest.raises(InputError, match=r"000_HC\.png: another image is there already"):
        convert(make("challenge", root), tmp_path / "out", copy_images=True)
    assert target.read_bytes() == b"mine"
    assert not (tmp_path / "out" / "labels.csv").exists()
    convert(make("challenge", root), tmp_path / "out", copy_images=True, force=True)
    (tmp_path / "out" / "labels.csv").unlink()
    before = state(tmp_path / "out")
    convert(make("challenge", root), tmp_path / "out", copy_images=True)
    assert before.items() <= state(tmp_path / "out").items()


def test_the_source_is_never_overwritten(tmp_path):
    root = tmp_path / "in"
    (root / "images").mkdir(parents=True)
    rows = ["image,ofd_1_x,ofd_1_y,ofd_2_x,ofd_2_y,bpd_1_x,bpd_1_y,bpd_2_x,bpd_2_y"]
    for number, name in enumerate(("a.png", "images/a.png")):
        cv2.imwrite(str(root / name), np.full((54, 80), number, np.uint8))
        rows.append(f"{name},1,2,70,3,40,1,41,50")
    (root / "mine.csv").write_text("\n".join(rows))
    (root / "labels.csv").write_text("\n".join(rows))
    before = state(root)
    with pytest.raises(InputError, match="are the labels to convert"):
        convert(Folder(root), root, force=True)
    with pytest.raises(InputError, match=r"images/a\.png: is one of the images to convert"):
        convert(Folder(root, root / "mine.csv"), root, copy_images=True, force=True)
    assert state(root) == before


def test_what_cannot_be_written_is_an_error(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file.*: cannot be written"):
        convert(make("challenge", root), tmp_path / "file" / "out")


def test_a_broken_source_writes_nothing(root, tmp_path):
    (root / "training_set" / "000_HC.png").unlink()
    with pytest.raises(InputError, match="add the image"):
        convert(make("challenge", root), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_source_or_option_lists_what_there_is(tmp_path):
    with pytest.raises(InputError, match="expected one of challenge, coco, folder, hc18, multicentre, phantom, got 'h"):
        source_by_name("hc81")
    with pytest.raises(InputError, match="source phantom: expected options among seed, images, got root"):
        source_by_name("phantom", root=tmp_path)
    with pytest.raises(InputError, match="source hc18: its folder is not given; add --root DIR"):
        source_by_name("hc18")
    with pytest.raises(InputError, match="expected 'error' or 'keep'"):
        source_by_name("challenge", root=tmp_path, outside="clip")


def test_a_copy_knows_whose_heads_they_are_if_it_is_told(tmp_path):
    source = Phantom(seed=3, images=4)
    convert(source, tmp_path)
    known, other = (Folder(root=tmp_path, archive=archive) for archive in (source.archive, "folder"))
    record, copy = source.records()[0], known.records()[0]
    learnt = Learnt(source.archive, {record.image: record.examination}, {record.image: source.content_key(record)})
    assert learnt.knows(copy, archive=known.archive, content=known.content_key(copy))
    assert not learnt.knows(copy, archive=other.archive, content=other.content_key(copy))
