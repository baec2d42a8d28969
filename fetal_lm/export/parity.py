"""Whether an exported file finds what torch finds."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from tqdm import tqdm

from fetal_lm import geometry
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.geometry import Size
from fetal_lm.predict.onnx_engine import OnnxEngine
from fetal_lm.predict.torch_engine import TorchEngine
from fetal_lm.trained import TrainedRun

TOLERANCE_PX: Final = 0.01
"""Largest distance of two points in the network's frame that counts as none."""

TOLERANCE_RESIZED: Final = 0.1 / 256
"""The same where each resized the image itself, as a share of the frame's longer side: a mean of half a grey level is
rounded up by one and down by the other in a pixel of some images. What one grey level of one pixel moves is the
network's matter, not the file's."""

TOLERANCE_CONFIDENCE: Final = 0.001
TOLERANCE_CONFIDENCE_RESIZED: Final = 0.02
"""Likewise. A pixel of a heatmap may come to count as background, or cease to."""

_SIZES: Final[tuple[Size, ...]] = ((540, 800), (512, 512), (768, 1024), (301, 417), (180, 240), (200, 960))
"""Of the images that are shown: area averages by odd and whole factors, enlarging, and both at once."""


@dataclass(frozen=True)
class Parity:
    """The largest differences over some images; infinite where one found a landmark and the other did not.

    Attributes:
        images: how many images.
        points_px: distance of two points found in one resized image, in pixels of the network's frame.
        resized_px: the same where the file resized the image itself, and OpenCV did for torch.
        confidence: between two confidences in one resized image.
        confidence_resized: the same where the file resized the image itself.
        bfloat16_px: distance of the file's points from those of a run that computes in bfloat16; NaN for other runs.
        longer_net: longer side of the network's frame, in pixels.
    """

    images: int
    points_px: float
    resized_px: float
    confidence: float
    confidence_resized: float
    bfloat16_px: float
    longer_net: int

    @property
    def allowed_resized_px(self) -> float:
        """`TOLERANCE_RESIZED` in pixels."""
        return TOLERANCE_RESIZED * self.longer_net

    @property
    def good(self) -> bool:
        """Whether the file may stand for the run."""
        return (
            self.points_px <= TOLERANCE_PX
            and self.resized_px <= self.allowed_resized_px
            and self.confidence <= TOLERANCE_CONFIDENCE
            and self.confidence_resized <= TOLERANCE_CONFIDENCE_RESIZED
        )


def parity(run: TrainedRun, exported: OnnxEngine, *, images: int) -> Parity:
    """Shows phantom heads of several sizes to a file's graph, as they are and resized by OpenCV, and to torch resized.

    Torch computes in float32, as the file does.

    Args:
        run: that was exported.
        exported: what came of it.
        images: how many to show.
    """
    same, tested = TorchEngine(run, bfloat16=False), TorchEngine(run, bfloat16=True)
    points_px, resized_px, confidence, confidence_resized, bfloat16_px = [], [], [], [], []
    for image in tqdm(_images(images), total=images, desc="checking", unit="image"):
        size_orig: Size = (image.shape[0], image.shape[1])
        fitted = geometry.fit_image(image, same.size_net, same.fit)
        ours, after_opencv, theirs = exported.find(image[None]), exported.find(fitted[None]), same.find(fitted[None])
        points_net = geometry.apply(geometry.FITS[same.fit](size_orig, same.size_net), ours.points[0].astype(float))
        points_px.append(_furthest(after_opencv.points[0], theirs.points[0]))
        resized_px.append(_furthest(points_net, theirs.points[0]))
        confidence.append(_furthest(after_opencv.confidence.T, theirs.confidence.T))
        confidence_resized.append(_furthest(ours.confidence.T, theirs.confidence.T))
        if run.bfloat16:
            bfloat16_px.append(_furthest(points_net, tested.find(fitted[None]).points[0]))
    return Parity(
        images,
        points_px=max(points_px),
        resized_px=max(resized_px),
        confidence=max(confidence),
        confidence_resized=max(confidence_resized),
        bfloat16_px=max(bfloat16_px, default=math.nan),
        longer_net=max(same.size_net),
    )


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
