"""H1 with a fifth map, of the head's inside, and the landmarks read off the ellipse that fits it."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from fetal_lm import landmarks
from fetal_lm.codecs import outline
from fetal_lm.data.batch import Batch
from fetal_lm.geometry import from_map, to_map
from fetal_lm.hypotheses.base import Hypothesis, Reading, Views
from fetal_lm.losses import Target

EDGE_WINDOW: Final = 0.3
"""How far from the true ellipse the inside's edge is compared with it, as a share of the radius."""


class OutlineHourglass(Hypothesis):
    """Heatmap loss + `outline_weight` x cross-entropy of the inside + `ellipse_weight` x its distance from the ellipse.

    Both branches are evaluated, the outline selects.

    Nothing is labelled that H1 does not have: the ellipse is the one through the four landmarks. Of several stages, in
    a subclass, all losses are added up and the last one is read.

    Args:
        outline_weight: weight of the inside's cross-entropy (mean over pixels, nats) in the joint loss.
        ellipse_weight: weight of how far the inside's edge is from the true ellipse: the absolute values of
            `codecs.outline.residual` there, added up.
        **shared: what `Hypothesis` takes; the network has one map more than there are landmarks.

    Raises:
        ValueError: the network has another number of maps or of stacks.
    """

    label = "H1 outline"
    branches: ClassVar[tuple[str, ...]] = ("outline", "heatmap")

    stacked: ClassVar[bool] = False
    """Whether the network has several stages."""

    def __init__(self, *, outline_weight: float, ellipse_weight: float, **shared: Any) -> None:
        super().__init__(**shared)
        maps, stacks = self.network.maps, self.network.stacks
        if maps != landmarks.COUNT + 1 or (stacks > 1) != self.stacked:
            raise ValueError(
                f"{self.label} has {'2 stacks or more' if self.stacked else '1 stack'} of {landmarks.COUNT + 1} maps, "
                f"not {stacks} of {maps}"
            )
        self.outline_weight = outline_weight
        self.ellipse_weight = ellipse_weight

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The joint loss, and `heatmap`, `outline` and `ellipse` on their own."""
        maps, _ = self.network(batch.image)
        return self.map_losses(maps, batch, self.target(batch))

    def map_losses(self, maps: Float[Tensor, "B S 5 h w"], batch: Batch, target: Target) -> dict[str, Tensor]:
        """`losses`, of the network's maps."""
        heatmap = self.heatmap_loss(maps[:, :, : landmarks.COUNT], target)
        logits = maps[:, :, landmarks.COUNT].float()
        points_net = batch.points_net.unsqueeze(1).expand(-1, logits.shape[1], -1, -1)
        truth = outline.encode(points_net, size_net=self.size_net, stride=self.network.stride)
        outlines = binary_cross_entropy_with_logits(logits, truth, reduction="none").mean((-2, -1))
        on_map = to_map(points_net, self.network.stride)
        ellipses = outline.residual(logits.sigmoid(), outline.through(on_map), EDGE_WINDOW).abs().sum(-1)
        # Of a head that the frame cuts the ellipse is not known well enough to teach it.
        whole = target.visible.all(-1)
        edge, ellipse = (
            of_stages.sum(1).where(whole, 0.0).sum() / whole.sum().clamp_min(1) for of_stages in (outlines, ellipses)
        )
        return {
            "loss": heatmap + self.outline_weight * edge + self.ellipse_weight * ellipse,
            "heatmap": heatmap,
            "outline": edge,
            "ellipse": ellipse,
        }

    def read(self, image: Float[Tensor, "B 1 H W"]) -> Reading:
        """Heatmaps, and the probability of each pixel to lie in the head."""
        maps, _ = self.network(image)
        return self.map_reading(maps)

    def map_reading(self, maps: Float[Tensor, "B S 5 h w"]) -> Reading:
        """`read`, of the network's maps."""
        inside = maps[:, -1, landmarks.COUNT].float().sigmoid()
        return Reading(self.heatmaps(maps[:, :, : landmarks.COUNT]), areas={"inside": inside})

    def decode(self, views: Views) -> dict[str, Float[Tensor, "B 4 2"]]:
        """The heatmaps' landmarks, and those that they guide to on the ellipse of the views' mean inside."""
        found, stride = super().decode(views), self.network.stride
        guide = to_map(found["heatmap"], stride)
        inside = outline.holding(views.areas["inside"].float().mean(0), guide)
        on_ellipse = outline.landmarks_on(outline.fit(inside), guide, isotropic=self.isotropic)
        return found | {"outline": from_map(on_ellipse, stride)}
