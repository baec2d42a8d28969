"""H3: stacked hourglasses with intermediate supervision; the points are those of the last stage."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fetal_lm.data.batch import Batch
from fetal_lm.hypotheses.base import Hypothesis


class StackedHourglasses(Hypothesis):
    """A loss after every stage, all of the same weight.

    Args:
        **shared: what `Hypothesis` takes; the network has two stacks or more.

    Raises:
        ValueError: the network has a single stack.
    """

    label = "H3"

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        stacks = self.network.stacks
        if stacks < 2:
            raise ValueError(f"a stacked hourglass has 2 stacks or more, not {stacks}; use model=single_hourglass")

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The heatmap loss of every stage (`stage_1` ...) and their sum."""
        maps, _ = self.network(batch.image)
        target = self.target(batch)
        stages = {
            f"stage_{stage + 1}": self.heatmap_loss(maps[:, stage : stage + 1], target)
            for stage in range(self.network.stacks)
        }
        return {"loss": sum(stages.values(), start=maps.new_zeros(())), **stages}
