"""The hourglass: Newell, Yang, Deng, "Stacked hourglass networks for human pose estimation", ECCV 2016."""

from __future__ import annotations

from typing import Final

from jaxtyping import Float
from torch import Tensor, nn

from fetal_lm.networks.blocks import ConvNorm, Residual

STRIDES: Final = (1, 2, 4)


class Hourglass(nn.Module):
    """Halves the resolution `depth` times and comes back, adding a skip connection at every resolution.

    With `growth` above 1 every halving widens the features, as in a U-Net (Ronneberger, Fischer, Brox, MICCAI 2015):
    parameters where they cost little time.

    Args:
        depth: halvings.
        channels: width at the resolution that comes in and goes out.
        growth: width below a halving by that above it, to the nearest multiple of 8 (of two the even one: 24 channels
            that grow by 1.5 become 32, 48, 72, 112), and never narrower.

    Raises:
        ValueError: `depth` is not positive, or `growth` is below 1.
    """

    def __init__(self, depth: int, channels: int, growth: float = 1.0) -> None:
        super().__init__()
        if depth < 1:
            raise ValueError(f"an hourglass needs a depth of 1 or more, not {depth}")
        if growth < 1:
            raise ValueError(f"an hourglass's growth must be 1 or more, not {growth:g}")
        inner = channels if growth == 1 else max(channels, 8 * round(channels * growth / 8))
        self.skip = Residual(channels, channels)
        self.down = nn.Sequential(nn.MaxPool2d(2), Residual(channels, inner))
        self.inner: nn.Module = Hourglass(depth - 1, inner, growth) if depth > 1 else Residual(inner, inner)
        self.up = nn.Sequential(Residual(inner, channels), nn.Upsample(scale_factor=2, mode="nearest"))

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """Features of the same shape; h and w must be multiples of `2 ** depth`."""
        out: Tensor = self.skip(features) + self.up(self.inner(self.down(features)))
        return out


def stem(in_channels: int, channels: int, stride: int) -> nn.Sequential:
    """The layers before the first hourglass: image `[B, in, H, W]` to features `[B, channels, H/stride, W/stride]`.

    Stride 1 is two residual blocks at full resolution, as in the original study; strides 2 and 4 begin with one or two
    strided convolutions at half the channels, which is where a CPU saves nearly all of its time.

    Raises:
        ValueError: `stride` is not 1, 2 or 4.
    """
    if stride not in STRIDES:
        raise ValueError(f"the stem's stride must be one of {STRIDES}, not {stride}")
    if stride == 1:
        return nn.Sequential(Residual(in_channels, channels), Residual(channels, channels))
    half = max(8, channels // 2)
    layers = [ConvNorm(in_channels, half, kernel=5 if stride == 2 else 7, stride=2)]
    if stride == 4:
        layers.append(ConvNorm(half, channels, stride=2))
    return nn.Sequential(*layers, Residual(channels if stride == 4 else half, channels))
