"""`geometry.fit_image` in tensors, so that a graph can hold it: images of any size in, of the network's size out.

It repeats OpenCV's arithmetic, whole grey levels included, because a network that is shown other levels finds other
points. Shrinking averages areas (INTER_AREA), and comes out the same but for one level in a few pixels whose mean
lies on a half. Enlarging is bilinear in OpenCV's fixed point (INTER_LINEAR of bytes), and comes out the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from fetal_lm.geometry import Fit, Size

# OpenCV's bilinear weights are integers with this sum. Of a row's weighted sum it drops four bits, and of a column's
# what is below a quarter of a grey level, before it rounds.
_WEIGHTS: Final = 2048
_DROPPED: Final = 16
_QUARTER: Final = _WEIGHTS * _WEIGHTS // _DROPPED // 4


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of a fit: where the original pixels lie among the network's.

    Attributes:
        net: length of the network's frame.
        orig: length of the image, a whole number in float64.
        content: length that the image is scaled to, a whole number in float64.
        pad: network pixels before it, likewise.
    """

    net: int
    orig: Float[Tensor, ""]
    content: Float[Tensor, ""]
    pad: Float[Tensor, ""]

    @property
    def scale(self) -> Float[Tensor, ""]:
        """Original pixels per network pixel."""
        return self.orig / self.content

    @property
    def pixels(self) -> Float[Tensor, "net"]:
        """Every network pixel, counted from where the image begins."""
        return torch.arange(self.net, dtype=torch.float64) - self.pad

    @property
    def inside(self) -> Bool[Tensor, "net"]:
        """Which of them show the image."""
        return (self.pixels >= 0) & (self.pixels < self.content)

    def to_orig(self, position_net: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Moves coordinates from network to original pixels, in float64."""
        return (position_net.double() - self.pad + 0.5) * self.scale - 0.5


_Way = Callable[[Tensor, Axis, Axis], Tensor]


def axes(size_orig: Size, size_net: Size, fit: Fit) -> tuple[Axis, Axis]:
    """The rows' axis and the columns', as `geometry.FITS[fit]` has them."""
    lengths = [torch.scalar_tensor(length, dtype=torch.float64) for length in size_orig]
    if fit == "squash":
        content = [torch.scalar_tensor(net, dtype=torch.float64) for net in size_net]
    else:
        scale = torch.minimum(size_net[0] / lengths[0], size_net[1] / lengths[1])
        content = [(length * scale).round().clamp_min(1.0) for length in lengths]
    rows, columns = (
        Axis(net, orig, inner, ((net - inner) / 2).floor())
        for net, orig, inner in zip(size_net, lengths, content, strict=True)
    )
    return rows, columns


def fitted(images: UInt8[Tensor, "B H W"], rows: Axis, columns: Axis) -> Float[Tensor, "B h w"]:
    """The images at the network's size: whole grey levels, 0 to 255, and 0 beside a letterboxed image."""
    fits = (rows.orig == rows.net) & (columns.orig == columns.net)
    return _either(fits, _kept, _scaled, images, rows, columns)


def _either(
    condition: Bool[Tensor, ""], first: _Way, second: _Way, images: UInt8[Tensor, "B H W"], rows: Axis, columns: Axis
) -> Float[Tensor, "B h w"]:
    """What the first way gives where the condition holds, else the second; a graph computes no other."""
    if not torch.compiler.is_exporting():
        return (first if condition else second)(images, rows, columns)

    def branch(way: _Way) -> Callable[..., Tensor]:
        # What a branch takes must be tensors.
        return lambda images, *lengths: way(images, Axis(rows.net, *lengths[:3]), Axis(columns.net, *lengths[3:]))

    lengths = (rows.orig, rows.content, rows.pad, columns.orig, columns.content, columns.pad)
    chosen: Tensor = torch.cond(condition, branch(first), branch(second), (images, *lengths))
    return chosen


def _kept(images: UInt8[Tensor, "B H W"], rows: Axis, columns: Axis) -> Float[Tensor, "B h w"]:
    """Images that have the network's size already."""
    # Which a graph is told by this: padded and cut, they have a fixed size.
    padded = torch.nn.functional.pad(images, (0, columns.net, 0, rows.net))
    return padded[:, : rows.net, : columns.net].float()


def _scaled(images: UInt8[Tensor, "B H W"], rows: Axis, columns: Axis) -> Float[Tensor, "B h w"]:
    shrinks = (rows.content <= rows.orig) & (columns.content <= columns.orig)
    # torch 2.13 exports no condition within another.
    levels = torch.where(shrinks, _area(images, rows, columns), _bilinear(images, rows, columns))
    return levels * (rows.inside.unsqueeze(1) & columns.inside)


def _area(images: UInt8[Tensor, "B H W"], rows: Axis, columns: Axis) -> Float[Tensor, "B h w"]:
    # Where every pixel is the mean of a whole number of others, OpenCV divides their sum; else it weighs them.
    whole = (rows.scale.frac() == 0) & (columns.scale.frac() == 0)
    _, height, width = images.shape
    sums = _overlaps(rows, height, whole) @ images.float() @ _overlaps(columns, width, whole).T
    means = sums * torch.where(whole, 1 / (rows.scale * columns.scale), 1.0).float()
    # It rounds halves to even; where every pixel is the mean of two by two, up.
    two_by_two = (rows.scale == 2) & (columns.scale == 2)
    return torch.where(two_by_two, (means + 0.5).floor(), means.round())


def _overlaps(axis: Axis, length: int, whole: Bool[Tensor, ""]) -> Float[Tensor, "net orig"]:
    """How much of each original pixel each network pixel covers; as a share of what it covers, unless `whole`."""
    left, right = axis.pixels * axis.scale, (axis.pixels + 1) * axis.scale
    pixels = torch.arange(length, dtype=torch.float64)
    overlap = torch.minimum(right.unsqueeze(1), pixels + 1) - torch.maximum(left.unsqueeze(1), pixels)
    return (overlap.clamp_min(0.0) / torch.where(whole, 1.0, axis.scale)).float()


def _bilinear(images: UInt8[Tensor, "B H W"], rows: Axis, columns: Axis) -> Float[Tensor, "B h w"]:
    levels = images.int()
    (left, right), (of_left, of_right) = _neighbours(columns)
    (top, bottom), (of_top, of_bottom) = _neighbours(rows)
    sums = levels.index_select(2, left) * of_left + levels.index_select(2, right) * of_right
    sums = sums // _DROPPED
    quarters = [
        sums.index_select(1, row) * weight.unsqueeze(1) // _QUARTER
        for row, weight in ((top, of_top), (bottom, of_bottom))
    ]
    return ((quarters[0] + quarters[1] + 2) // 4).float()


def _neighbours(axis: Axis) -> tuple[tuple[Int[Tensor, "net"], ...], tuple[Int[Tensor, "net"], ...]]:
    """The two original pixels beside each network pixel's centre, and their weights."""
    centre = ((axis.pixels + 0.5) * axis.scale - 0.5).float()
    before = centre.floor()
    second = centre - before
    weights = [(share * _WEIGHTS).round().int() for share in (1 - second, second)]
    last = axis.orig.long() - 1
    pixels = [torch.minimum((before + step).long().clamp_min(0), last) for step in (0, 1)]
    return tuple(pixels), tuple(weights)
