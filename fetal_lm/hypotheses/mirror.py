"""Flips at test time: an image and its mirror images, and what was found in them moved back to the image's own frame.

Each flip names the landmarks anew, as `landmarks` states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from fetal_lm import landmarks
from fetal_lm.choices import HALF_TURN, WHEN_UNSURE, Flips
from fetal_lm.errors import InputError


class Flip(NamedTuple):
    """One view of an image.

    Attributes:
        reversed_: dimensions of the image that it reverses.
        order: landmark k of the image as a position among the view's landmarks.
    """

    reversed_: tuple[int, ...]
    order: tuple[int, ...]


ALONE: Final = (Flip((), tuple(range(landmarks.COUNT))),)
TURNED: Final = (Flip((-2, -1), landmarks.HALF_TURN),)
ALL: Final = (*ALONE, Flip((-1,), landmarks.HORIZONTAL_FLIP), Flip((-2,), landmarks.VERTICAL_FLIP), *TURNED)


def checked(flips: Any) -> Flips:
    """The option `test_flips`.

    Raises:
        InputError: it is neither on nor off, nor the name of something between.
    """
    if flips == HALF_TURN:
        return HALF_TURN
    if flips == WHEN_UNSURE:
        return WHEN_UNSURE
    if flips not in (True, False):
        raise InputError(f"test_flips: expected true, false, {HALF_TURN} or {WHEN_UNSURE}, got {flips!r}")
    return bool(flips)


def images(image: Float[Tensor, "B C H W"], flips: Sequence[Flip]) -> Float[Tensor, "VB C H W"]:
    """The images in each view, one view after the other."""
    return torch.cat([image.flip(flip.reversed_) for flip in flips])


def maps_back(maps: Float[Tensor, "VB 4 h w"], flips: Sequence[Flip]) -> Float[Tensor, "V B 4 h w"]:
    """Landmark maps of `images` in the frame and with the names of the images."""
    by_view = maps.unflatten(0, (len(flips), -1))
    return torch.stack(
        [one[:, list(flip.order)].flip(flip.reversed_) for one, flip in zip(by_view, flips, strict=True)]
    )


def areas_back(areas: Float[Tensor, "VB h w"], flips: Sequence[Flip]) -> Float[Tensor, "V B h w"]:
    """Maps of `images` that are of no landmark in particular, in the frame of the images."""
    by_view = areas.unflatten(0, (len(flips), -1))
    return torch.stack([area.flip(flip.reversed_) for area, flip in zip(by_view, flips, strict=True)])


def points_back(
    points_net: Float[Tensor, "VB 4 2"], size_net: tuple[int, int], flips: Sequence[Flip]
) -> Float[Tensor, "V B 4 2"]:
    """Landmarks in `images`, in pixels of (H, W), in the frame and with the names of the images."""
    far, back = points_net.new_tensor([size_net[1], size_net[0]]) - 1, []
    for view, flip in zip(points_net.unflatten(0, (len(flips), -1)), flips, strict=True):
        mirrored = points_net.new_tensor([-1 in flip.reversed_, -2 in flip.reversed_]) > 0
        back.append((far - view).where(mirrored, view)[:, list(flip.order)])
    return torch.stack(back)


def mean_head(points_net: Float[Tensor, "V B 4 2"]) -> Float[Tensor, "B 4 2"]:
    """The mean over views of the landmarks, each head named as in the first view (`landmarks.matched_order`)."""
    first = points_net[0].expand_as(points_net)
    return landmarks.matched_order(points_net, first).mean(0)
