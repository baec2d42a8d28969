"""Rotations at test time: an image turned by a small angle, and what was found in it turned back.

Angles are degrees in the network's frame, about the frame's centre; where the frame is not as wide as the image is, a
squashed head is sheared a little by them. A positive angle turns from x to y, clockwise on a screen. Landmarks keep
their names, which holds for a small angle: a network names a head by how it lies in the image that it sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import grid_sample

from fetal_lm.errors import InputError
from fetal_lm.geometry import Size

LARGEST: Final = 45.0
"""Degrees; from here on a turned head is as likely to have another canonical order as not."""


def checked(degrees: Any) -> tuple[float, ...]:
    """The angles of the option `test_rotations`, as numbers; none for None.

    Raises:
        InputError: it is no list, or one in it is no angle to turn by, or is named twice.
    """
    if degrees is None:
        return ()
    is_list = isinstance(degrees, Sequence) and not isinstance(degrees, str)
    angles = [*degrees] if is_list else [degrees]
    wrong = [angle for angle in angles if isinstance(angle, bool) or not isinstance(angle, (int, float))]
    wrong += [angle for angle in angles if angle not in wrong and not 0 < abs(angle) < LARGEST]
    if not is_list or wrong or len({*angles}) < len(angles):
        raise InputError(
            f"test_rotations: expected a list of different degrees, none 0 and all smaller than {LARGEST:g}, for "
            f"example [-10,10], got {degrees}; the image as it is, is always looked at"
        )
    return tuple(float(angle) for angle in angles)


def images(image: Float[Tensor, "B C H W"], degrees: float) -> Float[Tensor, "B C H W"]:
    """The images turned about their centre, by bilinear resampling; black where they do not reach."""
    grid, _ = _sources(image, degrees)
    turned: Tensor = grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    return turned


def maps_back(
    maps: Float[Tensor, "*n K h w"], degrees: float, unturned: Float[Tensor, "*n K h w"]
) -> Float[Tensor, "*n K h w"]:
    """Maps of `images` in the frame of the images, by bicubic resampling.

    At stride 4 linear interpolation moves the peak of a Gaussian of 5 px, pooled with the unturned one, by up to 0.23
    px, cubic by up to 0.05 px. Where it overshoots below zero the map is zero.

    Args:
        maps: of the turned images, non-negative.
        degrees: by which they were turned.
        unturned: of the same images before they were turned. They stand where the turned frame does not reach, so that
            a landmark near a corner is not outvoted by views that cannot show it.
    """
    flat = maps.float().flatten(0, -4)
    grid, inside = _sources(flat, -degrees)
    # Beyond an outer pixel's centre there is nothing to interpolate with: its value is repeated.
    back = grid_sample(flat, grid, mode="bicubic", padding_mode="border", align_corners=False).clamp_min(0.0)
    return back.view_as(maps).where(inside, unturned.float())


def points_back(points_net: Float[Tensor, "*n 2"], degrees: float, size_net: Size) -> Float[Tensor, "*n 2"]:
    """Points (x, y) in turned images of `size_net` (H, W), in the frame of the images; exact.

    Example:
        >>> points_back(torch.tensor([[31.5, 41.5]]), 30.0, (64, 64)).round(decimals=4)
        tensor([[36.5000, 40.1603]])
    """
    height, width = size_net
    return _turned(points_net, -degrees, points_net.new_tensor([width - 1, height - 1]) / 2)


def _sources(like: Float[Tensor, "B C h w"], degrees: float) -> tuple[Float[Tensor, "B h w 2"], Bool[Tensor, "h w"]]:
    """Where each pixel of a frame turned by an angle comes from, as `grid_sample` wants it, and whether from inside."""
    count, _, height, width = like.shape
    rows = torch.arange(height, dtype=torch.float32, device=like.device)
    columns = torch.arange(width, dtype=torch.float32, device=like.device)
    pixels = torch.stack([columns.expand(height, width), rows.unsqueeze(-1).expand(height, width)], dim=-1)
    size = pixels.new_tensor([width, height])
    # Without align_corners -1 and 1 are the outer edges of the outer pixels, whose centres are on integers.
    sources = (2 * _turned(pixels, -degrees, (size - 1) / 2) + 1) / size - 1
    return sources.expand(count, height, width, 2).to(like.dtype), (sources.abs() <= 1).all(-1)


def _turned(points: Float[Tensor, "*n 2"], degrees: float, centre: Float[Tensor, "2"]) -> Float[Tensor, "*n 2"]:
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    x, y = (points - centre).unbind(-1)
    return torch.stack([cosine * x - sine * y, sine * x + cosine * y], dim=-1) + centre
