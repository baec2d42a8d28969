"""Which images train, which select and which test.

`by_examination` is the honest split: frames of one examination show the same head and never part. `by_image` is the
original study's, kept for comparison; `leaking_images` says what it costs. `by_source` keeps a source's own test set,
so that figures stand beside published ones. `everything` holds out nothing, for weights to give away. None depends on
the seed of the training or on the order of the records.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from fetal_lm.biometry import bpd, head_circumference, ofd
from fetal_lm.data.records import Record
from fetal_lm.errors import InputError


class Split(NamedTuple):
    """Indices into the source's records, ascending; `val` selects weights, `test` is measured once."""

    train: tuple[int, ...]
    val: tuple[int, ...]
    test: tuple[int, ...]


_PARTS: Final = Split._fields
_UNKNOWN: Final[Mapping[str, str]] = MappingProxyType({})

_THINNING_BLOCK: Final = 20
_NAMED_AT_MOST: Final = 6


def by_examination(
    records: Sequence[Record],
    *,
    fold: int,
    folds: int = 5,
    val_fraction: float = 0.1,
    train_fraction: float = 1.0,
    seed: int = 0,
) -> Split:
    """Splits by examination, balanced by head size; every image is tested in exactly one fold.

    Examinations are sorted by circumference (in mm, or in original px if a spacing is unknown) and dealt to the folds
    in shuffled blocks of `folds`. Validation examinations are drawn evenly over the sizes of what is not tested.

    Args:
        records: in any order.
        fold: which one is tested, 0 to `folds` - 1.
        folds: how many there are, at least 2.
        val_fraction: share of all examinations that select, above 0 and below 1; at least one examination.
        train_fraction: share of the training examinations to use, above 0 and at most 1, in steps of a twentieth;
            evenly over the sizes, each share part of each larger one. Who selects and tests does not depend on it.
        seed: of the dealing; leave it alone to stay comparable.

    Raises:
        InputError: an option is out of range or a part would be empty.
    """
    _check_options(fold, folds, val_fraction)
    if not 0 < train_fraction <= 1:
        raise InputError(f"train_fraction: expected a share above 0 and at most 1, got {train_fraction}")
    members, ordered = _by_size(records, range(len(records)))
    dealt = np.array(_dealt_folds(len(ordered), folds, np.random.default_rng(seed)))
    test = [name for name, dealt_to in zip(ordered, dealt, strict=True) if dealt_to == fold]
    others = [name for name, dealt_to in zip(ordered, dealt, strict=True) if dealt_to != fold]
    val = _drawn_evenly(others, round(val_fraction * len(ordered)), np.random.default_rng([seed, fold]))
    train = _thinned(
        [name for name in others if name not in val], train_fraction, np.random.default_rng([seed, fold, 1])
    )
    return _checked(
        *(sorted(index for name in part for index in members[name]) for part in (train, val, test)),
        what=f"{len(records)} images of {len(ordered)} examinations, {folds} folds, val_fraction {val_fraction}",
    )


def by_image(
    records: Sequence[Record],
    *,
    fold: int,
    folds: int = 5,
    val_fraction: float = 0.1,
    seed: int = 42,
    test_selects: bool = False,
    drop_leaking: bool = False,
) -> Split:
    """Splits at random by image, as the original study did: frames of one examination land on both sides.

    The study had one set of 15 % that selected the weights and was reported as well; with `test_selects` (and 7 folds)
    this does the same.

    Args:
        records: in any order.
        fold: which one is tested, 0 to `folds` - 1.
        folds: how many there are, at least 2.
        val_fraction: share of all images that select, above 0 and below 1; at least one image.
        seed: of the shuffle.
        test_selects: validates on the test images and takes no others for it; `val_fraction` is then not used.
        drop_leaking: leaves out the training images whose examination selects or is tested; val and test stay as they
            are, so that what the leak was worth is seen on the same images.

    Raises:
        InputError: an option is out of range or a part would be empty.
    """
    _check_options(fold, folds, val_fraction)
    by_name = sorted(range(len(records)), key=lambda index: records[index].image)
    shuffled = np.random.default_rng(seed).permutation(by_name).tolist()
    test = shuffled[fold::folds]
    others = [index for position, index in enumerate(shuffled) if position % folds != fold]
    wanted = 0 if test_selects else max(1, round(val_fraction * len(records)))
    train, val = others[wanted:], test if test_selects else others[:wanted]
    if drop_leaking:
        held_out = {records[index].examination for index in (*val, *test)}
        train = [index for index in train if records[index].examination not in held_out]
    return _checked(
        train,
        val,
        test,
        what=f"{len(records)} images, {folds} folds, val_fraction {val_fraction}",
    )


