"""A run's network under torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from fetal_lm.codecs.confidence import confidence
from fetal_lm.geometry import Fit, Size
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.predict.engine import Found
from fetal_lm.predict.measurement import LOW_CONFIDENCE
from fetal_lm.trained import TrainedRun, load_run


class TorchEngine:
    """An `Engine` on the CPU.

    Args:
        run: with the weights to use.
        bfloat16: whether the network computes in it.
    """

    def __init__(self, run: TrainedRun, *, bfloat16: bool) -> None:
        height, width = run.cfg.image_size
        self.digest = run.digest
        self.size_net: Size = (height, width)
        self.fit: Fit = run.cfg.data.fit
        self.low_confidence = LOW_CONFIDENCE
        self._model = run.model
        self._bfloat16 = bfloat16

    def find(self, images: UInt8[np.ndarray, "B H W"]) -> Found:
        """Finds the landmarks in grey images of the network's size, 0 to 255."""
        scaled = torch.from_numpy(images.astype(np.float32) / 255).unsqueeze(1)
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._bfloat16):
            points_net, sure = locate(self._model, scaled)
        return Found(points_net.numpy(), sure.numpy())


def open_run(path: Path) -> TorchEngine:
    """Loads a run, which computes in the arithmetic that it was tested in.

    Raises:
        InputError: see `load_run`.
    """
    run = load_run(path)
    return TorchEngine(run, bfloat16=run.bfloat16)


def locate(model: Hypothesis, image: Float[Tensor, "B 1 H W"]) -> tuple[Float[Tensor, "B 4 2"], Float[Tensor, "B 4"]]:
    """The landmarks of a model's primary branch in network pixels, and the confidence of each.

    Args:
        model: in evaluation mode.
        image: grey, 0 to 1.
    """
    views = model.views(image, flips=model.test_flips, rotations=model.test_rotations)
    points_net = model.located(views)[model.branches[0]]
    sure = confidence(views.heatmaps, points_net, stride=model.network.stride, sigma_px=model.codec.widest_px)
    return points_net, sure
