"""The fully connected coordinate branch of the hybrid hypothesis."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fetal_lm import landmarks


class CoordinateHead(nn.Module):
    """Features -> global average -> two fully connected layers -> landmarks as fractions of the image, as in the study.

    Args:
        channels: width C of the features.
        hidden: width of the layer in between.
        points: number of landmarks, K.
    """

    def __init__(self, channels: int, *, hidden: int = 128, points: int = landmarks.COUNT) -> None:
        super().__init__()
        self.points = points
        last = nn.Linear(hidden, 2 * points)
        # Starts at the image's centre, so that the first steps do not push the shared backbone about.
        nn.init.zeros_(last.weight)
        nn.init.constant_(last.bias, 0.5)
        self.layers = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(inplace=True), last)

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B K 2"]:
        """Landmarks (x, y) where 0 and 1 are the outer edges of the image (not the centres of its outer pixels)."""
        # In bfloat16 a fraction above one half would come in steps of 1/256: whole pixels.
        with torch.autocast(features.device.type, enabled=False):
            pooled = features.mean(dim=(2, 3), dtype=torch.float32)
            fractions: Tensor = self.layers(pooled).unflatten(1, (self.points, 2))
        return fractions