def by_source(
    records: Sequence[Record],
    *,
    fold: int,
    folds: int = 1,
    val_fraction: float = 0.1,
    seed: int = 0,
    allow_leak: bool = False,
) -> Split:
    """Keeps the source's own parts; what selects is drawn from its training part unless it has one for that.

    Validation examinations are drawn evenly over the head sizes of the training part, as in `by_examination`.

    Args:
        records: in any order, each with a `part`.
        fold: 0; the source has one test set.
        folds: not used; it stands in the message for another fold.
        val_fraction: share of the training part's examinations that select, above 0 and below 1; at least one. Not used
            where the source has a part `val`.
        seed: of the draw; leave it alone to stay comparable.
        allow_leak: accepts examinations on both sides of the source's split instead of refusing it.

    Raises:
        InputError: an option is out of range, a record has no part, an examination is in two parts, or a part is empty.
    """
    _check_one_fold(fold, folds, why="the source's own split has one test set")
    _check_val_fraction(val_fraction)
    if unknown := [record.image for record in records if record.part not in _PARTS]:
        raise InputError(
            f"split=source: expected every image in one of the source's own parts, but {len(unknown)} of "
            f"{len(records)} are in none, for example {min(unknown)}; use split=examination, or add parts to the labels"
        )
    parts = {part: [index for index, record in enumerate(records) if record.part == part] for part in _PARTS}
    if not allow_leak:
        _refuse_leaks({part: {records[index].examination for index in chosen} for part, chosen in parts.items()})
    if not parts["val"]:
        members, ordered = _by_size(records, parts["train"])
        drawn = _drawn_evenly(ordered, round(val_fraction * len(ordered)), np.random.default_rng(seed))
        for part, names in (("train", members.keys() - drawn), ("val", drawn)):
            parts[part] = [index for name in names for index in members[name]]
    return _checked(
        *(parts[part] for part in _PARTS),
        what=f"{len(records)} images in the source's own parts, val_fraction {val_fraction}",
    )


def everything(
    records: Sequence[Record], *, fold: int, folds: int = 1, watched_fraction: float = 0.1, seed: int = 0
) -> Split:
    """Trains on every image; what selects and is tested is some of them.

    The figures of such a run say nothing about other heads, and the run counts its test images as seen. Those of the
    same options under `by_examination` are what it can be expected to do.

    Args:
        records: in any order.
        fold: 0; there is nothing to hold out.
        folds: not used; it stands in the message for another fold.
        watched_fraction: share of the examinations that select and are tested, evenly over the head sizes, above 0 and
            below 1; at least one.
        seed: of the draw.

    Raises:
        InputError: an option is out of range, or there is no image.
    """
    _check_one_fold(fold, folds, why="everything is trained on")
    if not 0 < watched_fraction < 1:
        raise InputError(f"watched_fraction: expected a share above 0 and below 1, got {watched_fraction}")
    members, ordered = _by_size(records, range(len(records)))
    drawn = _drawn_evenly(ordered, round(watched_fraction * len(ordered)), np.random.default_rng(seed))
    watched = [index for name in drawn for index in members[name]]
    return _checked(range(len(records)), watched, watched, what=f"{len(records)} images")


def leaking_images(split: Split, records: Sequence[Record], contents: Mapping[str, str] = _UNKNOWN) -> int:
    """How many validation and test images show an examination that is also trained on; 0 is as it should be.

    Args:
        split: of `records`.
        records: of a source.
        contents: the content digest of each image. An image that is trained on under another name counts too.
    """
    return _known(records, contents, learnt=split.train, asked={*split.val, *split.test})


def seen_test_images(split: Split, records: Sequence[Record], contents: Mapping[str, str] = _UNKNOWN) -> int:
    """How many test images show an examination that was trained or selected on, as `leaking_images` counts them."""
    return _known(records, contents, learnt={*split.train, *split.val}, asked=split.test)


def refuse_copies(split: Split, records: Sequence[Record], contents: Mapping[str, str]) -> None:
    """Refuses a split with the same image, under two names, in two of its parts.

    Raises:
        InputError: it has one.
    """
    images = {part: {contents[records[index].image]: records[index].image for index in getattr(split, part)}
              for part in _PARTS}  # fmt: skip
    for first, second in itertools.combinations(_PARTS, 2):
        if shared := sorted((images[first][key], images[second][key]) for key in images[first].keys() & images[second]):
            raise InputError(
                f"split=source: expected each image in one part, but {len(shared)} of {first} are in {second} too, for "
                f"example {shared[0][0]}, which is {shared[0][1]} byte for byte; remove one of them, or accept it with "
                "split.allow_leak=true"
            )


