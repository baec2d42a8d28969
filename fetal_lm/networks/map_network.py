"""What a hypothesis asks of the network that makes its maps."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from fetal_lm.errors import InputError


class MapNetwork(nn.Module):
    """Image -> the maps of one or more stages, and the features that the last ones were read from.

    Attributes:
        stride: image pixels per map pixel, those included that are shrunk first.
        multiple: what H and W must be multiples of.
        stacks: number of stages, S.
        maps: maps of a stage, K.
        channels: width C of the features.
    """

    stride: int
    multiple: int
    stacks: int
    maps: int
    channels: int

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B S K h w"], Float[Tensor, "B C h w"]]:
        """Maps before any activation at `h = H / stride`, in float32, and the last stage's features."""
        raise NotImplementedError

    def begin(self) -> None:
        """Called once before a training that does not begin with other weights; here weights stay random.

        Raises:
            InputError: what a subclass begins with cannot be had.
        """

    def check_size(self, image: Float[Tensor, "B 1 H W"]) -> None:
        """Refuses images that cannot be halved that often.

        Raises:
            InputError: H or W is not a multiple of `multiple`.
        """
        height, width = image.shape[-2:]
        if height % self.multiple or width % self.multiple:
            raise InputError(
                f"an image of {height} x {width} pixels; this network needs multiples of {self.multiple} "
                f"(shrink x stride x 2 ** depth): change image_size or model.network"
            )


def check_shrink(shrink: int) -> None:
    """Refuses what is no whole number from 1 on.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(shrink, int) or shrink < 1:
        raise ValueError(f"a network's shrink must be a whole number, 1 or more, not {shrink}")
