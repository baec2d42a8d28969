"""Whether an exported file finds what torch finds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from tqdm import tqdm

from fetal_lm import geometry
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.export.fitting import axes, fitted
from fetal_lm.geometry import Size
from fetal_lm.predict.onnx_engine import OnnxEngine
from fetal_lm.predict.torch_engine import TorchEngine
from fetal_lm.trained import TrainedRun

TOLERANCE_PX: Final = 0.01
"""Largest distance of two points in the network's frame that counts as none."""

TOLERANCE_CONFIDENCE: Final = 0.001

_SIZES: Final[tuple[Size, ...]] = ((540, 800), (512, 512), (768, 1024), (301, 417), (180, 240), (200, 960))
"""Of the images that are shown: area averages by odd and whole factors, enlarging, and both at once."""


@dataclass(frozen=True)
class Parity:
    """The largest differences over some images; infinite where one found a landmark and the other did not.

    Attributes:
        images: how many images.
        points_px: distance of two points found in one resized image, in pixels of the network's frame.
        resized_px: the same where each resized the image itself, by `export.fitting.fitted`. How near that is to OpenCV
            (one grey level in a few pixels) is the same for every run, and what a grey level moves is the network's
            matter, not the file's.
        confidence: between two confidences in either case.
        bfloat16_px: distance of the file's points from those of a run that computes in bfloat16; NaN for other runs.
    """

    images: int
    points_px: float
    resized_px: float
    confidence: float
    bfloat16_px: float

    @property
    def good(self) -> bool:
        """Whether the file may stand for the run."""
        return (
            self.points_px <= TOLERANCE_PX
            and self.resized_px <= TOLERANCE_PX
            and self.confidence <= TOLERANCE_CONFIDENCE
        )


def parity(run: TrainedRun, exported: OnnxEngine, *, images: int) -> Parity:
    """Shows phantom heads of several sizes to a file's graph, as they are and resized by OpenCV, and to torch.

    Torch computes in float32, as the file does.

    Args:
        run: that was exported.
        exported: what came of it.
        images: how many to show.
    """
    same, tested = TorchEngine(run, bfloat16=False), TorchEngine(run, bfloat16=True)
    points_px, resized_px, confidence, bfloat16_px = [], [], [], []
    for image in tqdm(_images(images), total=images, desc="checking", unit="image"):
        size_orig: Size = (image.shape[0], image.shape[1])
        by_opencv = geometry.fit_image(image, same.size_net, same.fit)[None]
        by_graph = fitted(torch.from_numpy(image)[None], *axes(size_orig, same.size_net, same.fit)).byte().numpy()
        ours, theirs = exported.find(by_opencv), same.find(by_opencv)
        resized, as_resized = exported.find(image[None]), same.find(by_graph)
        points_net = geometry.apply(geometry.FITS[same.fit](size_orig, same.size_net), resized.points[0].astype(float))
        points_px.append(_furthest(ours.points[0], theirs.points[0]))
        resized_px.append(_furthest(points_net, as_resized.points[0]))
        confidence += [
            _furthest(file.confidence.T, torchs.confidence.T)
            for file, torchs in ((ours, theirs), (resized, as_resized))
        ]
        if run.bfloat16:
            bfloat16_px.append(_furthest(ours.points[0], tested.find(by_opencv).points[0]))
    return Parity(images, max(points_px), max(resized_px), max(confidence), max(bfloat16_px, default=math.nan))


def _images(count: int) -> Iterator[UInt8[np.ndarray, "_ _"]]:
    source = Phantom(seed=0, images=count)
    for number, record in enumerate(source.records()):
        height, width = _SIZES[number % len(_SIZES)]
        image = source.read(record)
        yield image if image.shape == (height, width) else np.asarray(cv2.resize(image, (width, height)), np.uint8)


def _furthest(ours: Float[np.ndarray, "4 n"], theirs: Float[np.ndarray, "4 n"]) -> float:
    """The largest distance between two rows; NaN on both sides is none, NaN on one side infinite."""
    missing = np.isnan(ours).any(1)
    if (missing != np.isnan(theirs).any(1)).any():
        return math.inf
    return float(np.linalg.norm(ours - theirs, axis=1)[~missing].max(initial=0.0))
