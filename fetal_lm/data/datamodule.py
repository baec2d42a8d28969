"""Records, split, cache and augmentation -> loaders: one LightningDataModule, the same for every hypothesis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from fetal_lm import geometry, landmarks
from fetal_lm.data.batch import Sample, collate
from fetal_lm.data.cache import open_images
from fetal_lm.data.records import Record, Source
from fetal_lm.data.splits import Split
from fetal_lm.data.transforms import Augmentation
from fetal_lm.errors import InputError
from fetal_lm.geometry import Fit, Size

Draw = tuple[int, int]
"""(record index, seed of the augmentation)."""

Order = Literal["canonical", "labelled"]


class LandmarkDataModule(pl.LightningDataModule):
    """Loaders over one split of one source.

    Args:
        source: where images and labels come from.
        records: the source's records, in its order.
        split: which of them train, select and test.
        augmentation: drawn anew for each training image and epoch; validation and test images are never augmented.
        size_net: (height, width) that the network sees.
        fit: `squash` or `letterbox`.
        order: `canonical` renames the ends of each pair by `landmarks.canonical_order` after augmentation; `labelled`
            keeps the source's names.
        batch_size: images per training step and process; the last, smaller batch of an epoch is left out unless it is
            the only one.
        workers: loader processes; 0 loads in the training process, which is fastest on two cores.
        cache_dir: folder of the image cache; None reads and resizes each image every time.
        seed: order of the training images and draws of the augmentation, each a function of (seed, epoch).
    """

    def __init__(
        self,
        *,
        source: Source,
        records: Sequence[Record],
        split: Split,
        augmentation: Augmentation,
        size_net: Size,
        fit: Fit,
        order: Order,
        batch_size: int,
        workers: int,
        cache_dir: Path | None,
        seed: int,
    ) -> None:
        super().__init__()
        if fit not in geometry.FITS:
            raise InputError(f"data.fit is {fit!r}; expected one of {sorted(geometry.FITS)}")
        if order not in get_args(Order):
            raise InputError(f"data.order is {order!r}; expected one of {sorted(get_args(Order))}")
        self.source = source
        self.records = list(records)
        self.split = split
        self.augmentation = augmentation
        self.size_net = size_net
        self.fit = fit
        self.order = order
        self.batch_size = batch_size
        self.workers = workers
        self.cache_dir = cache_dir
        self.seed = seed
        self._epoch = 0
        self._dataset: HeadDataset | None = None

    def state_dict(self) -> dict[str, Any]:
        """The epoch that comes next, for the checkpoint."""
        if self.trainer is None:
            return {}
        # What Lightning itself gives to samplers, behind a type that does not say so.
        return {"epoch": cast(Any, self.trainer.fit_loop.epoch_progress.current).processed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on with that epoch.

        Lightning sets it on the sampler too, but too late where processes load: they have drawn their first batches
        by then, which would be those of epoch 0 again.
        """
        self._epoch = state_dict["epoch"]

    def setup(self, stage: str | None = None) -> None:  # noqa: ARG002
        """Opens the image cache, filling it first if need be."""
        if self._dataset is None:
            self._dataset = HeadDataset(self)

    def train_dataloader(self) -> DataLoader[Any]:
        """Augmented training images, shuffled anew every epoch; in a distributed training those of this process."""
        place = (0, 1) if self.trainer is None else (self.trainer.global_rank, self.trainer.world_size)
        sampler = EpochShuffle(self.split.train, seed=self.seed, epoch=self._epoch, place=place)
        return self._loader(sampler, drop_last=len(sampler) >= self.batch_size)

    def val_dataloader(self) -> DataLoader[Any]:
        """Validation images in order, as they are.

        All of them in every process of a distributed training: those have to take equally many batches, and an image
        counted twice to make up for a missing one would move the figure that selects.
        """
        return self._loader(self.split.val)

    def predict_dataloader(self) -> DataLoader[Any]:
        """Test images in order, as they are."""
        return self._loader(self.split.test)

    def images(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Grey images at their original size, for pictures."""
        return [self.source.read(self.records[index]) for index in indices]

    def image_of(self, name: str) -> np.ndarray:
        """The grey image of a record's name, at its original size, for pictures."""
        return self.source.read(next(record for record in self.records if record.image == name))

    def tested(self) -> list[Record]:
        """The test images' records, their landmarks named as a model is taught to name them (`order`).

        A source may call an end of the BPD 1 on the other side of the OFD than the canonical order does: a prediction
        in canonical order would then be wrong by the whole diameter.
        """
        records = [self.records[index] for index in self.split.test]
        if self.order == "labelled":
            return records
        return [replace(record, points_orig=landmarks.canonical_order(record.points_orig)) for record in records]

    def _loader(self, sampler: Sequence[int] | EpochShuffle, *, drop_last: bool = False) -> DataLoader[Any]:
        self.setup()
        if self._dataset is None:
            raise RuntimeError("setup() opened no images")
        return DataLoader(
            self._dataset,
            sampler=sampler,
            batch_size=self.batch_size,
            drop_last=drop_last,
            collate_fn=collate,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


class EpochShuffle(Sampler[Draw]):
    """A shuffle and augmentation seeds that are functions of (seed, epoch) alone, so that a resumed run draws the same.

    Lightning calls `set_epoch` before every epoch.

    Args:
        indices: of the records to draw.
        seed: of the run.
        epoch: the one to draw next.
        place: which process of how many this is. They deal the images out in turn, so that their batches together are
            the batch of one process alone; what does not go round is left out.
    """

    def __init__(self, indices: Sequence[int], *, seed: int, epoch: int = 0, place: tuple[int, int] = (0, 1)) -> None:
        self.indices = np.asarray(indices)
        self.seed = seed
        self.epoch = epoch
        self.rank, self.processes = place

    def set_epoch(self, epoch: int) -> None:
        """Chooses the epoch that the next iteration draws."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.indices) // self.processes

    def __iter__(self) -> Iterator[Draw]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(self.indices)
        seeds = generator.integers(2**31, size=len(order))
        draws = list(zip(order.tolist(), seeds.tolist(), strict=True))
        return iter(draws[self.rank : len(self) * self.processes : self.processes])


class HeadDataset(Dataset[Sample]):
    """Samples by record index (as they are) or by (record index, seed) (augmented)."""

    def __init__(self, module: LandmarkDataModule) -> None:
        self._records = module.records
        self._augmentation = module.augmentation
        self._canonical = module.order == "canonical"
        fit = geometry.FITS[module.fit]
        self._to_net = [fit(record.size_orig, module.size_net) for record in module.records]
        self._images = open_images(
            module.source, module.records, size_net=module.size_net, fit=module.fit, cache_dir=module.cache_dir
        )

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, key: int | Draw) -> Sample:
        index, seed = key if isinstance(key, tuple) else (key, None)
        record, to_net = self._records[index], self._to_net[index]
        image = self._images[index]
        points_net = geometry.apply(to_net, record.points_orig)
        if seed is not None:
            aspect = to_net[1, 1] / to_net[0, 0]
            image, points_net = self._augmentation(image, points_net, aspect=aspect, seed=seed)
        if self._canonical:
            # Last, because a rotation may carry the OFD through the vertical, where the order changes.
            points_net = landmarks.canonical_order(points_net)
        return Sample(
            image=torch.from_numpy(np.asarray(image, dtype=np.float32) / 255).unsqueeze(0),
            points_net=points_net,
            to_orig=geometry.inverse(to_net),
            mm_per_px=record.mm_per_px,
            record=index,
        )
