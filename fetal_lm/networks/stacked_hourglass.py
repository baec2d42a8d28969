"""One or more hourglasses in a row, each with its own heatmaps, features and predicted maps fed back between them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fetal_lm import landmarks
from fetal_lm.networks.blocks import ConvNorm, Residual, in_float32
from fetal_lm.networks.hourglass import Hourglass, stem
from fetal_lm.networks.map_network import MapNetwork


class StackedHourglass(MapNetwork):
    """`stacks` hourglasses; stack s + 1 sees its input plus features and maps of stack s, both remapped by 1 x 1.

    Newell et al., ECCV 2016. With one stack this is the single hourglass.

    Args:
        stacks: number of hourglasses, S.
        depth: halvings inside each hourglass; H and W must be multiples of `shrink * stride * 2 ** depth`.
        channels: width C of the features at the maps' resolution.
        growth: by which the width grows at every halving; 1 is the hourglass of Newell et al.
        stride: pixels of the image as the network sees it per heatmap pixel: 1, 2 or 4.
        shrink: image pixels, along each side, that become one before the network sees them (their mean).
        in_channels: 1 for grey images; a grey image is repeated where it is 3.
        maps: number of heatmaps, K.

    Raises:
        ValueError: a size above is out of its range.
    """

    def __init__(
        self,
        *,
        stacks: int = 1,
        depth: int = 4,
        channels: int = 64,
        growth: float = 1.0,
        stride: int = 4,
        shrink: int = 1,
        in_channels: int = 1,
        maps: int = landmarks.COUNT,
    ) -> None:
        super().__init__(stride=stride, depth=depth, shrink=shrink, stacks=stacks, maps=maps, channels=channels)
        if stacks < 1:
            raise ValueError(f"a stacked hourglass needs 1 stack or more, not {stacks}")
        self.in_channels = in_channels
        self.stem = stem(in_channels, channels, stride)
        self.hourglasses = nn.ModuleList(
            nn.Sequential(
                Hourglass(depth, channels, growth), Residual(channels, channels), ConvNorm(channels, channels, kernel=1)
            )
            for _ in range(stacks)
        )
        self.heads = nn.ModuleList(nn.Conv2d(channels, maps, 1) for _ in range(stacks))
        self.feed_features = nn.ModuleList(nn.Conv2d(channels, channels, 1) for _ in range(stacks - 1))
        self.feed_maps = nn.ModuleList(nn.Conv2d(maps, channels, 1) for _ in range(stacks - 1))

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B S K h w"], Float[Tensor, "B C h w"]]:
        """Heatmaps of every stack, and the last stack's features.

        Args:
            image: grey, 0 to 1.

        Returns:
            Maps before any activation at `h = H / (shrink x stride)`, and the features that the last ones were read
            from.

        Raises:
            InputError: H or W is not a multiple of `multiple`.
        """
        features = self.stem(self.shrunk(image).expand(-1, self.in_channels, -1, -1))
        all_maps: list[Tensor] = []
        read = features
        for stack, (hourglass, head) in enumerate(zip(self.hourglasses, self.heads, strict=True)):
            read = hourglass(features)
            maps = in_float32(head, read)
            all_maps.append(maps)
            if stack < len(self.feed_maps):
                features = features + self.feed_features[stack](read) + self.feed_maps[stack](maps)
        return torch.stack(all_maps, dim=1), read
