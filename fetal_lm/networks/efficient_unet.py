"""EfficientNet-Lite0, and the way back up to the maps."""

from __future__ import annotations

from typing import Final

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate

from fetal_lm import landmarks
from fetal_lm.networks.blocks import ConvNorm, Residual, in_float32
from fetal_lm.networks.efficientnet import EfficientNetLite
from fetal_lm.networks.map_network import MapNetwork

WIDENING: Final = (1.0, 1.5, 2.0, 3.0)
"""Width of the way up at strides 4, 8, 16 and 32, by that at stride 4."""


class EfficientUNet(MapNetwork):
    """A U-Net (Ronneberger, Fischer, Brox, MICCAI 2015) whose way down is EfficientNet-Lite0; maps at stride 4.

    Strides are in pixels of the image as the network sees it.

    Args:
        depth: halvings below stride 4, 1 to 3.
        channels: width C at stride 4 on the way up.
        shrink: image pixels, along each side, that become one before the network sees them (their mean).
        pretrained: whether a training begins with the way down as it was trained on ImageNet.
        maps: number of maps, K.

    Raises:
        ValueError: `depth` is not 1 to 3, or `shrink` is below 1.
    """

    def __init__(
        self,
        *,
        depth: int = 3,
        channels: int = 32,
        shrink: int = 1,
        pretrained: bool = True,
        maps: int = landmarks.COUNT,
    ) -> None:
        if depth < 1:
            raise ValueError(f"a U-Net needs a depth of 1 or more, not {depth}")
        super().__init__(stride=4, depth=depth, shrink=shrink, stacks=1, maps=maps, channels=channels)
        self.pretrained = pretrained
        self.encoder = EfficientNetLite(depth + 1)
        widths = [round(channels * widening) for widening in WIDENING[: depth + 1]]
        self.top = ConvNorm(EfficientNetLite.CHANNELS[depth], widths[depth], kernel=1)
        self.across = nn.ModuleList(
            ConvNorm(inputs, width, kernel=1)
            for inputs, width in zip(EfficientNetLite.CHANNELS[:depth], widths[:depth], strict=True)
        )
        self.narrow = nn.ModuleList(
            ConvNorm(below, width, kernel=1) for below, width in zip(widths[1:], widths[:-1], strict=True)
        )
        self.mix = nn.ModuleList(Residual(width, width) for width in widths[:depth])
        self.last = nn.Sequential(Residual(channels, channels), ConvNorm(channels, channels, kernel=1))
        self.head = nn.Conv2d(channels, maps, 1)

    def begin(self) -> None:
        """Loads the weights of ImageNet, if they are asked for; see `EfficientNetLite.load_imagenet`."""
        if self.pretrained:
            self.encoder.load_imagenet()

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B 1 K h w"], Float[Tensor, "B C h w"]]:
        """Maps before any activation at `h = H / (4 x shrink)`, and the features that they were read from.

        Args:
            image: grey, 0 to 1.

        Raises:
            InputError: H or W is not a multiple of `multiple`.
        """
        *finer, coarsest = self.encoder(self.shrunk(image))
        features = self.top(coarsest)
        for level in reversed(range(len(finer))):
            features = interpolate(self.narrow[level](features), scale_factor=2.0, mode="nearest")
            features = self.mix[level](features + self.across[level](finer[level]))
        features = self.last(features)
        return in_float32(self.head, features).unsqueeze(1), features
