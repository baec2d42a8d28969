"""What a hypothesis asks of the network that makes its maps."""

from __future__ import annotations

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor, nn

from fetal_lm.errors import InputError


class MapNetwork(nn.Module, ABC):
    """Image -> the maps of one or more stages, and the features that the last ones were read from.

    Args:
        stride: pixels of the image as the network sees it per map pixel.
        depth: halvings below that.
        shrink: image pixels, along each side, that become one before the network sees them (their mean).
        stacks: number of stages, S.
        maps: maps of a stage, K.
        channels: width C of the features.

    Attributes:
        stride: image pixels per map pixel, those included that are shrunk first.
        multiple: what H and W must be multiples of.

    Raises:
        ValueError: `shrink` is no whole number from 1 on.
    """

    def __init__(self, *, stride: int, depth: int, shrink: int, stacks: int, maps: int, channels: int) -> None:
        super().__init__()
        if not isinstance(shrink, int) or shrink < 1:
            raise ValueError(f"a network's shrink must be a whole number, 1 or more, not {shrink}")
        self.stride = shrink * stride
        self.multiple = self.stride * 2**depth
        self.shrink = shrink
        self.stacks = stacks
        self.maps = maps
        self.channels = channels

    @abstractmethod
    def forward(self, image: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B S K h w"], Float[Tensor, "B C h w"]]:
        """Maps before any activation at `h = H / stride`, in float32, and the last stage's features.

        Args:
            image: grey, 0 to 1.

        Raises:
            InputError: H or W is not a multiple of `multiple`.
        """

    def begin(self) -> None:
        """Called once before a training that does not begin with other weights; here weights stay random.

        Raises:
            InputError: what a subclass begins with cannot be had.
        """

    def shrunk(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 1 _ _"]:
        """The image as the network sees it.

        Raises:
            InputError: H or W is not a multiple of `multiple`.
        """
        height, width = image.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise InputError(
                f"an image of {height} x {width} pixels; this network needs multiples of {self.multiple} "
                f"(shrink x stride x 2 ** depth): change image_size or model.network"
            )
        if self.shrink == 1:
            return image
        # What avg_pool2d does, which takes three times as long in an exported file.
        cells: Tensor = image.unflatten(-2, (-1, self.shrink)).unflatten(-1, (-1, self.shrink))
        return cells.mean((-3, -1))
