from __future__ import annotations

import logging
import multiprocessing
import pickle

import cv2
import numpy as np
import pytest
import torch

from fetal_lm.data.adapters.hc18 import Hc18
from fetal_lm.data.cache import ImageCache, ResizedImages, open_images
from fetal_lm.errors import InputError
from fetal_lm.geometry import fit_image

SIZE_NET = (24, 32)


@pytest.fixture
def source(make_hc18):
    return Hc18(make_hc18())


def opened(source, cache_dir, *, size_net=SIZE_NET, fit="squash", records=None):
    return open_images(
        source, source.records() if records is None else records, size_net=size_net, fit=fit, cache_dir=cache_dir
    )


def everything(images):
    return np.stack([images[index] for index in range(len(images))])


def forbid_reading(monkeypatch):
    def read(*_):
        raise AssertionError("an image was read although it is in the cache")

    monkeypatch.setattr(Hc18, "read", read)


@pytest.mark.parametrize("fit", ["squash", "letterbox"])
def test_cached_images_are_the_resized_ones(source, tmp_path, fit):
    expected = np.stack([fit_image(source.read(record), SIZE_NET, fit) for record in source.records()])
    for cache_dir in (tmp_path / "cache", None):
        images = opened(source, cache_dir, fit=fit)
        assert len(images) == 4
        np.testing.assert_array_equal(everything(images), expected)


def test_a_second_opening_reads_no_image(source, tmp_path, monkeypatch):
    expected = everything(opened(source, tmp_path / "cache"))
    forbid_reading(monkeypatch)
    again = opened(source, tmp_path / "cache")
    assert isinstance(again, ImageCache)
    np.testing.assert_array_equal(everything(again), expected)


def test_without_a_folder_nothing_is_written(source, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    images = opened(source, None)
    assert isinstance(images, ResizedImages)
    images[0]
    assert sorted(tmp_path.rglob("*")) == before


def test_the_file_is_an_ordinary_npy(source, tmp_path):
    images = opened(source, tmp_path / "cache")
    (path,) = (tmp_path / "cache").iterdir()
    np.testing.assert_array_equal(np.load(path), everything(images))


def test_every_setting_and_every_content_has_a_file_of_its_own(source, tmp_path):
    folder = tmp_path / "cache"
    records = source.records()
    opened(source, folder)
    opened(source, folder, fit="letterbox")
    opened(source, folder, size_net=(32, 24))
    opened(source, folder, records=records[::-1])
    assert len(list(folder.iterdir())) == 4
    path = source.root / "training_set" / records[2].image
    changed = source.read(records[2]) // 2
    cv2.imwrite(str(path), changed)
    images = opened(source, folder)
    assert len(list(folder.iterdir())) == 5
    np.testing.assert_array_equal(images[2], fit_image(changed, SIZE_NET, "squash"))


def test_writing_into_an_image_does_not_change_the_cache(source, tmp_path):
    images = opened(source, tmp_path / "cache")
    before = images[0].copy()
    images[0][:] = 0
    np.testing.assert_array_equal(images[0], before)


def flipped_bit(content):
    content[len(content) // 2] ^= 1
    return content


DAMAGES = {
    "a wrong bit": flipped_bit,
    "cut short": lambda content: content[: len(content) // 2],
    "a byte short": lambda content: content[:-1],
    "a byte too long": lambda content: content + b"x",
    "empty": lambda _: b"",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_is_noticed_and_built_anew(source, tmp_path, caplog, damage):
    folder = tmp_path / "cache"
    expected = everything(opened(source, folder))
    (path,) = folder.iterdir()
    path.write_bytes(DAMAGES[damage](bytearray(path.read_bytes())))
    with caplog.at_level(logging.WARNING):
        images = opened(source, folder)
    assert "damaged" in caplog.text
    np.testing.assert_array_equal(everything(images), expected)
    assert list(folder.iterdir()) == [path]


def test_a_damaged_image_leaves_no_cache(source, tmp_path):
    records = source.records()
    path = source.root / "training_set" / records[3].image
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match="truncated"):
        opened(source, tmp_path / "cache", records=records)
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_images_are_an_error(source, tmp_path):
    with pytest.raises(InputError, match="hc18: expected images, got none"):
        opened(source, tmp_path, records=[])


def test_a_pickled_copy_is_small_and_maps_the_file_again(source, tmp_path):
    images = opened(source, tmp_path / "cache", size_net=(240, 320))
    expected = everything(images)
    content = pickle.dumps(images)
    assert len(content) < 1000
    np.testing.assert_array_equal(everything(pickle.loads(content)), expected)


class Tensors(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return torch.from_numpy(self.images[index])


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("start", ["fork", "spawn"])
def test_loader_workers_see_the_same_images(source, tmp_path, start, cached):
    images = opened(source, tmp_path / "cache" if cached else None)
    expected = everything(images)
    loader = torch.utils.data.DataLoader(Tensors(images), batch_size=1, num_workers=1, multiprocessing_context=start)
    np.testing.assert_array_equal(torch.cat(list(loader)).numpy(), expected)


def _build(root, cache_dir, barrier, answers):
    source = Hc18(root)
    records = source.records()
    barrier.wait()
    answers.put(everything(opened(source, cache_dir, records=records, size_net=(240, 320))).sum())


def test_processes_that_build_at_once_do_not_disturb_each_other(source, tmp_path):
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.Queue()
    builders = [
        context.Process(target=_build, args=(source.root, tmp_path / "cache", barrier, answers)) for _ in range(2)
    ]
    for builder in builders:
        builder.start()
    sums = {answers.get(timeout=120) for _ in builders}
    for builder in builders:
        builder.join()
        assert builder.exitcode == 0
    assert sums == {everything(opened(source, None, size_net=(240, 320))).sum()}
    assert len(list((tmp_path / "cache").iterdir())) == 1
