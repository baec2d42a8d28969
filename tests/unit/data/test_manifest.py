from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from fetal_lm.data.manifest import read_manifest, split_digest, write_manifest
from fetal_lm.data.records import Record
from fetal_lm.data.splits import Split, by_examination, by_image, leaking_images
from fetal_lm.errors import InputError


def head(image, examination, size_px=40.0):
    points = np.array([[0.0, 0.0], [size_px, 0.0], [size_px / 2, -size_px / 3], [size_px / 2, size_px / 3]])
    return Record(image, examination, (54, 80), points + 5, 0.5)


RECORDS = [
    head(f"{number:03d}_{frame}HC.png", f"{number:03d}", 20.0 + number)
    for number in range(40)
    for frame in range(1 + number % 3)
]


def content_of(record):
    return f"content of {record.image}"


def contents_of(records):
    return {record.image: content_of(record) for record in records}


def write(path, split, records=RECORDS, archive="here"):
    write_manifest(path, split, records, archive=archive, contents=contents_of(records))


SPLITS = {
    "examination": partial(by_examination, fold=2),
    "a share of the training examinations": partial(by_examination, fold=2, train_fraction=0.5),
    "image": partial(by_image, fold=2),
    "image without the leak": partial(by_image, fold=2, drop_leaking=True),
}


@pytest.mark.parametrize("kind", SPLITS)
def test_a_run_goes_on_with_the_split_that_it_began_with(tmp_path, kind):
    path = tmp_path / "split.json"
    write(path, SPLITS[kind](RECORDS))
    manifest = read_manifest(path)
    for records in (RECORDS, RECORDS[::-1]):
        manifest.check(SPLITS[kind](records), records, contents_of(records))
    for other, split in SPLITS.items():
        if other != kind:
            with pytest.raises(InputError, match="another split than these options give"):
                manifest.check(split(RECORDS), RECORDS, contents_of(RECORDS))


def test_a_written_split_says_what_is_in_it(tmp_path):
    split = by_image(RECORDS, fold=0, folds=7, test_selects=True)
    path = tmp_path / "split.json"
    write(path, split)
    content = json.loads(path.read_text())
    assert content["digest"] == split_digest(split, RECORDS)
    assert len(content["digest"]) == 64
    assert content["leaking_images"] == leaking_images(split, RECORDS)
    assert content["test_images_that_select"] == len(split.test)
    record = RECORDS[split.train[0]]
    assert content["train"][record.image] == record.examination


def test_the_digest_depends_on_the_part_and_not_on_the_labels():
    split = by_examination(RECORDS, fold=0)
    exchanged = Split(train=split.train, val=split.test, test=split.val)
    assert split_digest(exchanged, RECORDS) != split_digest(split, RECORDS)
    relabelled = [head(record.image, record.examination, 7) for record in RECORDS]
    assert split_digest(split, relabelled) == split_digest(split, RECORDS)


def without_a_test_image(content):
    content["test"].popitem()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (without_a_test_image, "the file was changed"),
        (lambda content: content.pop("val"), "expected a split as this program writes it, but KeyError"),
        (lambda content: content.update(train=3), "expected a split as this program writes it"),
    ],
)
def test_an_edited_split_is_an_error(tmp_path, edit, message):
    path = tmp_path / "split.json"
    write(path, by_examination(RECORDS, fold=0))
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"split\.json: .*{message}"):
        read_manifest(path)


def test_a_split_that_is_missing_or_no_json_is_an_error(tmp_path):
    path = tmp_path / "split.json"
    with pytest.raises(InputError, match=r"split\.json: cannot be read"):
        read_manifest(path)
    path.write_text("{")
    with pytest.raises(InputError, match="expected a split as this program writes it"):
        read_manifest(path)


def test_other_images_than_the_run_began_with_are_an_error(tmp_path):
    path = tmp_path / "split.json"
    write(path, by_examination(RECORDS, fold=0))
    fewer, more = RECORDS[2:], [*RECORDS, head("900_HC.png", "900")]
    with pytest.raises(InputError, match=r"the source lacks 2 of them, for example 000_0HC\.png"):
        read_manifest(path).check(by_examination(fewer, fold=0), fewer, contents_of(fewer))
    with pytest.raises(InputError, match="images were added"):
        read_manifest(path).check(by_examination(more, fold=0), more, contents_of(more))


def test_images_and_labels_that_were_corrected_in_place_are_an_error(tmp_path):
    path, split = tmp_path / "split.json", by_examination(RECORDS, fold=0, train_fraction=0.5)
    write(path, split)
    kept, left_out = split.val[0], next(iter({*range(len(RECORDS))} - {*split.train, *split.val, *split.test}))
    unknown = [replace(record, mm_per_px=math.nan) for record in RECORDS]

    def check(index, points_px=0.0, mm_per_px=0.5, content=None):
        changed, record = list(RECORDS), RECORDS[index]
        changed[index] = replace(record, points_orig=record.points_orig + points_px, mm_per_px=mm_per_px)
        read_manifest(path).check(split, changed, contents_of(RECORDS) | ({record.image: content} if content else {}))

    # What another machine computes, and what the run does not use.
    check(kept, points_px=1e-7)
    check(left_out, points_px=1.0, mm_per_px=0.4, content="new")
    name = RECORDS[kept].image
    for change in ({"points_px": 0.01}, {"mm_per_px": 0.501}, {"mm_per_px": math.nan}):
        with pytest.raises(InputError, match=f"the labels of {name} changed since the run began"):
            check(kept, **change)
    with pytest.raises(InputError, match=f"the image of {name} changed since the run began"):
        check(kept, content="new")
    write(path, split, unknown)
    read_manifest(path).check(split, unknown, contents_of(RECORDS))
    # Earlier versions wrote neither.
    content = json.loads(path.read_text())
    del content["labels"], content["contents"]
    path.write_text(json.dumps(content))
    check(kept, points_px=5.0, content="new")


def test_a_copy_of_a_training_image_is_counted_as_leaking(tmp_path):
    split = by_examination(RECORDS, fold=0)
    copies = {RECORDS[index].image: "the same" for index in (split.train[0], split.test[0])}
    write_manifest(tmp_path / "split.json", split, RECORDS, archive="here", contents=contents_of(RECORDS) | copies)
    assert json.loads((tmp_path / "split.json").read_text())["leaking_images"] == 1


@pytest.fixture
def manifest(tmp_path):
    write(tmp_path / "split.json", by_examination(RECORDS, fold=0))
    return read_manifest(tmp_path / "split.json")


@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_what_was_trained_or_selected_on_is_seen(manifest, part):
    for image, examination in manifest.parts[part].items():
        other_frame = head("new.png", examination)
        assert manifest.seen(other_frame, archive="here", content="new") == (part != "test")
        # Another archive's number says nothing, but the same pixels do, whatever they are called.
        assert not manifest.seen(other_frame, archive="elsewhere", content="new")
        renamed = head("renamed.png", "900")
        assert manifest.seen(renamed, archive="elsewhere", content=f"content of {image}") == (part != "test")


def test_a_manifest_without_an_archive_goes_by_the_examination(manifest, tmp_path):
    path = tmp_path / "split.json"
    content = json.loads(path.read_text())
    del content["archive"], content["contents"]
    path.write_text(json.dumps(content))
    old = read_manifest(path)
    examination = next(iter(old.parts["train"].values()))
    assert old.seen(head("new.png", examination), archive="anything", content="new")
    assert not old.seen(head("new.png", "900"), archive="anything", content="new")
