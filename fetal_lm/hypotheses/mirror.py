"""Flips at test time: an image and its mirror images, and what was found in them moved back to the image's own frame.

Each flip names the landmarks anew, as `landmarks` states.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor

from fetal_lm import landmarks
from fetal_lm.choices import HALF_TURN, Flips
from fetal_lm.errors import InputError

_IDENTITY: Final = tuple(range(landmarks.COUNT))

# Which dimensions of an image a view reverses, and landmark k of the image as a position among the view's landmarks.
_FLIPS: Final = (
    ((), _IDENTITY),
    ((-1,), landmarks.HORIZONTAL_FLIP),
    ((-2,), landmarks.VERTICAL_FLIP),
    ((-2, -1), landmarks.HALF_TURN),
)


def checked(flips: Any) -> Flips:
    """The option `test_flips`.

    Raises:
        InputError: it is neither on nor off, nor `half_turn`.
    """
    if flips == HALF_TURN:
        return HALF_TURN
    if flips not in (True, False):
        raise InputError(f"test_flips: expected true, false or {HALF_TURN}, got {flips!r}")
    return bool(flips)


def images(image: Float[Tensor, "B C H W"], flips: Flips) -> Float[Tensor, "VB C H W"]:
    """The images, then their mirror images, of all by the vertical, the horizontal and both axes."""
    return torch.cat([image.flip(reversed_) for reversed_, _ in _views(flips)])


def maps_back(maps: Float[Tensor, "VB 4 h w"], flips: Flips) -> Float[Tensor, "V B 4 h w"]:
    """Landmark maps of `images` in the frame and with the names of the images."""
    views = _views(flips)
    by_view = maps.unflatten(0, (len(views), -1))
    return torch.stack(
        [by_view[number][:, list(order)].flip(reversed_) for number, (reversed_, order) in enumerate(views)]
    )


def areas_back(areas: Float[Tensor, "VB h w"], flips: Flips) -> Float[Tensor, "V B h w"]:
    """Maps of `images` that are of no landmark in particular, in the frame of the images."""
    views = _views(flips)
    by_view = areas.unflatten(0, (len(views), -1))
    return torch.stack([area.flip(reversed_) for area, (reversed_, _) in zip(by_view, views, strict=True)])


def points_back(
    points_net: Float[Tensor, "VB 4 2"], size_net: tuple[int, int], flips: Flips
) -> Float[Tensor, "V B 4 2"]:
    """Landmarks in `images`, in pixels of (H, W), in the frame and with the names of the images."""
    far = points_net.new_tensor([size_net[1], size_net[0]]) - 1
    flipped, back = _views(flips), []
    views = points_net.unflatten(0, (len(flipped), -1))
    for number, (reversed_, order) in enumerate(flipped):
        mirrored = points_net.new_tensor([-1 in reversed_, -2 in reversed_]) > 0
        back.append((far - views[number]).where(mirrored, views[number])[:, list(order)])
    return torch.stack(back)


def mean_head(points_net: Float[Tensor, "V B 4 2"]) -> Float[Tensor, "B 4 2"]:
    """The mean over views of the landmarks, each head named as in the first view (`landmarks.matched_order`)."""
    first = points_net[0].expand_as(points_net)
    return landmarks.matched_order(points_net, first).mean(0)


def _views(flips: Flips) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]:
    """Those of `_FLIPS` that are looked at, the image as it is first."""
    if flips == HALF_TURN:
        return (_FLIPS[0], _FLIPS[-1])
    return _FLIPS if flips else _FLIPS[:1]
