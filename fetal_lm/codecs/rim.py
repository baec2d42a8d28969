"""The skull's edge straightened out: a strip of the image along an ellipse, and how far off the ellipse the edge is.

In a strip every head is equally large, its edge runs straight from side to side, and no pixel is spent on what is far
from it. What is read off it is what `codecs.outline` reads off a map: by how much the head reaches beyond the ellipse
along rays from its centre, in units of the radius.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import grid_sample

from fetal_lm.codecs.outline import Ellipse, adjugate, in_frame_of, places, product, rotation, turns

ACROSS: Final = 64
ALONG: Final = 128
"""Samples of a strip across the edge and along it."""

WINDOW: Final = 0.16
"""How far inside and outside of the ellipse a strip reaches, as a share of the radius."""

BINS: Final = ACROSS // 2
RAYS: Final = ALONG // 2
"""What a network of stride 2 makes of a strip: along each ray, logits of the distance at which the edge is."""

WIDTH_BINS: Final = 1.5
"""Standard deviation of a distance's target."""

OFF_CENTRE: Final = 0.025
OFF_SIZE: Final = 0.02
OFF_SHAPE: Final = 0.025
OFF_DEGREES: Final = 5.0
"""How far off the truth the ellipses are that a network learns from: standard deviations, the first three in radii."""


def strips(image: Float[Tensor, "B 1 H W"], ellipse: Ellipse) -> Float[Tensor, "B 2 across along"]:
    """The image along each ellipse, from inside to outside, and beside it 1 where a sample lies beyond the frame.

    Args:
        image: grey, 0 to 1.
        ellipse: one for each image, in its pixels.
    """
    radii = torch.linspace(1 - WINDOW, 1 + WINDOW, ACROSS, device=image.device)
    unit = radii[:, None, None] * turns(ALONG, image.device)  # [across, along, 2]
    framed = in_frame_of(ellipse, (image.shape[-2], image.shape[-1]))
    samples = places(framed, unit.flatten(0, 1)).unflatten(1, unit.shape[:2])
    grey = grid_sample(image.float(), samples, padding_mode="zeros", align_corners=False)
    beyond = (samples.abs().amax(-1) > 1).unsqueeze(1)
    return torch.cat([grey, beyond.float()], dim=1)


def mirrored(along: Float[Tensor, "*n rays"]) -> Float[Tensor, "*n rays"]:
    """What is along rays, all round the other way from the same beginning."""
    return torch.cat([along[..., :1], along[..., 1:].flip(-1)], dim=-1)


def distances(ellipse: Ellipse, truth: Ellipse) -> Float[Tensor, "B rays"]:
    """How far the true ellipse is along each ray from an ellipse's centre, in radii of that ellipse.

    The centre lies inside of the truth, which is a whole ellipse.

    Example:
        >>> small = Ellipse(torch.zeros(1, 2), torch.eye(2)[None] * 10)
        >>> distances(small, Ellipse(torch.tensor([[1.0, 0.0]]), torch.eye(2)[None] * 11))[0, [0, RAYS // 2]]
        tensor([1.2000, 1.0000])
    """
    adjoint, determinant = adjugate(truth.axes)
    back: Tensor = adjoint / determinant[..., None, None]
    start = product(back, (ellipse.centre - truth.centre).unsqueeze(-1)).squeeze(-1).unsqueeze(-2)
    ray = product(turns(RAYS, back.device), product(back, ellipse.axes).transpose(-1, -2))
    # Where |start + distance ray| = 1.
    square, slope = (ray * ray).sum(-1), (start * ray).sum(-1)
    rest = (start * start).sum(-1) - 1
    distance: Tensor = (-slope + (slope * slope - square * rest).clamp_min(0).sqrt()) / square
    return distance


def located(logits: Float[Tensor, "B bins rays"]) -> Float[Tensor, "B rays"]:
    """The mean of each ray's distribution of distances (soft-argmax), less 1: by how much the head reaches farther."""
    return (logits.softmax(1) * _bins(logits)[:, None]).sum(1) - 1


def cross_entropy(logits: Float[Tensor, "B bins rays"], distance: Float[Tensor, "B rays"]) -> Float[Tensor, "B"]:
    """Against Gaussians around the true distances, in nats, the mean over the rays whose distance lies in the strip."""
    bins = _bins(logits)
    width = WIDTH_BINS * 2 * WINDOW / BINS
    target = torch.softmax(-0.5 * ((bins[:, None] - distance[:, None]) / width) ** 2, dim=1)
    rays = -(target * logits.log_softmax(1)).sum(1)
    inside = ((distance - 1).abs() < WINDOW).float()
    return (rays * inside).sum(-1) / inside.sum(-1).clamp_min(1)


def near(truth: Ellipse, generator: torch.Generator | None = None) -> Ellipse:
    """Ellipses that are off the true ones by chance, as those of a first look are, and a little more.

    Args:
        truth: one for each image.
        generator: of chance, on the CPU; None takes torch's own.
    """
    count = len(truth.centre)

    def by_chance(deviation: float) -> Tensor:
        return (torch.randn(count, generator=generator) * deviation).to(truth.centre)

    turn = rotation(by_chance(math.radians(OFF_DEGREES)))
    size = by_chance(OFF_SIZE)
    lengths = torch.stack([size + by_chance(OFF_SHAPE), size + by_chance(OFF_SHAPE)], dim=-1).exp()
    off_centre = torch.stack([by_chance(OFF_CENTRE), by_chance(OFF_CENTRE)], dim=-1).unsqueeze(-1)
    centre = truth.centre + product(truth.axes, off_centre).squeeze(-1)
    return Ellipse(centre, product(turn, truth.axes * lengths.unsqueeze(-2)))


def _bins(logits: Tensor) -> Float[Tensor, "bins"]:
    """Distances of the bins: the middles of two samples each."""
    half = WINDOW * (1 - 1 / (ACROSS - 1))
    return torch.linspace(1 - half, 1 + half, BINS, device=logits.device)
