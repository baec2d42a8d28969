"""H1: one hourglass, four Gaussian heatmaps, peaks decoded to points."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from fetal_lm.data.batch import Batch
from fetal_lm.hypotheses.base import Hypothesis


class SingleHourglass(Hypothesis):
    """The baseline of the study.

    Args:
        **shared: what `Hypothesis` takes; the network has one stack.

    Raises:
        ValueError: the network has more than one stack.
    """

    label = "H1"

    def __init__(self, **shared: Any) -> None:
        super().__init__(**shared)
        if self.network.stacks != 1:
            raise ValueError(f"a single hourglass has 1 stack, not {self.network.stacks}; use model=stacked_hourglass")

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The heatmap loss."""
        maps, _ = self.network(batch.image)
        return {"loss": self.heatmap_loss(maps, self.target(batch))}
