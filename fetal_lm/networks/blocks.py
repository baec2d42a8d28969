"""The two convolution blocks that every network here is made of."""

from __future__ import annotations

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
