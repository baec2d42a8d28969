import numpy as np
import pytest

from fetal_lm.data.judge import relabelled
from fetal_lm.data.records import Record
from fetal_lm.data.splits import Split
from fetal_lm.errors import InputError


def record(image, *, x=0.0, size_orig=(54, 80)):
    return Record(image, image[:3], size_orig, np.full((4, 2), x), 0.5)


TRUTH = [record(f"{number:03d}_HC.png") for number in range(6)]
SPLIT = Split(train=(0, 2, 4), val=(1,), test=(3, 5))


def test_train_and_val_carry_the_labels_and_test_the_truth():
    labels = [record(one.image, x=9.0) for one in reversed(TRUTH)]
    records, split = relabelled(TRUTH, SPLIT, labels)
    assert split == SPLIT
    assert [one.points_orig[0, 0] for one in records] == [9.0, 9.0, 9.0, 0.0, 9.0, 0.0]
    assert [one.image for one in records] == [one.image for one in TRUTH]


def test_images_without_a_label_are_left_out_but_all_are_tested():
    labels = [record(TRUTH[index].image, x=9.0) for index in (1, 4)]
    records, split = relabelled(TRUTH, SPLIT, labels)
    assert [one.image for one in records] == [TRUTH[index].image for index in (1, 3, 4, 5)]
    assert split == Split(train=(2,), val=(0,), test=(1, 3))


def test_labels_of_other_images_are_not_used():
    labels = [record(one.image, x=9.0) for one in TRUTH]
    records, _ = relabelled(TRUTH, SPLIT, [*labels, record("999_HC.png", x=7.0)])
    assert len(records) == len(TRUTH)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([record("999_HC.png")], "0 images to train"),
        ([record(one.image, size_orig=(80, 54)) for one in TRUTH], "same image"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        relabelled(TRUTH, SPLIT, labels)
