"""The four landmarks decoded together: of all heads that the maps' peaks could make, the likeliest.

Where a head lies nearly along the vertical either end of its OFD may be named first, and a network trained with a
swap-invariant loss then shows both ends in both maps of the pair; other bright arcs of the image leave peaks as well.
Decoded one by one, two maps can give the same end twice, or an end that no head could have. The two diameters of a
head bisect each other, in the squashed frame too, since an affine map keeps midpoints. So the candidates of each pair
are the highest peaks of its two maps' sum, and the head is the choice of two OFD ends and two BPD ends with the highest

    sum of the logarithms of the four peaks - |midpoint of OFD - midpoint of BPD|^2 / (2 x tolerance^2).

Lengths are fractions of the frame's longer side, so that they hold at every image size.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import max_pool2d

from fetal_lm.codecs.decoders import Pixels, highest_pixels

CANDIDATES: Final = 4
"""Peaks considered for each pair."""

SEPARATION: Final = 0.1
"""No two candidates of a pair are nearer; HC18's shortest diameter is 0.19 of the frame."""

TOLERANCE: Final = 0.035
"""Standard deviation of the distance between the diameters' midpoints."""

Refine = Callable[[Tensor, Pixels], Tensor]


def decode(pairs: Float[Tensor, "*n 2 h w"], refine: Refine) -> Float[Tensor, "*n 4 2"]:
    """Both ends of the OFD and both of the BPD, in heatmap pixels; NaN for an end that has no peak.

    Args:
        pairs: for each pair in the order of `landmarks.NAMES` the sum of its two maps, non-negative.
        refine: from a map and a pixel of it to a point; one of `codecs.decoders`.
    """
    points, heights = _candidates(pairs, refine)
    longer = max(pairs.shape[-2:])
    ends = torch.tensor(list(combinations(range(CANDIDATES), 2)), device=pairs.device)
    chosen = points[..., ends, :]  # [*n, 2 pairs, choices, 2 ends, 2]
    tiny = torch.finfo(heights.dtype).tiny
    likelihood = heights.clamp_min(tiny).log()[..., ends].sum(-1)
    middle = chosen.mean(-2)
    apart = middle[..., 0, :, None, :] - middle[..., 1, None, :, :]
    squared = apart.square().sum(-1) / (2 * (TOLERANCE * longer) ** 2)
    squared = squared.masked_fill(squared.isnan(), 0.0)
    score = likelihood[..., 0, :, None] + likelihood[..., 1, None, :] - squared
    best = score.flatten(-2).argmax(-1)
    choices = torch.stack([best // len(ends), best % len(ends)], dim=-1)
    index = choices[..., None, None, None].expand(*choices.shape, 1, 2, 2)
    head: Tensor = chosen.gather(-3, index).squeeze(-3).flatten(-3, -2)
    return head


def _candidates(
    pairs: Float[Tensor, "*n 2 h w"], refine: Refine
) -> tuple[Float[Tensor, "*n 2 C 2"], Float[Tensor, "*n 2 C"]]:
    """The highest local maxima of each map that keep their distance, refined, and their heights (0: there is none)."""
    height, width = pairs.shape[-2:]
    around = max_pool2d(pairs.flatten(0, -3).unsqueeze(1), 3, stride=1, padding=1).view_as(pairs)
    left = pairs.where(pairs >= around, 0.0)
    rows = torch.arange(height, device=pairs.device)
    columns = torch.arange(width, device=pairs.device)
    separation = SEPARATION * max(height, width)
    peaks = []
    for _ in range(CANDIDATES):
        peaks.append(highest_pixels(left))
        row, column = (of[..., None, None] for of in (peaks[-1].row, peaks[-1].column))
        left = left.masked_fill((rows[:, None] - row) ** 2 + (columns - column) ** 2 < separation**2, 0.0)
    pixels = Pixels(*(torch.stack(of, dim=-1) for of in zip(*peaks, strict=True)))
    points = refine(pairs.unsqueeze(-3).expand(*pixels.row.shape, height, width), pixels)
    return points, pixels.value.where(pixels.found, 0.0)
