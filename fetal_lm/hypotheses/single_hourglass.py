"""H1: one hourglass, four Gaussian heatmaps, peaks decoded to points."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from fetal_lm.data.batch import Batch
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.networks.stacked_hourglass import StackedHourglass


class SingleHourglass(Hypothesis):
    """The baseline of the study.

    Args:
        network: a `StackedHourglass` of one stack.
        **shared: what `Hypothesis` takes.

    Raises:
        ValueError: the network has more than one stack.
    """

    label = "H1"

    def __init__(self, *, network: StackedHourglass, **shared: Any) -> None:
        super().__init__(**shared)
        if network.stacks != 1:
            raise ValueError(f"a single hourglass has 1 stack, not {network.stacks}; use model=stacked_hourglass")
        self.network = network

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The heatmap loss."""
        maps, _ = self.network(batch.image)
        return {"loss": self.heatmap_loss(maps, self.encode(batch, self.network.stride), self.visible(batch))}

    def points(self, image: Float[Tensor, "B 1 H W"]) -> dict[str, Float[Tensor, "B 4 2"]]:
        """Decoded peaks."""
        return {"heatmap": self.codec.decode(self.heatmaps(image), stride=self.network.stride)}

    def heatmaps(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 4 h w"]:
        """The activated maps."""
        maps, _ = self.network(image)
        return self.heatmap_loss.activate(maps[:, -1])
