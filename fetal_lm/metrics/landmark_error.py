"""Radial errors of landmarks, and errors of the diameters, accumulated over an epoch.

In a distributed training every process validates every image (`LandmarkDataModule.val_dataloader`), so that the metrics
are computed in each process alone: put together they would count each image once per process.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from fetal_lm import biometry, geometry, landmarks
from fetal_lm.geometry import Size


def radial_errors(predicted: Float[Tensor, "B K 2"], truth: Float[Tensor, "B K 2"], size: Size) -> Float[Tensor, "B K"]:
    """Distance of each landmark from the truth, order-free; a landmark without a prediction costs the most it could.

    Args:
        predicted: (x, y) in pixels of a frame, NaN where nothing was decoded.
        truth: the true landmarks in the same pixels.
        size: (height, width) of that frame. NaN is charged the distance from the truth to the farthest corner.

    Returns:
        Distances after `landmarks.matched_order`, in those pixels.

    Example:
        >>> truth = torch.tensor([[[0.0, 5.0], [9.0, 5.0], [4.0, 1.0], [4.0, 8.0]]])
        >>> radial_errors(landmarks.half_turn(truth) + 3.0, truth, (10, 10)).round(decimals=2)
        tensor([[4.2400, 4.2400, 4.2400, 4.2400]])
    """
    matched = landmarks.matched_order(predicted, truth)
    distance: Tensor = torch.linalg.vector_norm(matched - truth, dim=-1)
    farthest = geometry.far_side(truth, truth.new_tensor([size[1], size[0]]))
    return distance.where(distance.isfinite(), torch.linalg.vector_norm(farthest, dim=-1))


class LandmarkError(Metric):
    """Mean and median radial error (MRE) over landmarks and images, and the share of landmarks without a prediction.

    Args:
        size_net: (height, width) of the frame that the points live in.
    """

    errors: list[Tensor]
    undecoded: list[Tensor]

    def __init__(self, *, size_net: Size) -> None:
        super().__init__(sync_on_compute=False)
        self.size_net = size_net
        self.add_state("errors", default=[], dist_reduce_fx="cat")
        self.add_state("undecoded", default=[], dist_reduce_fx="cat")

    def update(self, predicted: Float[Tensor, "B K 2"], truth: Float[Tensor, "B K 2"]) -> None:
        """Adds a batch of points in network pixels."""
        self.errors.append(radial_errors(predicted, truth, self.size_net).flatten())
        self.undecoded.append(predicted.isnan().any(-1).flatten().float())

    def compute(self) -> dict[str, Tensor]:
        """`mre_px`, `median_px` in network pixels and `undecoded_rate`."""
        errors, undecoded = dim_zero_cat(self.errors), dim_zero_cat(self.undecoded)
        return {"mre_px": errors.mean(), "median_px": errors.median(), "undecoded_rate": undecoded.mean()}


class BiometryError(Metric):
    """Mean absolute error of BPD, OFD and HC in millimetres over the images whose spacing is known.

    A diameter without a prediction is charged its whole true length.
    """

    differences: list[Tensor]

    def __init__(self) -> None:
        super().__init__(sync_on_compute=False)
        self.add_state("differences", default=[], dist_reduce_fx="cat")

    def update(
        self,
        predicted_orig: Float[Tensor, "B K 2"],
        truth_orig: Float[Tensor, "B K 2"],
        mm_per_px: Float[Tensor, "B"],
    ) -> None:
        """Adds a batch of points in original pixels."""
        known = mm_per_px.isfinite()
        predicted, truth = (
            torch.stack(list(biometry.diameters(points[known], mm_per_px[known]).values()), dim=-1)
            for points in (predicted_orig, truth_orig)
        )
        self.differences.append((predicted.nan_to_num(nan=0.0) - truth).abs())

    def compute(self) -> dict[str, Tensor]:
        """`bpd_mae_mm`, `ofd_mae_mm`, `hc_mae_mm`; NaN if no spacing was known."""
        bpd, ofd, hc = dim_zero_cat(self.differences).mean(0).unbind()
        return {"bpd_mae_mm": bpd, "ofd_mae_mm": ofd, "hc_mae_mm": hc}
