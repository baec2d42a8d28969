from dataclasses import replace

import numpy as np
import pytest

from fetal_lm import geometry, landmarks
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.batch import to_original
from fetal_lm.data.datamodule import EpochShuffle, LandmarkDataModule
from fetal_lm.data.splits import Split
from fetal_lm.data.transforms import AspectAffine, Augmentation
from fetal_lm.errors import InputError

SIZE_NET = (96, 128)
SOURCE = Phantom(seed=0, images=10)
SPLIT = Split((0, 1, 2, 3, 4), (5, 6), (7, 8, 9))


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def make(cache_dir, **options):
    settings = {
        "source": SOURCE,
        "records": SOURCE.records(),
        "split": SPLIT,
        "augmentation": Augmentation([]),
        "size_net": SIZE_NET,
        "fit": "squash",
        "order": "canonical",
        "batch_size": 2,
        "workers": 0,
        "cache_dir": cache_dir,
        "seed": 0,
    }
    return LandmarkDataModule(**(settings | options))


@pytest.mark.parametrize("fit", ["squash", "letterbox"])
def test_points_go_back_to_the_labels_to_a_thousandth_of_a_pixel(cache_dir, fit):
    data = make(cache_dir, fit=fit)
    for batch in data.predict_dataloader():
        assert batch.image.shape[1:] == (1, *SIZE_NET)
        assert batch.image.min() >= 0
        assert 0.5 < batch.image.max() <= 1
        truth = np.stack([data.records[index].points_orig for index in batch.record.tolist()])
        error = to_original(batch.points_net, batch.to_orig).numpy() - truth
        assert np.abs(error).max() < 1e-3


def test_the_loaders_hold_the_split(cache_dir):
    data = make(cache_dir)
    seen = {
        name: [index for batch in loader for index in batch.record.tolist()]
        for name, loader in (("val", data.val_dataloader()), ("test", data.predict_dataloader()))
    }
    assert seen == {"val": [5, 6], "test": [7, 8, 9]}
    trained = [index for batch in data.train_dataloader() for index in batch.record.tolist()]
    assert len(trained) == 4  # The last, smaller batch is left out.
    assert set(trained) <= {0, 1, 2, 3, 4}


def test_labels_are_tested_under_the_names_that_a_model_is_taught(cache_dir):
    # The other handedness, as one centre of the Multicentre benchmark has it: the BPD's ends exchanged, the OFD's not.
    exchanged = [replace(record, points_orig=record.points_orig[[0, 1, 3, 2]]) for record in SOURCE.records()]
    truth = [SOURCE.records()[index].points_orig for index in SPLIT.test]
    tested = make(cache_dir, records=exchanged).tested()
    assert [record.image for record in tested] == [exchanged[index].image for index in SPLIT.test]
    assert np.array_equal([record.points_orig for record in tested], truth)
    labelled = make(cache_dir, records=exchanged, order="labelled").tested()
    assert np.array_equal([record.points_orig[[0, 1, 3, 2]] for record in labelled], truth)


def test_fewer_images_than_a_batch_still_train(cache_dir):
    data = make(cache_dir, batch_size=8)
    assert [len(batch.image) for batch in data.train_dataloader()] == [5]


def test_processes_deal_out_the_batches_of_one():
    alone = list(EpochShuffle(range(23), seed=1, epoch=3))
    shares = [list(EpochShuffle(range(23), seed=1, epoch=3, place=(rank, 3))) for rank in range(3)]
    assert [len(share) for share in shares] == [7, 7, 7]
    assert [draw for turn in zip(*shares, strict=True) for draw in turn] == alone[:21]


def test_training_images_are_augmented_anew_each_epoch_and_others_never(cache_dir):
    turning = Augmentation([AspectAffine(rotate=(-20, 20), p=1.0)])
    data = make(cache_dir, augmentation=turning)
    loader = data.train_dataloader()

    def epoch(number):
        loader.sampler.set_epoch(number)
        return {int(i): p for batch in loader for i, p in zip(batch.record, batch.points_net.numpy(), strict=True)}

    first, again, second = epoch(0), epoch(0), epoch(1)
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[index], again[index]) for index in first)
    assert any(not np.array_equal(first[index], second[index]) for index in first.keys() & second.keys())
    for batch in data.val_dataloader():
        for index, points_net in zip(batch.record.tolist(), batch.points_net.numpy(), strict=True):
            record = data.records[index]
            expected = geometry.apply(geometry.squash(record.size_orig, SIZE_NET), record.points_orig)
            np.testing.assert_allclose(points_net, expected, atol=1e-4)


def test_labels_are_in_canonical_order_after_augmentation_unless_told(cache_dir):
    turning = Augmentation([AspectAffine(rotate=(180, 180), p=1.0)])
    canonical = make(cache_dir, augmentation=turning)
    for batch in canonical.train_dataloader():
        np.testing.assert_array_equal(batch.points_net, landmarks.canonical_order(batch.points_net))
    labelled = make(cache_dir, augmentation=turning, order="labelled")
    turned = np.concatenate([batch.points_net.numpy() for batch in labelled.train_dataloader()])
    assert not np.array_equal(turned, landmarks.canonical_order(turned))


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_change_nothing(cache_dir, workers):
    turning = Augmentation([AspectAffine(rotate=(-20, 20), p=1.0)])
    batches = list(make(cache_dir, augmentation=turning, workers=workers).train_dataloader())
    alone = list(make(cache_dir, augmentation=turning).train_dataloader())
    for one, other in zip(batches, alone, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.points_net, other.points_net)


def test_the_shuffle_is_a_function_of_seed_and_epoch():
    def draws(seed, epoch):
        sampler = EpochShuffle(range(20), seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert draws(0, 3) == draws(0, 3)
    assert draws(0, 3) != draws(0, 4)
    assert draws(0, 3) != draws(1, 3)
    assert sorted(index for index, _ in draws(0, 3)) == list(range(20))


@pytest.mark.parametrize(("option", "value"), [("fit", "crop"), ("order", "random")])
def test_unknown_options_list_the_known_ones(cache_dir, option, value):
    with pytest.raises(Exception, match=r"letterbox|canonical") as raised:
        make(cache_dir, **{option: value})
    assert isinstance(raised.value, InputError) or "Literal" in str(raised.value)
