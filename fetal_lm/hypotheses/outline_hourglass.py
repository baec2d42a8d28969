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

EDGE_WINDOW: Final = 0.3
"""How far from the true ellipse the inside's edge is compared with it, as a share of the radius."""


class OutlineHourglass(Hypothesis):
    """Heatmap loss + `outline_weight` x cross-entropy of the inside + `ellipse_weight` x its distance from the ellipse.

    Both branches are evaluated, the outline selects.

    Nothing is labelled that H1 does not have: the ellipse is the one through the four landmarks.

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

    def __init__(self, *, outline_weight: float, ellipse_weight: float, **shared: Any) -> None:
        super().__init__(**shared)
        maps = self.network.maps
        if maps != landmarks.COUNT + 1 or self.network.stacks != 1:
            raise ValueError(
                f"an outline hourglass has 1 stack of {landmarks.COUNT + 1} maps, not {self.network.stacks} of {maps}"
            )
        self.outline_weight = outline_weight
        self.ellipse_weight = ellipse_weight

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The joint loss, and `heatmap` and `outline` on their own."""
        maps, _ = self.network(batch.image)
        target = self.target(batch)
        heatmap = self.heatmap_loss(maps[:, :, : landmarks.COUNT], target)
        logits = maps[:, -1, landmarks.COUNT].float()
        truth = outline.encode(batch.points_net, size_net=self.size_net, stride=self.network.stride)
        outlines = binary_cross_entropy_with_logits(logits, truth, reduction="none").mean((-2, -1))
        on_map = to_map(batch.points_net, self.network.stride)
        ellipses = outline.residual(logits.sigmoid(), outline.through(on_map), EDGE_WINDOW).abs().sum(-1)
        # Of a head that the frame cuts the ellipse is not known well enough to teach it.
        whole = target.visible.all(-1)
        edge, ellipse = (
            per_image.where(whole, 0.0).sum() / whole.sum().clamp_min(1) for per_image in (outlines, ellipses)
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
        inside = maps[:, -1, landmarks.COUNT].float().sigmoid()
        return Reading(self.heatmaps(maps[:, :, : landmarks.COUNT]), areas={"inside": inside})

    def decode(self, views: Views) -> dict[str, Float[Tensor, "B 4 2"]]:
        """The heatmaps' landmarks, and those that they guide to on the ellipse of the views' mean inside."""
        found, stride = super().decode(views), self.network.stride
        guide = to_map(found["heatmap"], stride)
        inside = outline.holding(views.areas["inside"].float().mean(0), guide)
        on_ellipse = outline.landmarks_on(outline.fit(inside), guide, isotropic=self.isotropic)
        return found | {"outline": from_map(on_ellipse, stride)}
