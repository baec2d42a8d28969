"""The skull's outline: landmarks -> the inside of their ellipse as a map, and such a map -> the ellipse -> landmarks.

Along the skull an end of a diameter is hard to place, because the skull looks the same a little farther on; across it
the edge is sharp, and sharp everywhere. A map of the head's inside takes its edge from all the way round.

An ellipse is its centre c and a matrix A: c + A (cos t, sin t). The columns of A are half of two conjugate diameters,
and stay conjugate under every affine map, so that nothing here has to know how a frame was squashed. Any rotation R
gives the same ellipse as A R; which two conjugate diameters the OFD and the BPD are is read off the heatmaps.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import max_pool2d

from fetal_lm.geometry import Size, to_map

RAYS: Final = 64

WINDOWS: Final = (0.6, 0.4, 0.3, 0.3)
"""How far inside and outside of the ellipse so far its edge is looked for, one pass after the other: a share of the
radius. What lies farther off (another bright arc, a hole in the middle) does not count."""

SAMPLES: Final = 49
"""On every ray, across the window: about one each half pixel of a heatmap of 64 x 64."""

EDGE: Final = 0.5
"""A pixel belongs to the head from here on."""

MIDDLE: Final = 0.5
"""Share of a head's radius that is its middle."""

BLURRED: Final = 2
"""Pixels of a map that the edge is blurred over."""

LEANING: Final = 16.0
"""Of an ellipse whose axes differ by a share f of the longer one, the direction is corrected by 1 / (1 + LEANING f) of
what the guide says. Chosen on validation images (`experiments/accuracy/constants.py`); a usual head has f = 0.2."""


