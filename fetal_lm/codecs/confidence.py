"""How sure a network is of a point: the share of its heatmap's mass that lies near the point.

Both maps of a pair are taken together, because which end is called 1 is arbitrary: half of the pair's mass belongs to
each end. A sharp peak at the point gives 1, a map that spreads over the skull or over the whole image little, and a
point that its map does not show 0.
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from fetal_lm.codecs.decoders import argmax
from fetal_lm.codecs.gaussian import pooled_pairs
from fetal_lm.geometry import from_map, to_map

NEAR_SIGMAS: Final = 3.0
"""Radius around the point in standard deviations of the codec's Gaussian, which holds 98.9 % of one."""

BACKGROUND: Final = 0.05
"""Share of a pair's peak below which mass is background: a map of a squared error is nowhere quite zero."""

SURE: Final = 0.75
"""Maps of which more lies around their highest pixels leave no doubts; of validation images nine in ten do not
(`experiments/accuracy/constants.py`)."""


def before_decoding(heatmaps: Float[Tensor, "B 4 h w"], *, stride: int, sigma_px: float) -> Float[Tensor, "B"]:
    """The least confidence of a head's landmarks if each were its map's highest pixel; NaN where a map is empty.

    Two maps that both show the same end of a diameter, and nothing else, are as sure as two that show one each.

    Args:
        heatmaps: as a view of `confidence`.
        stride: network pixels per heatmap pixel.
        sigma_px: as in `confidence`.
    """
    highest = from_map(argmax(heatmaps.float()), stride)
    return confidence(heatmaps.unsqueeze(0), highest, stride=stride, sigma_px=sigma_px).amin(1)


def confidence(
    views: Float[Tensor, "V B 4 h w"], points_net: Float[Tensor, "B 4 2"], *, stride: int, sigma_px: float
) -> Float[Tensor, "B 4"]:
    """The confidence of each landmark, 0 to 1; NaN where the point is NaN or the pair's maps are empty.

    Args:
        views: heatmaps of an image and its mirror images, non-negative, of any scale; in the order of `NAMES`.
        points_net: the landmarks in network pixels.
        stride: network pixels per heatmap pixel.
        sigma_px: largest standard deviation of the Gaussians that were trained for, in network pixels.

    Example:
        >>> maps = torch.zeros(1, 1, 4, 16, 24)
        >>> maps[..., 8, 4] = 1.0
        >>> maps[:, :, 1:2, 8, 4], maps[:, :, 1:2, 8, 20] = 0.0, 1.0
        >>> points = torch.tensor([[[4.0, 8.0], [20.0, 8.0], [4.0, 8.0], [20.0, 8.0]]])
        >>> confidence(maps, points, stride=1, sigma_px=1.0).tolist()
        [[1.0, 1.0, 1.0, 0.0]]
    """
    pairs = pooled_pairs(views)  # [B, 2 pairs, h, w]
    pairs = pairs.where(pairs >= BACKGROUND * pairs.amax((-2, -1), keepdim=True), 0.0)
    centres = to_map(points_net.float(), stride).unflatten(1, (2, 2))[..., None, None, :]
    height, width = pairs.shape[-2:]
    rows = torch.arange(height, device=pairs.device).unsqueeze(-1)
    columns = torch.arange(width, device=pairs.device)
    squared = (columns - centres[..., 0]) ** 2 + (rows - centres[..., 1]) ** 2  # [B, 2 pairs, 2 ends, h, w]
    near = squared <= (NEAR_SIGMAS * sigma_px / stride) ** 2
    # 0 / 0 is NaN where a map is empty.
    share = (pairs.unsqueeze(2) * near).sum((-2, -1)) / pairs.sum((-2, -1)).unsqueeze(-1)
    found: Tensor = (2 * share).clamp_max(1.0).flatten(1)
    return found.masked_fill(points_net.isnan().any(-1), torch.nan)
