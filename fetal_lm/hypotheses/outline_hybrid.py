"""H2 with a fifth map, of the head's inside, and the landmarks read off the ellipse that fits it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from fetal_lm.data.batch import Batch
from fetal_lm.hypotheses.base import Reading
from fetal_lm.hypotheses.hybrid_hourglass import HybridHourglass
from fetal_lm.hypotheses.outline_hourglass import OutlineHourglass


class OutlineHybrid(HybridHourglass, OutlineHourglass):
    """The losses of `OutlineHourglass` + `coordinate_weight` x the coordinate loss; all three branches are evaluated.

    The outline selects.
    """

    label = "H2 outline"
    branches = ("outline", "heatmap", "coordinate")

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The joint loss, and those it is made of on their own."""
        maps, features = self.network(batch.image)
        target = self.target(batch)
        found = self.map_losses(maps, batch, target)
        coordinate = self.feature_loss(features, target)
        return found | {"loss": found["loss"] + self.coordinate_weight * coordinate, "coordinate": coordinate}

    def read(self, image: Float[Tensor, "B 1 H W"]) -> Reading:
        """Heatmaps, the regressed coordinates, and the probability of each pixel to lie in the head."""
        maps, features = self.network(image)
        return self.map_reading(maps)._replace(regressed=self.regressed(features))
