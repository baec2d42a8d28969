"""Everything between an image and its landmarks as one module: what an exported file holds."""

from __future__ import annotations

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from fetal_lm.export.fitting import axes, fitted
from fetal_lm.geometry import Fit
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.predict.torch_engine import locate


class HeadFinder(nn.Module):
    """Resizes images, looks at them and at their mirror images, decodes, and goes back to the images' own pixels.

    It computes in float32, whatever the run was trained in.

    Args:
        model: in evaluation mode.
        fit: how images come to the network's size.
    """

    def __init__(self, model: Hypothesis, fit: Fit) -> None:
        super().__init__()
        self.model = model
        self.fit: Fit = fit

    def forward(self, image: UInt8[Tensor, "B H W"]) -> tuple[Float[Tensor, "B 4 2"], Float[Tensor, "B 4"]]:
        """Finds the landmarks of every image.

        Args:
            image: grey, 0 to 255, all of one size.

        Returns:
            (x, y) of each landmark in pixels of the image, centres on integers, NaN where none was found; and the
            confidence of each.
        """
        _, height, width = image.shape
        rows, columns = axes((height, width), self.model.size_net, self.fit)
        points_net, sure = locate(self.model, (fitted(image, rows, columns) / 255).unsqueeze(1))
        points = torch.stack([columns.to_orig(points_net[..., 0]), rows.to_orig(points_net[..., 1])], dim=-1)
        return points.float(), sure
