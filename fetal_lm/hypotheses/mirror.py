"""Flips at test time: an image and its mirror images, and what was found in them moved back to the image's own frame.

Each flip names the landmarks anew, as `landmarks` states.
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from fetal_lm import landmarks

VIEWS: Final = 4

_IDENTITY: Final = tuple(range(landmarks.COUNT))

# Which dimensions of an image a view reverses, and landmark k of the image as a position among the view's landmarks.
_FLIPS: Final = (
    ((), _IDENTITY),
    ((-1,), landmarks.HORIZONTAL_FLIP),
    ((-2,), landmarks.VERTICAL_FLIP),
    ((-2, -1), landmarks.HALF_TURN),
)


def images(image: Float[Tensor, "B C H W"]) -> Float[Tensor, "VB C H W"]:
    """The images, then their mirror images by the vertical, the horizontal and both axes."""
    return torch.cat([image.flip(reversed_) for reversed_, _ in _FLIPS])


def maps_back(maps: Float[Tensor, "VB 4 h w"]) -> Float[Tensor, "V B 4 h w"]:
    """Landmark maps of `images` in the frame and with the names of the images."""
    views = maps.unflatten(0, (VIEWS, -1))
    return torch.stack(
        [views[number][:, list(order)].flip(reversed_) for number, (reversed_, order) in enumerate(_FLIPS)]
    )


def areas_back(areas: Float[Tensor, "VB h w"]) -> Float[Tensor, "V B h w"]:
    """Maps of `images` that are of no landmark in particular, in the frame of the images."""
    views = areas.unflatten(0, (VIEWS, -1))
    return torch.stack([view.flip(reversed_) for view, (reversed_, _) in zip(views, _FLIPS, strict=True)])


def points_back(points_net: Float[Tensor, "VB 4 2"], size_net: tuple[int, int]) -> Float[Tensor, "V B 4 2"]:
    """Landmarks in `images`, in pixels of (H, W), in the frame and with the names of the images."""
    far = points_net.new_tensor([size_net[1], size_net[0]]) - 1
    views, back = points_net.unflatten(0, (VIEWS, -1)), []
    for number, (reversed_, order) in enumerate(_FLIPS):
        mirrored = points_net.new_tensor([-1 in reversed_, -2 in reversed_]) > 0
        back.append((far - views[number]).where(mirrored, views[number])[:, list(order)])
    return torch.stack(back)


def mean_head(points_net: Float[Tensor, "V B 4 2"]) -> Float[Tensor, "B 4 2"]:
    """The mean over views of the landmarks, each head named as in the first view (`landmarks.matched_order`)."""
    first = points_net[0].expand_as(points_net)
    return landmarks.matched_order(points_net, first).mean(0)
