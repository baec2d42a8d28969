"""Points <-> Gaussian heatmaps: encode and decode in one class, exact inverses at every stride."""

from __future__ import annotations

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from fetal_lm.codecs import decoders
from fetal_lm.geometry import Size

DECODERS: Final = ("argmax", "dark", "local_soft_argmax")

# Within this many sigma the window of the local soft-argmax holds all but 6e-5 of a peak's mass.
WINDOW_SIGMAS: Final = 4


class GaussianCodec:
    """Gaussians of peak 1 at sub-pixel centres, and three ways back.

    Args:
        sigma_px: standard deviation in network pixels, whatever the stride.
        decoder: `argmax`, `dark` or `local_soft_argmax`; see `codecs.decoders`.
        pair_separation_px: if given, the two ends of a diameter are decoded together, as the two highest peaks of their
            maps' sum that are at least this many network pixels apart. Which map an end was found in is then forgotten.
            A network trained with a swap-invariant loss may see both ends of a head in both maps (it does where the OFD
            is nearly vertical); decoded one by one, both maps can then give the same end.

    Raises:
        ValueError: an unknown decoder, or a length that is not positive.
    """

    def __init__(self, *, sigma_px: float, decoder: str = "dark", pair_separation_px: float | None = None) -> None:
        if decoder not in DECODERS:
            raise ValueError(f"decoder must be one of {DECODERS}, not {decoder!r}")
        if not sigma_px > 0:
            raise ValueError(f"sigma_px must be positive, not {sigma_px}")
        if pair_separation_px is not None and not pair_separation_px > 0:
            raise ValueError(f"pair_separation_px must be positive or null, not {pair_separation_px}")
        self.sigma_px = sigma_px
        self.decoder = decoder
        self.pair_separation_px = pair_separation_px

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
        centres = (points_net.float() + 0.5) / stride - 0.5
        scale = 1 / (math.sqrt(2) * self.sigma_px / stride)
        across = self._profile(centres[..., 0], width // stride, scale)
        down = self._profile(centres[..., 1], height // stride, scale)
        return (down.unsqueeze(-1) * across.unsqueeze(-2)).nan_to_num_(nan=0.0)

    def decode(self, heatmaps: Float[Tensor, "*n K h w"], *, stride: int) -> Float[Tensor, "*n K 2"]:
        """Landmarks (x, y) in network pixels from their heatmaps; NaN where there is no peak.

        Args:
            heatmaps: non-negative, of any scale: a loss's `activate` makes them from a network's maps. K is 4, in the
                order of `landmarks.NAMES`, if pairs are decoded together.
            stride: network pixels per heatmap pixel.

        Example:
            >>> codec = GaussianCodec(sigma_px=8.0, decoder="dark")
            >>> points = torch.tensor([[20.25, 9.5]])
            >>> codec.decode(codec.encode(points, size_net=(32, 64), stride=4), stride=4).round(decimals=4)
            tensor([[20.2500,  9.5000]])
        """
        heatmaps = heatmaps.float()
        if self.pair_separation_px is None:
            centres = self._peak(heatmaps, stride)
        else:
            pairs = heatmaps.unflatten(-3, (-1, 2)).sum(-3)
            first = self._peak(pairs, stride)
            second = self._peak(_erased(pairs, first, self.pair_separation_px / stride), stride)
            centres = torch.stack([first, second], dim=-2).flatten(-3, -2)
        return (centres + 0.5) * stride - 0.5

    def _peak(self, heatmaps: Float[Tensor, "*n h w"], stride: int) -> Float[Tensor, "*n 2"]:
        if self.decoder == "argmax":
            return decoders.argmax(heatmaps)
        if self.decoder == "dark":
            return decoders.dark(heatmaps)
        return decoders.local_soft_argmax(heatmaps, math.ceil(WINDOW_SIGMAS * self.sigma_px / stride))

    @staticmethod
    def _profile(centre: Float[Tensor, "*n"], length: int, scale: float) -> Float[Tensor, "*n length"]:
        pixels = torch.arange(length, dtype=centre.dtype, device=centre.device)
        return torch.exp(-(((pixels - centre.unsqueeze(-1)) * scale) ** 2))


def _erased(heatmaps: Float[Tensor, "*n h w"], centre: Float[Tensor, "*n 2"], radius: float) -> Float[Tensor, "*n h w"]:
    """The maps with zeros within `radius` of a centre, both in heatmap pixels; unchanged where the centre is NaN."""
    rows = torch.arange(heatmaps.shape[-2], dtype=heatmaps.dtype, device=heatmaps.device)
    columns = torch.arange(heatmaps.shape[-1], dtype=heatmaps.dtype, device=heatmaps.device)
    squared = (columns - centre[..., 0, None, None]) ** 2 + (rows[:, None] - centre[..., 1, None, None]) ** 2
    return heatmaps.masked_fill(squared < radius**2, 0.0)
