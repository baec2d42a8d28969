"""Points <-> Gaussian heatmaps: encode and decode in one class, exact inverses at every stride."""

from __future__ import annotations

import math
from functools import partial
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from fetal_lm.codecs import decoders, joint
from fetal_lm.geometry import Size, from_map, to_map

DECODERS: Final = ("argmax", "dark", "local_soft_argmax")

# Within this many sigma the window of the local soft-argmax holds all but 6e-5 of a peak's mass.
WINDOW_SIGMAS: Final = 4

FLOOR: Final = 1e-4
"""Share of a view's peak below which views are not told apart."""


class GaussianCodec:
    """Gaussians of peak 1 at sub-pixel centres, and three ways back.

    Args:
        sigma_px: standard deviation in network pixels, whatever the stride.
        decoder: `argmax`, `dark` or `local_soft_argmax`; see `codecs.decoders`.
        joint: decode the four landmarks together, as the likeliest head (`codecs.joint`), instead of map by map. Which
            of a pair's two maps an end was found in is then forgotten.

    Attributes:
        widest_px: largest standard deviation of a heatmap in any direction, in network pixels.
        elongation: largest by smallest standard deviation.

    Raises:
        ValueError: an unknown decoder, or a sigma that is not positive.
    """

    def __init__(self, *, sigma_px: float | int, decoder: str = "dark", joint: bool = False) -> None:
        if decoder not in DECODERS:
            raise ValueError(f"decoder must be one of {DECODERS}, not {decoder!r}")
        if not sigma_px > 0:
            raise ValueError(f"sigma_px must be positive, not {sigma_px}")
        self.sigma_px = self.widest_px = float(sigma_px)
        self.elongation = 1.0
        self.decoder = decoder
        self.joint = joint

    def encode(self, points_net: Float[Tensor, "*n 2"], *, size_net: Size, stride: int) -> Float[Tensor, "*n h w"]:
        """Heatmaps of points.

        Args:
            points_net: (x, y) in network pixels; centres outside the frame give what reaches into it, NaN gives zeros.
            size_net: (H, W) of the network's input.
            stride: network pixels per heatmap pixel.

        Returns:
            `h = H / stride`, `w = W / stride`, values 0 to 1.

        Example:
            >>> codec = GaussianCodec(sigma_px=8.0)
            >>> heatmap = codec.encode(torch.tensor([21.5, 9.5]), size_net=(32, 64), stride=4)
            >>> heatmap.shape, round(heatmap[2, 5].item(), 6)
            (torch.Size([8, 16]), 1.0)
        """
        height, width = size_net
        centres = to_map(points_net.float(), stride)
        scale = 1 / (math.sqrt(2) * self.sigma_px / stride)
        across = self._profile(centres[..., 0], width // stride, scale)
        down = self._profile(centres[..., 1], height // stride, scale)
        return (down.unsqueeze(-1) * across.unsqueeze(-2)).nan_to_num_(nan=0.0)

    def decode(self, heatmaps: Float[Tensor, "*n K h w"], *, stride: int) -> Float[Tensor, "*n K 2"]:
        """Landmarks (x, y) in network pixels from their heatmaps; NaN where there is no peak.

        Args:
            heatmaps: non-negative, of any scale: a loss's `activate` makes them from a network's maps. K is 4, in the
                order of `landmarks.NAMES`, if the head is decoded jointly.
            stride: network pixels per heatmap pixel.

        Example:
            >>> codec = GaussianCodec(sigma_px=8.0, decoder="dark")
            >>> points = torch.tensor([[20.25, 9.5]])
            >>> codec.decode(codec.encode(points, size_net=(32, 64), stride=4), stride=4).round(decimals=4)
            tensor([[20.2500,  9.5000]])
        """
        return self.decode_views(heatmaps.unsqueeze(0), stride=stride)

    def decode_views(self, views: Float[Tensor, "V *n K h w"], *, stride: int) -> Float[Tensor, "*n K 2"]:
        """`decode` of several views of one head, already moved back to one frame: pooled, then decoded once.

        Joint decoding pools the pairs' maps, so that views may name a pair's ends differently.
        """
        if self.joint:
            centres = joint.decode(pooled_pairs(views), partial(self._refined, stride=stride))
        else:
            centres = self._refined(pooled(views.float()), None, stride=stride)
        return from_map(centres, stride)

    def _refined(
        self, heatmaps: Float[Tensor, "*n h w"], pixels: decoders.Pixels | None, *, stride: int
    ) -> Float[Tensor, "*n 2"]:
        if self.decoder == "argmax":
            return decoders.argmax(heatmaps, pixels)
        if self.decoder == "dark":
            return decoders.dark(heatmaps, pixels, elongation=self.elongation)
        return decoders.local_soft_argmax(heatmaps, math.ceil(WINDOW_SIGMAS * self.widest_px / stride), pixels)

    @staticmethod
    def _profile(centre: Float[Tensor, "*n"], length: int, scale: float) -> Float[Tensor, "*n length"]:
        pixels = torch.arange(length, dtype=centre.dtype, device=centre.device)
        return torch.exp(-(((pixels - centre.unsqueeze(-1)) * scale) ** 2))


def pooled(views: Float[Tensor, "V *n h w"]) -> Float[Tensor, "*n h w"]:
    """The geometric mean of heatmaps of one thing, each scaled to peak 1: high where all views are.

    What is below `FLOOR` of a view's peak counts as `FLOOR`, so that one view alone cannot veto; where all views are
    that low the mean is zero. A single view comes back as it is.

    Args:
        views: non-negative.
    """
    if len(views) == 1:
        return views[0]
    peak = views.amax((-2, -1), keepdim=True)
    scaled = (views / peak.clamp_min(torch.finfo(views.dtype).tiny)).clamp_min(FLOOR)
    mean: Tensor = scaled.log().mean(0).exp()
    return mean.masked_fill((scaled <= FLOOR).all(0), 0.0)


def pooled_pairs(views: Float[Tensor, "V *n K h w"]) -> Float[Tensor, "*n _ h w"]:
    """`pooled` of the sums of each pair's two maps: which end is called 1 is arbitrary, and views may differ in it.

    Joint decoding and confidence both begin with it, by the same steps on the same maps, which an exported graph takes
    once.
    """
    return pooled(views.float().unflatten(-3, (-1, 2)).sum(-3))