# An ellipse's axes times a 2 x 3 matrix: by how much its centre moves, and its new axes. This matrix, row by row, where
# nothing changes; and what is added to it by each of the slow waves.
_NO_CHANGE: Final = (0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
_CHANGES: Final = (
    (0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
    (1.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    (0.0, 0.0, 0.0, 1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),
    (0.0, 0.0, 1.0, 0.0, 1.0, 0.0),
)


class Ellipse(NamedTuple):
    """`centre` + `axes` (cos t, sin t), in pixels of a map."""

    centre: Float[Tensor, "*n 2"]
    axes: Float[Tensor, "*n 2 2"]


def encode(points_net: Float[Tensor, "*n 4 2"], *, size_net: Size, stride: int) -> Float[Tensor, "*n h w"]:
    """The share of each map pixel that the head covers, 0 to 1; 0 everywhere if the four landmarks span no ellipse.

    The edge is taken as straight within a pixel and as crossing it along a side.

    Args:
        points_net: in the order of `landmarks.NAMES`, network pixels, also outside the frame.
        size_net: (H, W) of the network's input.
        stride: network pixels per map pixel.

    Example:
        >>> head = torch.tensor([[11.5, 15.5], [51.5, 15.5], [31.5, 5.5], [31.5, 25.5]])
        >>> covered = encode(head, size_net=(32, 64), stride=2).sum() * 4
        >>> round(covered.item() / (math.pi * 20 * 10), 2)
        1.0
    """
    height, width = size_net
    points = to_map(points_net.float(), stride)
    centre, axes = through(points)
    columns = torch.arange(width // stride, device=points.device)
    rows = torch.arange(height // stride, device=points.device)
    x = columns - centre[..., 0, None, None]
    y = rows[:, None] - centre[..., 1, None, None]
    (a, b), (c, d) = (axes[..., row, :, None, None].unbind(-3) for row in (0, 1))
    determinant = a * d - b * c
    spans = determinant.abs() > torch.finfo(torch.float32).eps
    determinant = determinant.where(spans, 1.0)
    u, v = (d * x - b * y) / determinant, (a * y - c * x) / determinant
    radius = torch.sqrt(u * u + v * v)
    # The gradient of the radius in pixels: how much of a radius one pixel is, across the edge.
    slope_x, slope_y = (d * u - c * v) / determinant, (a * v - b * u) / determinant
    slope = torch.sqrt(slope_x * slope_x + slope_y * slope_y) / radius.clamp_min(torch.finfo(torch.float32).tiny)
    inside = ((1 - radius) / slope.clamp_min(torch.finfo(torch.float32).tiny) + 0.5).clamp(0, 1)
    return inside.where(spans, 0.0)


def in_frame_of(ellipse: Ellipse, size: Size) -> Ellipse:
    """An ellipse in units of half a frame of (H, W), from its middle on: as `grid_sample` has places."""
    half = ellipse.centre.new_tensor([size[1], size[0]]) / 2
    return Ellipse((ellipse.centre + 0.5) / half - 1, ellipse.axes / half.unsqueeze(-1))


def places(ellipse: Ellipse, unit: Float[Tensor, "p 2"]) -> Float[Tensor, "*n p 2"]:
    """Where points lie of which the ellipse's centre is the origin, and its axes one unit long."""
    # With the centre as a third row, a single product.
    lifted = torch.cat([unit, torch.ones_like(unit[:, :1])], dim=-1)
    return product(lifted, torch.cat([ellipse.axes.transpose(-1, -2), ellipse.centre.unsqueeze(-2)], dim=-2))


def through(points: Float[Tensor, "*n 4 2"]) -> Ellipse:
    """The ellipse whose conjugate diameters four landmarks are; of determinant 0 where they span none, never NaN."""
    return Ellipse(_zero_for_nan(points.mean(-2)), spanned(points))


def spanned(points: Float[Tensor, "*n 4 2"]) -> Float[Tensor, "*n 2 2"]:
    """Half of the OFD and half of the BPD as the columns of a matrix; its determinant is 0 where they span nothing."""
    ofd, bpd = points[..., 1, :] - points[..., 0, :], points[..., 3, :] - points[..., 2, :]
    return _zero_for_nan(torch.stack([ofd, bpd], dim=-1) / 2)


def holding(inside: Float[Tensor, "*n h w"], guide: Float[Tensor, "*n 4 2"]) -> Float[Tensor, "*n h w"]:
    """A map of the head's inside without what does not hang together with the middle of a guide's head.

    A second head, or a trunk, may look like a head too; an ellipse through both is neither. From the middle the area
    grows over neighbouring pixels that are inside (reconstruction by dilation: Vincent, IEEE Transactions on Image
    Processing 1993). A map with nothing there, or a guide that spans nothing, changes nothing.

    Args:
        inside: 0 to 1.
        guide: four landmarks in pixels of the map.
    """
    height, width = inside.shape[-2:]
    maps = inside.reshape(-1, 1, height, width)
    mask = (maps > EDGE * maps.amax((-2, -1), keepdim=True)).to(maps.dtype)
    centre = guide.mean(-2, keepdim=True)
    middle = encode(centre + MIDDLE * (guide - centre), size_net=(height, width), stride=1).reshape(maps.shape)
    grown = mask * (middle > 0).to(maps.dtype)
    begun = grown.amax((-2, -1), keepdim=True) > 0
    for _ in range((height + width) // 2):
        grown = torch.minimum(max_pool2d(grown, 3, stride=1, padding=1), mask)
    # With its blurred edge.
    near = max_pool2d(grown, 2 * BLURRED + 1, stride=1, padding=BLURRED).where(begun, 1.0)
    return (maps * near).reshape(inside.shape)


def fit(inside: Float[Tensor, "*n h w"]) -> Ellipse:
    """The ellipse of a map of the head's inside; all NaN where the map has nothing that stands out.

    It begins with the ellipse that has the map's first and second moments. Then, pass by pass, rays from its centre
    measure how far the head reaches, and the ellipse follows the slowest waves of that distance: to first order the
    scale (constant), the centre (one wave a turn) and the shape (two). A ray along which the head leaves the frame says
    nothing. Each pass is a Gauss-Newton step for the sum of squared distances in units of the radius.

    Args:
        inside: 0 to 1.
    """
    inside = inside.float()
    centre, axes, found = _moments(inside)
    for window in WINDOWS:
        centre, axes = moved(Ellipse(centre, axes), residual(inside, Ellipse(centre, axes), window))
    return Ellipse(
        centre.masked_fill(~found.unsqueeze(-1), torch.nan), axes.masked_fill(~found[..., None, None], torch.nan)
    )


def residual(inside: Float[Tensor, "*n h w"], ellipse: Ellipse, window: float) -> Float[Tensor, "*n 5"]:
    """By how much the head reaches beyond an ellipse: mean, then cosine and sine of one and of two waves a turn.

    In units of the radius, and to first order how much larger, farther along the axes, and longer along them the head
    is. Differentiable in the map.

    Args:
        inside: 0 to 1.
        ellipse: in pixels of the map.
        window: how far from the ellipse the head's edge is looked for, as a share of the radius.
    """
    around = turns(RAYS, inside.device)
    return slow_waves(_reach(inside.float(), ellipse, around, window) - 1)


def turns(count: int, device: torch.device) -> Float[Tensor, "count 2"]:
    """Cosine and sine of as many angles, all round from 0."""
    angles = torch.arange(count, device=device) * (2 * math.pi / count)
    return torch.stack([angles.cos(), angles.sin()], dim=-1)


def slow_waves(farther: Float[Tensor, "*n rays"]) -> Float[Tensor, "*n 5"]:
    """What is along rays all round, as mean, then cosine and sine of one and of two waves a turn."""
    around = turns(farther.shape[-1], farther.device)
    cosine, sine = around.unbind(-1)
    twice = torch.stack([cosine * cosine - sine * sine, 2 * cosine * sine], dim=-1)
    waves = torch.cat([torch.ones_like(around[:, :1]), 2 * around, 2 * twice], dim=-1) / len(around)
    return product(farther.unsqueeze(-2), waves).squeeze(-2)


def moved(ellipse: Ellipse, off: Float[Tensor, "*n 5"]) -> Ellipse:
    """The ellipse that reaches farther by the slow waves `off`, in units of the radius; exact to first order."""
    change = product(off.unsqueeze(-2), off.new_tensor(_CHANGES)) + off.new_tensor(_NO_CHANGE)
    change = product(ellipse.axes, change.unflatten(-1, (2, 3)).squeeze(-3))
    return Ellipse(ellipse.centre + change[..., 0], change[..., 1:])


def landmarks_on(ellipse: Ellipse, guide: Float[Tensor, "*n 4 2"], *, isotropic: bool) -> Float[Tensor, "*n 4 2"]:
    """The ends of an ellipse's OFD and BPD, named as the landmarks of a guide name those that are nearest.

    In a squashed frame they are the conjugate diameters nearest to the guide's, which is a least-squares rotation where
    the ellipse is a circle. In an isotropic one a right angle says more: the lengths are those of the ellipse's axes,
    the only conjugate diameters at right angles, and the direction lies between the axes' and the guide's. The rounder
    a head, the less its edge tells of the direction, and the more the guide counts (`LEANING`). Either diameter of the
    guide may be NaN; where both are, so is the result.

    Args:
        ellipse: in pixels of a map.
        guide: four landmarks in the same pixels, as found in the heatmaps.
        isotropic: whether a millimetre is as many pixels across as down.

    Example:
        >>> ellipse = Ellipse(torch.tensor([5.0, 4.0]), torch.tensor([[3.0, 0.0], [0.0, 2.0]]))
        >>> guide = torch.tensor([[1.0, 4.2], [9.0, 3.8], [5.1, 1.0], [4.9, 7.0]])
        >>> landmarks_on(ellipse, guide, isotropic=False).round(decimals=1)
        tensor([[2.0000, 4.0000],
                [8.0000, 4.0000],
                [4.9000, 2.0000],
                [5.1000, 6.0000]])
        >>> guide = torch.tensor([[1.0, 2.0], [9.0, 6.0], [6.5, 1.0], [3.5, 7.0]])
        >>> landmarks_on(ellipse, guide, isotropic=True).round(decimals=1)
        tensor([[2.0000, 3.8000],
                [8.0000, 4.2000],
                [5.1000, 2.0000],
                [4.9000, 6.0000]])
    """
    guides = spanned(guide)
    # Up to the determinant's size, which does not turn: half of the guide's diameters where the ellipse is a circle. A
    # mirroring matrix has a negative determinant, and its adjugate points the other way than its inverse.
    adjoint, size = adjugate(ellipse.axes)
    ofd, bpd = product(adjoint * torch.where(size < 0, -1.0, 1.0)[..., None, None], guides).unbind(-1)
    handed = (ofd[..., 0] * bpd[..., 1] - ofd[..., 1] * bpd[..., 0]).unsqueeze(-1)
    handed = torch.where(handed < 0, -1.0, 1.0)
    along = ofd - handed * _quarter(bpd)
    along = along / torch.linalg.vector_norm(along, dim=-1, keepdim=True)
    if isotropic:
        along = _nearest_axis(ellipse, along)
    halves = product(ellipse.axes, torch.stack([along, handed * _quarter(along)], dim=-1))
    if isotropic:
        halves = _leaning(halves, guides)
    ofd, bpd = halves.unbind(-1)
    return ellipse.centre.unsqueeze(-2) + torch.stack([-ofd, ofd, -bpd, bpd], dim=-2)


def lengthened(
    points: Float[Tensor, "*n 4 2"], guide: Float[Tensor, "*n 4 2"], share: float
) -> Float[Tensor, "*n 4 2"]:
    """Landmarks whose diameters are longer by a share of how much longer a guide's are; middles and directions stay.

    A diameter that is NaN in the guide, or has both ends in one place there, stays as it is.

    Example:
        >>> points = torch.tensor([[2.0, 0.0], [8.0, 0.0], [5.0, -2.0], [5.0, 2.0]])
        >>> guide = torch.tensor([[2.0, 0.0], [10.0, 0.0], [5.0, torch.nan], [5.0, 2.0]])
        >>> lengthened(points, guide, 0.5)
        tensor([[ 1.5000,  0.0000],
                [ 8.5000,  0.0000],
                [ 5.0000, -2.0000],
                [ 5.0000,  2.0000]])
    """
    pairs = points.unflatten(-2, (2, 2))
    middles = pairs.mean(-2, keepdim=True)
    own, other = (torch.linalg.vector_norm(of[..., 1::2, :] - of[..., ::2, :], dim=-1) for of in (points, guide))
    factor = (1 - share + share * other / own).where(other.isfinite() & (other > 0) & (own > 0), 1.0)
    longer: Tensor = middles + (pairs - middles) * factor[..., None, None]
    return longer.flatten(-3, -2)


def _leaning(halves: Float[Tensor, "*n 2 2"], guides: Float[Tensor, "*n 2 2"]) -> Float[Tensor, "*n 2 2"]:
    """Half axes (columns) turned by a share of the least-squares rotation that takes them to the guide's."""
    cosine = (halves * guides).sum((-2, -1))
    sine = (halves[..., 0, :] * guides[..., 1, :] - halves[..., 1, :] * guides[..., 0, :]).sum(-1)
    lengths = torch.linalg.vector_norm(halves, dim=-2)
    flattened = 1 - lengths.amin(-1) / lengths.amax(-1)
    turn = torch.atan2(sine, cosine) / (1 + LEANING * flattened)
    return product(rotation(turn), halves)


def _nearest_axis(ellipse: Ellipse, along: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    """Of the four directions that become the ellipse's axes, the one nearest to `along`; of a circle, of some four."""
    first, second = ellipse.axes.unbind(-1)
    doubled = torch.atan2(2 * (first * second).sum(-1), (first * first - second * second).sum(-1))
    axis = torch.stack([(doubled / 2).cos(), (doubled / 2).sin()], dim=-1)
    forward, sideways = (axis * along).sum(-1, keepdim=True), (_quarter(axis) * along).sum(-1, keepdim=True)
    nearest = (axis * forward.sign()).where(forward.abs() >= sideways.abs(), _quarter(axis) * sideways.sign())
    return nearest.where(along.isfinite(), torch.nan)


def _quarter(vector: Float[Tensor, "*n 2"]) -> Float[Tensor, "*n 2"]:
    """Turned by 90 degrees from x towards y."""
    return vector.flip(-1) * vector.new_tensor([-1.0, 1.0])


def rotation(angle: Float[Tensor, "*n"]) -> Float[Tensor, "*n 2 2"]:
    """The matrix that turns by so many radians from x towards y."""
    matrix: Tensor = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=-1).unflatten(-1, (2, 2))
    return matrix


def adjugate(matrix: Float[Tensor, "*n 2 2"]) -> tuple[Float[Tensor, "*n 2 2"], Float[Tensor, "*n"]]:
    """The matrix whose product with this one is its determinant times the identity, and that determinant."""
    (a, b), (c, d) = (matrix[..., row, :].unbind(-1) for row in (0, 1))
    return torch.stack([d, -b, -c, a], dim=-1).unflatten(-1, (2, 2)), a * d - b * c


def product(left: Float[Tensor, "*#n i j"], right: Float[Tensor, "*#n j k"]) -> Float[Tensor, "*#n i k"]:
    """The product of matrices, which autocast would make in bfloat16, whose steps above 1 are 0.8 %."""
    with torch.autocast(left.device.type, enabled=False):
        return left @ right


def _zero_for_nan(values: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Without `nan_to_num`, which looks for infinities too and is a dozen steps of an exported graph."""
    return values.masked_fill(values.isnan(), 0.0)


def _moments(inside: Float[Tensor, "*n h w"]) -> tuple[Tensor, Tensor, Bool[Tensor, "*n"]]:
    """Centre and axes of the ellipse with the same first and second moments: a filled one has A A' / 4."""
    height, width = inside.shape[-2:]
    highest = inside.amax((-2, -1), keepdim=True)
    weights = (inside - EDGE * highest).clamp_min(0)
    mass = weights.sum((-2, -1))
    found = torch.isfinite(mass) & (mass > 0)
    weights = (weights / mass.where(found, 1.0)[..., None, None]).where(found[..., None, None], 1 / (height * width))
    x = torch.arange(width, device=inside.device, dtype=inside.dtype)
    y = torch.arange(height, device=inside.device, dtype=inside.dtype)
    across, down = weights.sum(-2), weights.sum(-1)
    centre = torch.stack([(across * x).sum(-1), (down * y).sum(-1)], dim=-1)
    dx, dy = x - centre[..., :1], y - centre[..., 1:]
    # A pixel is not a point: its own second moment keeps one pixel alone from being an ellipse of no width.
    xx, yy = (across * dx * dx).sum(-1) + 1 / 12, (down * dy * dy).sum(-1) + 1 / 12
    xy = ((weights * dx.unsqueeze(-2)).sum(-1) * dy).sum(-1)
    left = xx.sqrt()
    right = (yy - xy * xy / xx).clamp_min(1 / 12).sqrt()
    axes = 2 * torch.stack([left, torch.zeros_like(left), xy / left, right], dim=-1).unflatten(-1, (2, 2))
    return centre, axes, found


def _reach(
    inside: Float[Tensor, "*n h w"], ellipse: Ellipse, around: Float[Tensor, "rays 2"], window: float
) -> Float[Tensor, "*n rays"]:
    """How far the head reaches along each ray, in radii of the ellipse; 1 where that cannot be told."""
    height, width = inside.shape[-2:]
    radii = torch.linspace(1 - window, 1 + window, SAMPLES, device=inside.device)
    unit = around.unsqueeze(1) * radii.unsqueeze(1)  # [rays, samples, 2]
    samples = places(in_frame_of(ellipse, (height, width)), unit.flatten(0, 1)).unflatten(-2, unit.shape[:2])
    along = torch.nn.functional.grid_sample(
        inside.reshape(-1, 1, height, width),
        samples.reshape(-1, *unit.shape),
        padding_mode="border",
        align_corners=False,
    ).reshape(samples.shape[:-1])
    in_frame = samples.abs().amax(-1) <= 1
    leaves = along.masked_fill(in_frame, 0.0).amax(-1) > EDGE
    # By area, which a blurred edge keeps: the distance at which half of the head is left would come out too short.
    area = (along * in_frame * (radii * _trapezoids(radii))).sum(-1)
    reach: Tensor = ((1 - window) ** 2 + 2 * area).sqrt().masked_fill(leaves, 1.0)
    return reach


def _trapezoids(radii: Float[Tensor, "samples"]) -> Float[Tensor, "samples"]:
    """What each sample counts in the trapezoid rule: the same for all rays, so that a graph holds it as a constant."""
    steps = radii.diff() / 2
    return torch.nn.functional.pad(steps, (0, 1)) + torch.nn.functional.pad(steps, (1, 0))
