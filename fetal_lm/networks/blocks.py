"""The two convolution blocks that the networks here are made of, and how their last layers are computed."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fetal_lm.networks.batch_norm import BatchNorm


class ConvNorm(nn.Sequential):
    """3 x 3 (or k x k) convolution, batch normalisation, ReLU; padding keeps the size divided by the stride."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2, bias=False),
            BatchNorm(outputs),
            nn.ReLU(inplace=True),
        )


class Residual(nn.Module):
    """Two 3 x 3 convolutions around a shortcut (He et al., CVPR 2016); a 1 x 1 shortcut where the channels change."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvNorm(inputs, outputs),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            BatchNorm(outputs),
        )
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, bias=False), BatchNorm(outputs))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D h w"]:
        """Maps `inputs` channels to `outputs` channels at the same resolution."""
        out: Tensor = self.activation(self.body(features) + self.shortcut(features))
        return out


def in_float32(head: nn.Module, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B K h w"]:
    """Sub-pixel decoding reads differences between neighbouring pixels, which bfloat16's 8 bits of precision blur."""
    with torch.autocast(features.device.type, enabled=False):
        maps: Tensor = head(features.float())
    return maps
