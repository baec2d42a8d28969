"""H1 with an outline that is looked at a second time, straightened out and at full resolution."""

from __future__ import annotations

from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fetal_lm.codecs import outline, rim
from fetal_lm.codecs.outline import Ellipse
from fetal_lm.data.batch import Batch
from fetal_lm.hypotheses.base import Views
from fetal_lm.hypotheses.outline_hourglass import OutlineHourglass

HEATMAPS_SAY: Final = 0.3
"""The heatmaps' share in a diameter's length: their errors are larger than the edge's and partly others."""


class RimHourglass(OutlineHourglass):
    """`OutlineHourglass`, whose ellipse a second network moves to the skull's edge in a strip of the image along it.

    The first network may see the image smaller (`network.shrink`), the second one samples it as it is. Both learn at
    the same time and from nothing of each other: the second one from ellipses near the truth.

    Args:
        rim_network: strip -> logits of the edge's distance along each ray.
        rim_weight: weight of the rim's loss in the joint loss.
        wave_weight: in the rim's loss, of the absolute errors of its slow waves, beside its cross-entropy.
        **shared: what `OutlineHourglass` takes.
    """

    label = "H1 rim"
    branches = ("rim", "outline", "heatmap")

    def __init__(self, *, rim_network: nn.Module, rim_weight: float, wave_weight: float, **shared: Any) -> None:
        super().__init__(**shared)
        self.rim_network = rim_network
        self.rim_weight = rim_weight
        self.wave_weight = wave_weight

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Those of the outline, and the rim's."""
        found = super().losses(batch)
        truth = outline.through(batch.points_net)
        _, spanned = outline.adjugate(truth.axes)
        whole = self.target(batch).visible.all(-1) & (spanned != 0)
        # What is not taught must not even be computed with: the gradient of 0 x infinity is not 0.
        aside = torch.eye(2, device=spanned.device) * min(self.size_net) / 4
        truth = Ellipse(truth.centre, truth.axes.where(whole[:, None, None], aside))
        # Validation compares epochs, so that it always draws the same.
        start = rim.near(truth, None if self.training else torch.Generator().manual_seed(0))
        logits = self.rim_network(rim.strips(batch.image, start))
        distance = rim.distances(start, truth)
        waves = (outline.slow_waves(rim.located(logits)) - outline.slow_waves(distance - 1)).abs().sum(-1)
        per_image = rim.cross_entropy(logits, distance) + self.wave_weight * waves
        edge = per_image.where(whole, 0.0).sum() / whole.sum().clamp_min(1)
        return found | {"loss": found["loss"] + self.rim_weight * edge, "rim": edge}

    def decode(self, views: Views) -> dict[str, Float[Tensor, "B 4 2"]]:
        """The heatmaps' and the outline's landmarks, and the latter moved to the edge."""
        found = super().decode(views)
        # Half a turn shifts a strip, which changes nothing; mirror images reverse it. With them there are more views,
        # as with rotations, where it does no harm.
        many = len(views.heatmaps) > 2
        ellipse = self.moved(views.image, outline.through(found["outline"]), mirrored=many)
        at_edge = outline.landmarks_on(ellipse, found["heatmap"], isotropic=self.isotropic)
        at_edge = outline.lengthened(at_edge, found["heatmap"], HEATMAPS_SAY)
        return found | {"rim": at_edge.where(found["outline"].isfinite(), torch.nan)}

    def moved(self, image: Float[Tensor, "B 1 H W"], ellipse: Ellipse, *, mirrored: bool) -> Ellipse:
        """An ellipse in pixels of the image, moved to the edge that is found along it; once, for it drifts outwards.

        Args:
            image: grey, 0 to 1.
            ellipse: one for each image.
            mirrored: whether the edge is the mean of that in the strip and of that in its mirror image.
        """
        strip = rim.strips(image, ellipse)
        if mirrored:
            both = rim.located(self.rim_network(torch.cat([strip, rim.mirrored(strip)])))
            straight, back = both.unflatten(0, (2, -1)).unbind(0)
            farther = (straight + rim.mirrored(back)) / 2
        else:
            farther = rim.located(self.rim_network(strip))
        return outline.moved(ellipse, outline.slow_waves(farther))