def _known(
    records: Sequence[Record], contents: Mapping[str, str], *, learnt: Iterable[int], asked: Iterable[int]
) -> int:
    known = [records[index] for index in learnt]
    examinations = {record.examination for record in known}
    digests = {contents[record.image] for record in known if record.image in contents}
    return sum(
        records[index].examination in examinations or contents.get(records[index].image) in digests for index in asked
    )


def _check_options(fold: int, folds: int, val_fraction: float) -> None:
    if folds < 2:
        raise InputError(f"folds: expected at least 2, got {folds}")
    if fold not in range(folds):
        raise InputError(f"fold: expected 0 to {folds - 1}, because there are {folds} folds, got {fold}")
    _check_val_fraction(val_fraction)


def _check_one_fold(fold: int, folds: int, *, why: str) -> None:
    if fold != 0:
        raise InputError(
            f"fold: expected 0, because {why}, got {fold} (of {folds} folds); set data.fold=0, or use split=examination"
        )


def _check_val_fraction(val_fraction: float) -> None:
    if not 0 < val_fraction < 1:
        raise InputError(f"val_fraction: expected a share above 0 and below 1, got {val_fraction}")


def _checked(train: Sequence[int], val: Sequence[int], test: Sequence[int], *, what: str) -> Split:
    split = Split(*(tuple(sorted(part)) for part in (train, val, test)))
    if empty := [part for part in _PARTS if not getattr(split, part)]:
        raise InputError(
            f"the split leaves {' and '.join(empty)} empty ({what}); use more images, fewer folds or another "
            "val_fraction"
        )
    return split


def _refuse_leaks(examinations: dict[str, set[str]]) -> None:
    for first, second in itertools.combinations(examinations, 2):
        if shared := sorted(examinations[first] & examinations[second]):
            named = ", ".join(shared[:_NAMED_AT_MOST]) + (", ..." if len(shared) > _NAMED_AT_MOST else "")
            raise InputError(
                f"split=source: expected each examination in one of the source's own parts, but {len(shared)} are in "
                f"{first} and in {second}: {named}; use split=examination, or accept it with split.allow_leak=true"
            )


def _drawn_evenly(ordered: Sequence[str], count: int, generator: np.random.Generator) -> set[str]:
    """One from each of `count` equally long runs of neighbours, at least one in all."""
    runs = np.array_split(np.arange(len(ordered)), max(1, count))
    return {ordered[generator.choice(run)] for run in runs if len(run)}


def _by_size(records: Sequence[Record], indices: Iterable[int]) -> tuple[dict[str, list[int]], list[str]]:
    """The images of each examination, and the examinations from the smallest head to the largest."""
    members = defaultdict(list)
    for index in indices:
        members[records[index].examination].append(index)
    size = _mean_sizes(records, members)
    return members, sorted(members, key=lambda examination: (size[examination], examination))


def _mean_sizes(records: Sequence[Record], members: dict[str, list[int]]) -> dict[str, float]:
    """Mean circumference of each examination; infinite where the labels give none."""
    in_mm = all(math.isfinite(record.mm_per_px) for record in records)
    sizes = {}
    for examination, indices in members.items():
        points = np.stack([records[index].points_orig for index in indices])
        scale = np.array([records[index].mm_per_px if in_mm else 1.0 for index in indices])
        # The circumference, because it is the same where a source's names of OFD and BPD are exchanged.
        mean = float(np.mean(head_circumference(bpd(points), ofd(points)) * scale))
        sizes[examination] = mean if math.isfinite(mean) else math.inf
    return sizes


def _thinned(names: list[str], fraction: float, generator: np.random.Generator) -> list[str]:
    """A share of each run of `_THINNING_BLOCK` neighbours."""
    dealt = _dealt_folds(len(names), _THINNING_BLOCK, generator)
    return [name for name, place in zip(names, dealt, strict=True) if place < round(fraction * _THINNING_BLOCK)]


def _dealt_folds(count: int, folds: int, generator: np.random.Generator) -> Iterable[int]:
    dealt = [generator.permutation(folds) for _ in range(-(-count // folds))]
    return np.concatenate(dealt)[:count].tolist() if dealt else []
