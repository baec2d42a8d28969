"""Heads <-> heatmaps that are sharp across the skull and soft along it.

Where an axis of the head ends, the skull runs at right angles to it, and how far along the skull the end is put is much
less certain than where the skull lies. So the Gaussian of an end is long along the tangent of the head's outline.
"""

from __future__ import annotations

import math
from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor

from fetal_lm import landmarks
from fetal_lm.codecs.gaussian import GaussianCodec
from fetal_lm.geometry import Size, to_map

SHORTEST_PX: Final = 1.0
"""A diameter shorter than this has no direction: its ends coincide as far as labels on whole pixels can tell."""


class TangentCodec(GaussianCodec):
    """Gaussians of peak 1 at sub-pixel centres, long along the tangent of the head's outline, and the same ways back.

    Along the tangent the standard deviation is `tangent_sigma_px`, at right angles to it in the network's frame
    `sigma_px`. The frame may be squashed, and OFD and BPD are not at right angles in it. But the tangents of an ellipse
    at the ends of one diameter are parallel to the conjugate diameter, conjugate diameters stay conjugate under every
    affine map, and the two axes are conjugate: so the tangent at the ends of the OFD is the direction of the BPD, and
    the other way round, however the head was squashed, turned and sheared.

    A landmark is given a round Gaussian of `sigma_px` where the other diameter has a NaN or is shorter than
    `SHORTEST_PX`.

    Args:
        sigma_px: standard deviation across the skull in network pixels, whatever the stride.
        tangent_sigma_px: standard deviation along the skull in network pixels.
        decoder: as for `GaussianCodec`.
        joint: as for `GaussianCodec`.

    Raises:
        ValueError: an unknown decoder, or a sigma that is not positive.
    """

    def __init__(
        self, *, sigma_px: float | int, tangent_sigma_px: float | int, decoder: str = "dark", joint: bool = False
    ) -> None:
        super().__init__(sigma_px=sigma_px, decoder=decoder, joint=joint)
        if not tangent_sigma_px > 0:
            raise ValueError(f"tangent_sigma_px must be positive, not {tangent_sigma_px}")
        self.tangent_sigma_px = float(tangent_sigma_px)
        self.widest_px = float(max(sigma_px, tangent_sigma_px))
        self.elongation = self.widest_px / min(sigma_px, tangent_sigma_px)

    def encode(self, points_net: Float[Tensor, "*n 2"], *, size_net: Size, stride: int) -> Float[Tensor, "*n h w"]:
        """Heatmaps of heads.

        Args:
            points_net: (x, y) in network pixels, `[..., 4, 2]` in the order of `landmarks.NAMES`; centres outside the
                frame give what reaches into it, NaN gives zeros. Points of any other shape belong to no head and get
                round Gaussians of `sigma_px`.
            size_net: (H, W) of the network's input.
            stride: network pixels per heatmap pixel.

        Returns:
            `h = H / stride`, `w = W / stride`, values 0 to 1.

        Example:
            >>> codec = TangentCodec(sigma_px=4.0, tangent_sigma_px=8.0)
            >>> head = torch.tensor([[8.0, 24.0], [48.0, 24.0], [28.0, 8.0], [28.0, 40.0]])  # OFD along x
            >>> ofd_1, _, bpd_1, _ = codec.encode(head, size_net=(48, 64), stride=1)
            >>> across, along = ofd_1[24, 12].item(), ofd_1[32, 8].item()  # one sigma each
            >>> round(across, 4), round(along, 4), round(bpd_1[8, 36].item(), 4)
            (0.6065, 0.6065, 0.6065)
        """
        if points_net.shape[-2:-1] != (landmarks.COUNT,):
            return super().encode(points_net, size_net=size_net, stride=stride)
        height, width = size_net
        points_net = points_net.float()
        tangent = tangents(points_net)
        known = tangent.isfinite().all(-1)
        # A round Gaussian has no direction; any will do.
        x, y = (tangent.where(known.unsqueeze(-1), tangent.new_tensor([1.0, 0.0]))[..., None, None]).unbind(-3)
        along_px = torch.full_like(tangent[..., 0], self.tangent_sigma_px).where(known, self.sigma_px)
        centre_x, centre_y = to_map(points_net, stride)[..., None, None].unbind(-3)
        columns = torch.arange(width // stride, device=points_net.device) - centre_x
        rows = torch.arange(height // stride, device=points_net.device).unsqueeze(-1) - centre_y
        scale = stride / math.sqrt(2)
        along = (columns * x + rows * y) * (scale / along_px)[..., None, None]
        across = (rows * x - columns * y) * (scale / self.sigma_px)
        return torch.exp(-(along**2 + across**2)).nan_to_num_(nan=0.0)


def tangents(points: Float[Tensor, "*n 4 2"]) -> Float[Tensor, "*n 4 2"]:
    """Directions (x, y) of length 1 of a head's outline at its landmarks; NaN where the other diameter gives none.

    The outline is c + a cos t + b sin t, where 2a and 2b are two conjugate diameters; where a ends, at t = 0, its
    derivative is b. An affine map changes c, a and b, and nothing of this.

    Args:
        points: in the order of `landmarks.NAMES`, in pixels of any affine frame.

    Example:
        >>> tangents(torch.tensor([[0.0, 5.0], [9.0, 5.0], [4.0, 1.0], [8.0, 4.0]]))  # a head sheared by its frame
        tensor([[0.8000, 0.6000],
                [0.8000, 0.6000],
                [1.0000, 0.0000],
                [1.0000, 0.0000]])
    """
    ofd, bpd = (points[..., second, :] - points[..., first, :] for first, second in (landmarks.OFD, landmarks.BPD))
    other = torch.stack([bpd, bpd, ofd, ofd], dim=-2)
    length = torch.linalg.vector_norm(other, dim=-1, keepdim=True)
    directions: Tensor = (other / length).where(length >= SHORTEST_PX, torch.nan)
    return directions
