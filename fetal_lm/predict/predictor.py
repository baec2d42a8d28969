"""Arrays in, measurements out: the Python call behind `fetal-lm predict`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8

from fetal_lm import geometry
from fetal_lm.codecs.confidence import confidence
from fetal_lm.data.batch import to_original
from fetal_lm.data.images import grey_of
from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import Calibration, uniform
from fetal_lm.predict.measurement import Measurement, measurement_of
from fetal_lm.trained import TrainedRun, load_run


class Predictor:
    """Measures fetal heads in ultrasound images, on the CPU.

    Args:
        model: folder of a finished run (`python run.py` makes one and prints where).

    Raises:
        InputError: no model is given, or the folder holds no finished run or a damaged one.

    Example:
        from fetal_lm import Predictor

        predictor = Predictor("outputs/single_hourglass/2026-01-31_12-00-00")
        head = predictor.measure(image, mm_per_px=0.12)  # uint8 or uint16, [H, W] or [H, W, 3 or 4]
        print(head.bpd_mm, head.ofd_mm, head.flags)
    """

    def __init__(self, model: str | Path | None = None) -> None:
        run = _run(model)
        self.digest = run.digest
        """SHA-256 of the weights' file."""
        self._model = run.model
        height, width = run.cfg.image_size
        self._size_net: geometry.Size = (height, width)
        self._fit: geometry.Fit = run.cfg.data.fit
        self._bfloat16 = run.precision == "bf16-mixed"

    def measure(self, image: np.ndarray, *, mm_per_px: float | None = None) -> Measurement:
        """Measures the head in one image.

        Args:
            image: 8 or 16 bits per channel, unsigned; `[H, W]`, or `[H, W, C]` with 1 (grey), 3 or 4 (red, green, blue,
                transparency) channels.
            mm_per_px: pixel spacing; without it millimetres are NaN.

        Raises:
            InputError: the image is of another shape or type, or the spacing is not positive.
        """
        if mm_per_px is not None and not 0 < mm_per_px < math.inf:
            raise InputError(f"mm_per_px: expected a positive number of millimetres per pixel, got {mm_per_px}")
        spacing = uniform(math.nan if mm_per_px is None else float(mm_per_px))
        return self.measure_batch([grey_of(image)], [spacing])[0]

    def measure_batch(
        self, images: Sequence[UInt8[np.ndarray, "_ _"]], calibrations: Sequence[Calibration]
    ) -> list[Measurement]:
        """Measures grey images of any sizes in one pass of the network.

        Args:
            images: grey, 0 to 255; see `data.images.grey_of` and `read_grey`.
            calibrations: of each.
        """
        sizes: list[geometry.Size] = [(image.shape[0], image.shape[1]) for image in images]
        to_orig = np.stack([geometry.inverse(geometry.FITS[self._fit](size, self._size_net)) for size in sizes])
        points_orig, sure = self._find(
            np.stack([geometry.fit_image(image, self._size_net, self._fit) for image in images]), to_orig
        )
        return [
            measurement_of(points, shares, spacing=calibration.at(points), size_orig=size)
            for points, shares, calibration, size in zip(points_orig, sure, calibrations, sizes, strict=True)
        ]

    def _find(
        self, fitted: UInt8[np.ndarray, "B H W"], to_orig: Float[np.ndarray, "B 2 3"]
    ) -> tuple[Float[np.ndarray, "B 4 2"], Float[np.ndarray, "B 4"]]:
        """Landmarks in original pixels, and the confidence of each."""
        model = self._model
        image = torch.from_numpy(fitted.astype(np.float32) / 255).unsqueeze(1)
        # The arithmetic that the run was tested in.
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=self._bfloat16):
            views = model.views(image, flips=model.test_flips)
            points_net = model.located(views)[model.branches[0]]
            sure = confidence(views.heatmaps, points_net, stride=model.network.stride, sigma_px=model.codec.sigma_px)
        return to_original(points_net, torch.from_numpy(to_orig)).numpy(), sure.double().numpy()


def _run(model: str | Path | None) -> TrainedRun:
    if model is None:
        raise InputError(
            "a model is needed: train one with `python run.py` (it prints its folder), and give that folder as "
            "--model FOLDER, in Python as Predictor(FOLDER)"
        )
    return load_run(Path(model).expanduser())
