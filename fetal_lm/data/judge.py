"""Training on one source's labels, testing on another's labels of the same images.

Which labels to train on is a question about one set of images, so that the split and the test labels must not depend
on the answer: both are the judge's. Training and validation images carry the labels under study.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fetal_lm.data.records import Record
from fetal_lm.data.splits import Split
from fetal_lm.errors import InputError


def relabelled(truth: Sequence[Record], split: Split, labels: Sequence[Record]) -> tuple[list[Record], Split]:
    """The judge's records, those of train and val with the labels under study.

    Images of train and val without such a label are left out (a cleaned copy has fewer); every test image stays.

    Args:
        truth: the judge's records.
        split: of `truth`.
        labels: the source's records, in any order; images that `truth` lacks are not used.

    Returns:
        The records that are left, in the order of `truth`, and the split in their numbers.

    Raises:
        InputError: an image has another size in the two sources, or train or val would be empty.
    """
    by_image = {label.image: label for label in labels}
    tested = {*split.test}
    records: list[Record] = []
    number: dict[int, int] = {}
    for index, record in enumerate(truth):
        chosen = record if index in tested else _relabelled(record, by_image.get(record.image))
        if chosen is not None:
            number[index] = len(records)
            records.append(chosen)
    left = Split(*(tuple(number[index] for index in part if index in number) for part in split))
    if not left.train or not left.val:
        raise InputError(
            f"data.judge: {len(labels)} labels leave {len(left.train)} images to train and {len(left.val)} to validate "
            "among the judge's; expected labels of the judge's images"
        )
    return records, left


def _relabelled(record: Record, label: Record | None) -> Record | None:
    if label is None:
        return None
    if label.size_orig != record.size_orig:
        raise InputError(
            f"data.judge: {record.image} has {record.size_orig} px (height, width) there and {label.size_orig} in the "
            "source; expected the same image"
        )
    return replace(record, points_orig=label.points_orig)
