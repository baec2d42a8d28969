"""Heatmaps -> sub-pixel peaks, batched and on whatever device the maps are on.

Every decoder takes non-negative maps `[..., h, w]` and the `Pixels` to refine, by default the highest of each map, and
returns points (x, y) `[..., 2]` in heatmap pixels whose centres are integers. A map without a peak (nothing above zero,
or anything not finite) decodes to NaN, never to a corner.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

# In x and in y the highest pixel lies at most elongation / 2 px from the peak of a sampled Gaussian: half a pixel for a
# round one; for others, over all directions and centres, 0.81 px was the most at an elongation of 2, 1.38 px at 4. On
# the border the step starts up to one pixel further in. A longer step is noise, or a peak beyond the edge, and is cut.
BORDER_STEP_PX = 1.0


# Of a 3 x 3 patch, row by row: central differences d/dx and d/dy, then d2/dx2, d2/dy2 and d2/dx dy.
_DIFFERENCES: Final = (
    (0.0, 0.0, 0.0, -0.5, 0.0, 0.5, 0.0, 0.0, 0.0),
    (0.0, -0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5, 0.0),
    (0.0, 0.0, 0.0, 1.0, -2.0, 1.0, 0.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0, -2.0, 0.0, 0.0, 1.0, 0.0),
    (0.25, 0.0, -0.25, 0.0, 0.0, 0.0, -0.25, 0.0, 0.25),
)


class Pixels(NamedTuple):
    """One pixel of each map.

    Attributes:
        row, column: where it lies.
        value: its height.
        found: false where the map has no peak.
    """

    row: Int[Tensor, "*n"]
    column: Int[Tensor, "*n"]
    value: Float[Tensor, "*n"]
    found: Bool[Tensor, "*n"]


def highest_pixels(heatmaps: Float[Tensor, "*n h w"]) -> Pixels:
    """The highest pixel of each map, the first of equals; not found where it is zero, negative or not finite."""
    peak, index = heatmaps.flatten(-2).max(dim=-1)  # A NaN anywhere in the map is its maximum.
    width = heatmaps.shape[-1]
    return Pixels(index // width, index % width, peak, (peak > 0) & (peak < torch.inf))


def argmax(heatmaps: Float[Tensor, "*n h w"], pixels: Pixels | None = None) -> Float[Tensor, "*n 2"]:
    """The centre of the highest pixel: off by up to half a heatmap pixel in x and y.

    Example:
        >>> heatmap = torch.zeros(4, 6); heatmap[1, 5] = 1.0
        >>> argmax(heatmap)
        tensor([5., 1.])
    """
    row, column, _, decoded = pixels or highest_pixels(heatmaps)
    return _nan_where(~decoded, torch.stack([column, row], dim=-1).to(heatmaps.dtype))


def dark(
    heatmaps: Float[Tensor, "*n h w"], pixels: Pixels | None = None, *, elongation: float = 1.0
) -> Float[Tensor, "*n 2"]:
    """Distribution-aware decoding: one Newton step on the logarithm, from the highest pixel.

    Exact for a Gaussian of any shape and direction, whose logarithm is quadratic.

    Source: Zhang, Zhu, Dai, Ye, Zhu, "Distribution-aware coordinate representation for human pose estimation", CVPR
    2020, equations 3 to 9, without its smoothing of the map. On the border the step starts one pixel further in. Where
    the logarithm has no maximum there, the highest pixel stands.

    Args:
        heatmaps: non-negative maps.
        pixels: where the steps start.
        elongation: largest by smallest standard deviation of the peaks; longer peaks get longer steps.
    """
    longest_px = BORDER_STEP_PX + elongation / 2
    height, width = heatmaps.shape[-2:]
    row, column, _, decoded = pixels or highest_pixels(heatmaps)
    row_in, column_in = row.clamp(1, height - 2), column.clamp(1, width - 2)
    patch = _patch(heatmaps, row_in, column_in, radius=1).double()
    log = patch.clamp_min(torch.finfo(torch.float32).tiny).log()
    dx, dy, dxx, dyy, dxy = (log.flatten(-2) @ log.new_tensor(_DIFFERENCES).T).unbind(-1)
    determinant = dxx * dyy - dxy * dxy
    is_maximum = (dxx < 0) & (determinant > 1e-12)
    safe = determinant.where(is_maximum, torch.ones_like(determinant))
    step_x = ((dxy * dy - dyy * dx) / safe).clamp(-longest_px, longest_px)
    step_y = ((dxy * dx - dxx * dy) / safe).clamp(-longest_px, longest_px)
    x = (column_in + step_x).where(is_maximum, column.double())
    y = (row_in + step_y).where(is_maximum, row.double())
    return _nan_where(~decoded, torch.stack([x, y], dim=-1).to(heatmaps.dtype))


def local_soft_argmax(
    heatmaps: Float[Tensor, "*n h w"], radius: int, pixels: Pixels | None = None
) -> Float[Tensor, "*n 2"]:
    """The centre of mass of a square window around the highest pixel.

    Unbiased where the window holds the whole peak: with a radius of 4 sigma, and 4 sigma away from the frame's edge.

    Args:
        heatmaps: non-negative maps.
        radius: half width of the window in heatmap pixels; what lies outside the map weighs nothing.
        pixels: the middles of the windows.
    """
    row, column, _, decoded = pixels or highest_pixels(heatmaps)
    padded = torch.nn.functional.pad(heatmaps, (radius, radius, radius, radius))
    weights = _patch(padded, row + radius, column + radius, radius=radius).double()
    offsets = torch.arange(-radius, radius + 1, dtype=torch.float64, device=heatmaps.device)
    mass = weights.sum(dim=(-2, -1)).clamp_min(torch.finfo(torch.float64).tiny)
    x = column + (weights.sum(-2) * offsets).sum(-1) / mass
    y = row + (weights.sum(-1) * offsets).sum(-1) / mass
    return _nan_where(~decoded, torch.stack([x, y], dim=-1).to(heatmaps.dtype))


def _patch(heatmaps: Tensor, row: Tensor, column: Tensor, *, radius: int) -> Float[Tensor, "*n d d"]:
    width = heatmaps.shape[-1]
    span = torch.arange(-radius, radius + 1, device=heatmaps.device)
    rows = row[..., None, None] + span[:, None]
    columns = column[..., None, None] + span[None, :]
    index = (rows * width + columns).flatten(-2)
    side = 2 * radius + 1
    patch: Tensor = heatmaps.flatten(-2).gather(-1, index).unflatten(-1, (side, side))
    return patch


def _nan_where(condition: Tensor, points: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    return points.masked_fill(condition.unsqueeze(-1), torch.nan)
