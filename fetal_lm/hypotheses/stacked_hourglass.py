"""H3: stacked hourglasses with intermediate supervision; the points are those of the last stage."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor

from fetal_lm.data.batch import Batch
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.networks.stacked_hourglass import StackedHourglass


class StackedHourglasses(Hypothesis):
    """A loss after every stage, all of the same weight.

    Args:
        network: a `StackedHourglass` of two stacks or more.
        **shared: what `Hypothesis` takes.

    Raises:
        ValueError: the network has a single stack.
    """

    label = "H3"

    def __init__(self, *, network: StackedHourglass, **shared: Any) -> None:
        super().__init__(**shared)
        if network.stacks < 2:
            raise ValueError(
                f"a stacked hourglass has 2 stacks or more, not {network.stacks}; use model=single_hourglass"
            )
        self.network = network

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The heatmap loss of every stage (`stage_1` ...) and their sum."""
        maps, _ = self.network(batch.image)
        targets, visible = self.encode(batch, self.network.stride), self.visible(batch)
        stages = {
            f"stage_{stage + 1}": self.heatmap_loss(maps[:, stage : stage + 1], targets, visible)
            for stage in range(self.network.stacks)
        }
        return {"loss": sum(stages.values(), start=maps.new_zeros(())), **stages}

    def points(self, image: Float[Tensor, "B 1 H W"]) -> dict[str, Float[Tensor, "B 4 2"]]:
        """Decoded peaks of the last stage."""
        return {"heatmap": self.codec.decode(self.heatmaps(image), stride=self.network.stride)}

    def heatmaps(self, image: Float[Tensor, "B 1 H W"]) -> Float[Tensor, "B 4 h w"]:
        """The activated maps of the last stage."""
        maps, _ = self.network(image)
        return self.heatmap_loss.activate(maps[:, -1])
