"""Strip along an ellipse -> where the skull's edge is along each ray."""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fetal_lm.networks.batch_norm import BatchNorm
from fetal_lm.networks.blocks import in_float32

DILATIONS: Final = (1, 2, 4, 8, 1, 4)
"""Of each residual block, along the edge: together they see all the way round."""


class RimNetwork(nn.Module):
    """Convolutions whose sides are joined: a strip has no beginning, and turning it turns what is found.

    Args:
        channels: width of the features at stride 2.
    """

    def __init__(self, *, channels: int = 24) -> None:
        super().__init__()
        self.stem = nn.Sequential(_ConvRound(2, 16), _ConvRound(16, channels, stride=2))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                _ConvRound(channels, channels, dilation=dilation), _ConvRound(channels, channels, dilation=dilation)
            )
            for dilation in DILATIONS
        )
        self.head = nn.Conv2d(channels, 1, 1)

    def forward(self, strip: Float[Tensor, "B 2 across along"]) -> Float[Tensor, "B bins rays"]:
        """Logits of the edge's distance along each ray, in float32; bins and rays are half of what the strip has."""
        features = self.stem(strip)
        for block in self.blocks:
            features = features + block(features)
        return in_float32(self.head, features).squeeze(1)


class _ConvRound(nn.Module):
    """3 x 3 convolution, joined along the strip, zeros across it; batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.reach = dilation
        self.convolution = nn.Conv2d(
            inputs, outputs, 3, stride=stride, padding=(1, 0), dilation=(1, dilation), bias=False
        )
        self.norm = BatchNorm(outputs)

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D i j"]:
        """Features of the same size, divided by the stride."""
        joined = torch.cat([features[..., -self.reach :], features, features[..., : self.reach]], dim=-1)
        out: Tensor = self.norm(self.convolution(joined)).relu()
        return out
