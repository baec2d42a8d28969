from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetal_lm.data.adapters.hc18 import Hc18
from fetal_lm.data.manifest import split_digest
from fetal_lm.data.records import Record
from fetal_lm.data.splits import (
    Split,
    by_examination,
    by_image,
    by_source,
    everything,
    leaking_images,
    refuse_copies,
    seen_test_images,
)
from fetal_lm.errors import InputError


def head(image, examination, size_px=40.0, mm_per_px=0.5):
    points = np.array([[0.0, 0.0], [size_px, 0.0], [size_px / 2, -size_px / 3], [size_px / 2, size_px / 3]])
    return Record(image, examination, (54, 80), points + 5, mm_per_px)


def heads(examinations, *, seed=0, frames=3):
    """1 to `frames` images of each examination, sizes growing with the number as they do in HC18."""
    generator = np.random.default_rng(seed)
    return [
        head(f"{number:03d}_{frame}HC.png", f"{number:03d}", 20 + number + frame / 10)
        for number in range(examinations)
        for frame in range(generator.integers(1, frames + 1))
    ]


RECORDS = heads(60)

every_kind = pytest.mark.parametrize("kind", [by_examination, by_image])


def images_of(part, records):
    return {records[index].image for index in part}


@every_kind
@given(examinations=st.integers(10, 60), folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_every_image_is_tested_in_exactly_one_fold_and_parts_never_overlap(kind, examinations, folds, seed):
    records = heads(examinations, seed=seed)
    tested = []
    for fold in range(folds):
        split = kind(records, fold=fold, folds=folds, seed=seed)
        assert sorted((*split.train, *split.val, *split.test)) == list(range(len(records)))
        assert all(part == tuple(sorted(part)) for part in split)
        tested += split.test
    assert sorted(tested) == list(range(len(records)))


@given(examinations=st.integers(10, 60), folds=st.integers(2, 5), seed=st.integers(0, 9))
def test_no_examination_parts(examinations, folds, seed):
    records = heads(examinations, seed=seed)
    for fold in range(folds):
        split = by_examination(records, fold=fold, folds=folds, seed=seed)
        assert leaking_images(split, records) == 0
        parts = [{records[index].examination for index in part} for part in split]
        assert sum(map(len, parts)) == examinations


def test_a_split_by_image_leaks_and_says_how_much():
    split = by_image(RECORDS, fold=0)
    trained = {RECORDS[index].examination for index in split.train}
    expected = [RECORDS[index].examination in trained for index in (*split.val, *split.test)]
    assert leaking_images(split, RECORDS) == sum(expected) > 5


@every_kind
def test_the_order_of_the_records_does_not_matter(kind):
    shuffled = [RECORDS[index] for index in np.random.default_rng(0).permutation(len(RECORDS))]
    for fold in range(5):
        ours, theirs = kind(RECORDS, fold=fold), kind(shuffled, fold=fold)
        for part in Split._fields:
            assert images_of(getattr(ours, part), RECORDS) == images_of(getattr(theirs, part), shuffled)
        assert split_digest(ours, RECORDS) == split_digest(theirs, shuffled)


@every_kind
def test_the_seed_and_the_fold_matter_and_nothing_else_does(kind):
    np.random.seed(0)
    first = kind(RECORDS, fold=1, seed=3)
    np.random.seed(1)
    assert kind(RECORDS, fold=1, seed=3) == first
    assert kind(RECORDS, fold=1, seed=4) != first
    assert kind(RECORDS, fold=2, seed=3).test != first.test


def test_folds_and_validation_are_balanced_by_head_size():
    sizes = np.array([np.ptp(record.points_orig[:, 0]) for record in RECORDS])
    for fold in range(5):
        split = by_examination(RECORDS, fold=fold)
        tested = sizes[list(split.test)]
        # Unbalanced folds of 12 examinations out of 60 would have means 5 px apart (17.3 / sqrt(12)).
        assert abs(tested.mean() - sizes.mean()) < 5
        assert len({*tested.astype(int)}) == 12
        # Every block of five neighbours in size gives one examination to each fold.
        numbers = sorted({int(RECORDS[index].examination) for index in split.test})
        assert [number // 5 for number in numbers] == list(range(12))
        # Six validation examinations, one from each eight neighbours of the 48 that are not tested.
        others = sorted({int(RECORDS[index].examination) for index in (*split.train, *split.val)})
        numbers = sorted({int(RECORDS[index].examination) for index in split.val})
        assert [others.index(number) // 8 for number in numbers] == list(range(6))


def test_size_is_in_mm_where_every_spacing_is_known():
    # In px the order is reversed: the blocks of two neighbours differ.
    in_mm = [head(f"{n}.png", f"{n}", size_px=80 - n, mm_per_px=(n + 1) / (80 - n)) for n in range(8)]
    in_px = [head(f"{n}.png", f"{n}", size_px=n + 1, mm_per_px=math.nan) for n in range(8)]
    for fold in range(2):
        assert by_examination(in_mm, fold=fold, folds=2) == by_examination(in_px, fold=fold, folds=2)


def test_one_unknown_spacing_makes_all_sizes_px():
    records = [head(f"{n}.png", f"{n}", size_px=n + 1, mm_per_px=1 / (n + 1) ** 2) for n in range(8)]
    unknown = [head("0.png", "0", size_px=1, mm_per_px=math.nan), *records[1:]]
    in_px = [head(f"{n}.png", f"{n}", size_px=n + 1, mm_per_px=math.nan) for n in range(8)]
    assert by_examination(unknown, fold=0, folds=2) == by_examination(in_px, fold=0, folds=2)


def test_exchanged_names_of_ofd_and_bpd_change_nothing():
    exchanged = [
        Record(record.image, record.examination, record.size_orig, record.points_orig[[2, 3, 0, 1]], record.mm_per_px)
        if int(record.examination) % 2
        else record
        for record in RECORDS
    ]
    assert by_examination(exchanged, fold=0) == by_examination(RECORDS, fold=0)


def test_heads_of_unknown_size_are_the_last_in_the_order():
    unknown = [head(f"{number}_HC.png", f"{number}", size_px=math.nan) for number in range(900, 910)]
    records = [*RECORDS[:40], *unknown, *RECORDS[40:]]
    largest = [head(record.image, record.examination, size_px=500) for record in unknown]
    known_as_largest = [*RECORDS[:40], *largest, *RECORDS[40:]]
    assert by_examination(records, fold=0) == by_examination(known_as_largest, fold=0)


def test_fractions_are_what_was_asked_for():
    split = by_image(heads(200), fold=0, folds=4, val_fraction=0.2)
    total = sum(map(len, split))
    assert len(split.test) / total == pytest.approx(0.25, abs=0.01)
    assert len(split.val) / total == pytest.approx(0.2, abs=0.01)
    split = by_examination(heads(200, frames=1), fold=0, folds=4, val_fraction=0.2)
    assert tuple(map(len, split)) == (110, 40, 50)


def test_the_study_selected_on_what_it_reported():
    split = by_image(RECORDS, fold=0, folds=7, test_selects=True)
    assert split.val == split.test
    assert len(split.test) / len(RECORDS) == pytest.approx(0.15, abs=0.01)
    trained = {RECORDS[index].examination for index in split.train}
    assert leaking_images(split, RECORDS) == sum(RECORDS[index].examination in trained for index in split.test)


@pytest.mark.parametrize("test_selects", [False, True])
def test_dropping_what_leaks_leaves_the_images_that_select_and_test_as_they_are(test_selects):
    leaky = by_image(RECORDS, fold=0, folds=7, test_selects=test_selects)
    clean = by_image(RECORDS, fold=0, folds=7, test_selects=test_selects, drop_leaking=True)
    assert leaking_images(leaky, RECORDS) > 0
    assert leaking_images(clean, RECORDS) == 0
    assert (clean.val, clean.test) == (leaky.val, leaky.test)
    held_out = {RECORDS[index].examination for index in (*leaky.val, *leaky.test)}
    assert clean.train == tuple(index for index in leaky.train if RECORDS[index].examination not in held_out)


BAD_OPTIONS = {
    "fold too large": ({"fold": 5, "folds": 5}, "fold: expected 0 to 4, because there are 5 folds, got 5"),
    "fold negative": ({"fold": -1}, "fold: expected 0 to 4, .* got -1"),
    "one fold": ({"fold": 0, "folds": 1}, "folds: expected at least 2, got 1"),
    "no validation": ({"fold": 0, "val_fraction": 0.0}, "val_fraction: expected a share above 0 and below 1, got 0.0"),
    "all validation": ({"fold": 0, "val_fraction": 1.0}, "val_fraction: expected"),
    "nan": ({"fold": 0, "val_fraction": math.nan}, "val_fraction: expected"),
    "no training": ({"fold": 0, "val_fraction": 0.9}, "leaves train empty"),
}


@every_kind
@pytest.mark.parametrize("name", BAD_OPTIONS)
def test_a_bad_option_is_one_clear_error(kind, name):
    options, message = BAD_OPTIONS[name]
    with pytest.raises(InputError, match=message):
        kind(RECORDS, **options)


def refusal(kind, records, fold):
    try:
        kind(records, fold=fold)
    except InputError as error:
        return str(error)
    return ""


@every_kind
def test_an_empty_part_is_an_error(kind):
    with pytest.raises(InputError, match=r"leaves train and val and test empty \(0 images"):
        kind([], fold=0)
    with pytest.raises(InputError, match=r"leaves train empty \(2 images"):
        kind(heads(2, frames=1), fold=0, folds=2)
    # Three examinations in five folds: two folds have none to test, whichever they are.
    refusals = [refusal(kind, heads(3, frames=1), fold) for fold in range(5)]
    assert sum("leaves test empty (3 images" in message for message in refusals) == 2


def test_a_share_of_the_training_examinations_is_nested_and_even_over_sizes():
    records = heads(300, frames=1)
    whole = by_examination(records, fold=2)
    smaller = set()
    for fraction in (0.1, 0.25, 0.5, 1.0):
        split = by_examination(records, fold=2, train_fraction=fraction)
        assert (split.val, split.test) == (whole.val, whole.test)
        assert smaller <= set(split.train)
        assert len(split.train) == pytest.approx(fraction * len(whole.train), abs=3)
        sizes = [np.ptp(records[index].points_orig[:, 0]) for index in split.train]
        assert np.mean(sizes) == pytest.approx(np.mean([np.ptp(r.points_orig[:, 0]) for r in records]), rel=0.1)
        smaller = set(split.train)
    assert smaller == set(whole.train)
    for fraction in (0.0, 1.5):
        with pytest.raises(InputError, match="train_fraction"):
            by_examination(records, fold=2, train_fraction=fraction)


def test_test_images_of_examinations_that_were_learnt_are_counted():
    assert seen_test_images(by_examination(RECORDS, fold=1), RECORDS) == 0
    split = by_image(RECORDS, fold=0, folds=7, test_selects=True)
    assert seen_test_images(split, RECORDS) == len(split.test)


def test_copies_under_another_name_are_counted_and_refused_in_a_sources_own_split():
    contents = {record.image: f"content of {record.image}" for record in RECORDS}
    for kind in (by_examination, by_source):
        split = kind(OWN_PARTS, fold=0)
        assert leaking_images(split, OWN_PARTS, contents) == seen_test_images(split, OWN_PARTS, contents) == 0
        refuse_copies(split, OWN_PARTS, contents)
        trained, selects, tested, other = (
            OWN_PARTS[index].image for index in (split.train[0], split.val[0], split.test[0], split.test[-1])
        )
        copies = contents | {selects: contents[trained], tested: contents[trained]}
        assert leaking_images(split, OWN_PARTS, copies) == 2
        assert seen_test_images(split, OWN_PARTS, copies) == 1
        with pytest.raises(InputError, match=rf"1 of train are in val too, for example {trained}, which is {selects}"):
            refuse_copies(split, OWN_PARTS, copies)
        selected = contents | {other: contents[selects]}
        assert leaking_images(split, OWN_PARTS, selected) == 0
        assert seen_test_images(split, OWN_PARTS, selected) == 1
        with pytest.raises(InputError, match=r"1 of val are in test too.*split\.allow_leak=true"):
            refuse_copies(split, OWN_PARTS, selected)


def test_real_folds_have_like_sizes(hc18_root):
    records = Hc18(hc18_root).records()
    ofd_mm = np.array([np.linalg.norm(r.points_orig[1] - r.points_orig[0]) * r.mm_per_px for r in records])
    for fold in range(5):
        split = by_examination(records, fold=fold)
        assert leaking_images(split, records) == 0
        assert len(split.test) / len(records) == pytest.approx(0.2, abs=0.02)
        assert abs(ofd_mm[list(split.test)].mean() - ofd_mm.mean()) < 2
        assert len(split.val) > 60


def in_parts(records, part_of):
    return [replace(record, part=part_of(int(record.examination))) for record in records]


OWN_PARTS = in_parts(RECORDS, lambda number: "test" if number % 3 == 0 else "train")


def test_a_sources_own_test_set_is_kept_and_validation_is_drawn_from_its_training_part():
    split = by_source(OWN_PARTS, fold=0, folds=5)
    assert images_of(split.test, OWN_PARTS) == {record.image for record in OWN_PARTS if record.part == "test"}
    assert sorted((*split.train, *split.val, *split.test)) == list(range(len(OWN_PARTS)))
    assert leaking_images(split, OWN_PARTS) == 0
    # Forty examinations train, a tenth of them select: one of each ten neighbours in size.
    selecting = sorted({int(OWN_PARTS[index].examination) for index in split.val})
    others = [number for number in range(60) if number % 3]
    assert [others.index(number) // 10 for number in selecting] == [0, 1, 2, 3]
    assert by_source(OWN_PARTS, fold=0, val_fraction=0.5).test == split.test
    assert by_source(OWN_PARTS, fold=0, seed=1).val != split.val


def test_the_order_of_the_records_does_not_matter_to_a_sources_own_split():
    shuffled = [OWN_PARTS[index] for index in np.random.default_rng(0).permutation(len(OWN_PARTS))]
    assert split_digest(by_source(OWN_PARTS, fold=0), OWN_PARTS) == split_digest(by_source(shuffled, fold=0), shuffled)


def test_a_sources_own_validation_part_is_kept():
    records = in_parts(RECORDS, lambda number: ("train", "val", "test")[number % 3])
    split = by_source(records, fold=0)
    assert all({records[index].part for index in getattr(split, part)} == {part} for part in Split._fields)


def test_an_examination_on_both_sides_is_refused_by_name_or_accepted():
    records = [*OWN_PARTS, replace(head("003_9HC.png", "003"), part="train"), replace(head("x", "007"), part="test")]
    with pytest.raises(InputError, match=r"2 are in train and in test: 003, 007; .*split\.allow_leak=true"):
        by_source(records, fold=0)
    split = by_source(records, fold=0, allow_leak=True)
    assert images_of(split.test, records) == {record.image for record in records if record.part == "test"}
    assert leaking_images(split, records) > 0
    parts = in_parts(RECORDS, lambda number: "test" if number < 9 else "train")
    parts += [replace(record, image=f"again {record.image}", part="val") for record in parts if record.part == "train"]
    with pytest.raises(InputError, match=r"51 are in train and in val: 009, 010, 011, 012, 013, 014, \.\.\.; "):
        by_source(parts, fold=0)


@pytest.mark.parametrize(
    ("records", "options", "message"),
    [
        (RECORDS, {}, rf"{len(RECORDS)} of {len(RECORDS)} are in none, for example 000_0HC.png"),
        ([*OWN_PARTS, RECORDS[0]], {}, f"1 of {len(RECORDS) + 1} are in none"),
        (OWN_PARTS, {"fold": 1, "folds": 5}, r"expected 0, .* got 1 \(of 5 folds\)"),
        (OWN_PARTS, {"val_fraction": 0.0}, "val_fraction: expected a share"),
        ([], {}, "leaves train and val and test empty"),
        (in_parts(RECORDS, lambda _: "train"), {}, "leaves test empty"),
        (in_parts(RECORDS, lambda number: "test" if number else "train"), {}, "leaves train empty"),
    ],
    ids=["no parts", "one without", "fold", "fraction", "nothing", "no test", "one to train"],
)
def test_a_sources_own_split_that_cannot_be_is_one_clear_error(records, options, message):
    with pytest.raises(InputError, match=message):
        by_source(records, **{"fold": 0, **options})


def test_everything_trains_on_everything_and_counts_what_it_watches_as_seen():
    records = heads(40)
    split = everything(records, fold=0, watched_fraction=0.25)
    assert split.train == tuple(range(len(records)))
    assert split.val == split.test
    watched = {records[index].examination for index in split.test}
    assert len(watched) == 10
    assert images_of(split.test, records) == {record.image for record in records if record.examination in watched}
    assert leaking_images(split, records) == seen_test_images(split, records) == len(split.test)
    again = everything(records[::-1], fold=0, watched_fraction=0.25)
    assert images_of(again.test, records[::-1]) == images_of(split.test, records)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"fold": 1}, "data.fold=0"), ({"fold": 0, "watched_fraction": 1.0}, "watched_fraction")],
    ids=["fold", "share"],
)
def test_a_bad_option_of_everything_is_one_clear_error(options, message):
    with pytest.raises(InputError, match=message):
        everything(heads(4), **options)
