"""H2: the single hourglass with a second, fully connected branch that regresses coordinates; joint loss."""

from __future__ import annotations

from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor

from fetal_lm.data.batch import Batch
from fetal_lm.hypotheses.base import Hypothesis, Reading
from fetal_lm.losses import CoordinateLoss, Target
from fetal_lm.networks.coordinate_head import CoordinateHead


class HybridHourglass(Hypothesis):
    """Heatmap loss + `coordinate_weight` x coordinate loss; both branches are evaluated, the heatmaps select.

    Args:
        coordinate_hidden: width of the coordinate head's inner layer.
        coordinate_weight: weight of the coordinate loss in the joint loss.
        coordinate_beta: see `losses.CoordinateLoss`.
        **shared: what `Hypothesis` takes.
    """

    label = "H2"
    branches: ClassVar[tuple[str, ...]] = ("heatmap", "coordinate")

    def __init__(
        self,
        *,
        coordinate_hidden: int,
        coordinate_weight: float,
        coordinate_beta: float,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.coordinate_head = CoordinateHead(self.network.channels, hidden=coordinate_hidden)
        self.coordinate_weight = coordinate_weight
        self.coordinate_loss = CoordinateLoss(swap_invariant=self.heatmap_loss.swap_invariant, beta=coordinate_beta)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The joint loss, and `heatmap` and `coordinate` on their own."""
        maps, features = self.network(batch.image)
        target = self.target(batch)
        heatmap = self.heatmap_loss(maps, target)
        coordinate = self.feature_loss(features, target)
        return {
            "loss": heatmap + self.coordinate_weight * coordinate,
            "heatmap": heatmap,
            "coordinate": coordinate,
        }

    def feature_loss(self, features: Float[Tensor, "B C h w"], target: Target) -> Float[Tensor, ""]:
        """The coordinate loss of the network's features."""
        truth = (target.points_net + 0.5) / self._frame(target.points_net)
        return self.coordinate_loss(self.coordinate_head(features), truth, target.visible)

    def read(self, image: Float[Tensor, "B 1 H W"]) -> Reading:
        """Heatmaps, and the regressed coordinates."""
        maps, features = self.network(image)
        return Reading(self.heatmaps(maps), self.regressed(features))

    def regressed(self, features: Float[Tensor, "B C h w"]) -> dict[str, Float[Tensor, "B 4 2"]]:
        """What the coordinate branch reads off the network's features."""
        fractions = self.coordinate_head(features).float()
        return {"coordinate": fractions * self._frame(fractions) - 0.5}

    def _frame(self, like: Tensor) -> Float[Tensor, "2"]:
        return like.new_tensor([self.size_net[1], self.size_net[0]])
