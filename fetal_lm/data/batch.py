"""What every hypothesis is given: the same for all of them, so that comparisons are fair."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor


class Sample(NamedTuple):
    """One image on its way into a batch; fields as in `Batch`, without B."""

    image: Float[Tensor, "1 H W"]
    points_net: Float[np.ndarray, "4 2"]
    to_orig: Float[np.ndarray, "2 3"]
    mm_per_px: float
    record: int


class Batch(NamedTuple):
    """A batch of images with their landmarks.

    Attributes:
        image: grey, 0 to 1, at network size.
        points_net: landmarks (x, y) in network pixels; outside the frame where an augmentation pushed them there.
        to_orig: affine map from network to original pixels of the image without augmentation.
        mm_per_px: spacing of original pixels; NaN where unknown.
        record: position of the image in the source's records.
    """

    image: Float[Tensor, "B 1 H W"]
    points_net: Float[Tensor, "B 4 2"]
    to_orig: Float[Tensor, "B 2 3"]
    mm_per_px: Float[Tensor, "B"]
    record: Int[Tensor, "B"]


def collate(samples: list[Sample]) -> Batch:
    """Stacks samples; coordinates become float32, spacings float32, maps float64 (they must invert exactly)."""
    return Batch(
        image=torch.stack([sample.image for sample in samples]),
        points_net=torch.from_numpy(np.stack([sample.points_net for sample in samples])).float(),
        to_orig=torch.from_numpy(np.stack([sample.to_orig for sample in samples])).double(),
        mm_per_px=torch.tensor([sample.mm_per_px for sample in samples], dtype=torch.float32),
        record=torch.tensor([sample.record for sample in samples], dtype=torch.int64),
    )


def to_original(points_net: Float[Tensor, "B K 2"], to_orig: Float[Tensor, "B 2 3"]) -> Float[Tensor, "B K 2"]:
    """Moves points from network to original pixels, in float64; NaN stays NaN."""
    linear, shift = to_orig[:, :, :2], to_orig[:, :, 2]
    return points_net.double() @ linear.transpose(1, 2) + shift.unsqueeze(1)
