"""Arrays in, measurements out: the Python call behind `fetal-lm predict`."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from fetal_lm import geometry
from fetal_lm.data.images import grey_of
from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import LARGEST_MM, SMALLEST_MM, Calibration, may_be, uniform
from fetal_lm.predict.engine import open_engine
from fetal_lm.predict.measurement import Measurement, brightness_of, measurement_of

_OPENCV: Final = threading.Lock()


class Predictor:
    """Measures fetal heads in ultrasound images, on the CPU.

    Args:
        model: folder of a finished run (`python run.py` makes one and prints where), a checkpoint in it, or a file that
            `fetal-lm export` wrote, for which torch is not imported. Without it the weights that come with the package,
            trained on HC18.
        engine: `torch` or `onnx`; without it, what the model is for.

    Raises:
        InputError: the model holds no finished run or is damaged, or it is not for this engine.

    Example:
        from fetal_lm import Predictor

        predictor = Predictor()
        head = predictor.measure(image, mm_per_px=0.12)  # uint8 or uint16, [H, W] or [H, W, 3 or 4]
        print(head.bpd_mm, head.ofd_mm, head.flags)
    """

    def __init__(self, model: str | Path | None = None, *, engine: str | None = None) -> None:
        self._engine = open_engine(model, engine)
        self.digest = self._engine.digest
        """SHA-256 of the file that the weights came from."""

    def measure(self, image: np.ndarray, *, mm_per_px: float | None = None) -> Measurement:
        """Measures the head in one image.

        Args:
            image: 8 or 16 bits per channel, unsigned; `[H, W]`, or `[H, W, C]` with 1 (grey), 3 or 4 (red, green, blue,
                transparency) channels.
            mm_per_px: pixel spacing; without it millimetres are NaN.

        Raises:
            InputError: the image is no array or of another shape or type, or the spacing is no number that one may
                be (`calibration.may_be`).
        """
        return self._measure([grey_of(image)], [uniform(_checked_spacing(mm_per_px))])[0]

    def measure_batch(self, images: Sequence[np.ndarray], calibrations: Sequence[Calibration]) -> list[Measurement]:
        """Measures images of any sizes in one pass of the network.

        Args:
            images: each as `measure` takes it.
            calibrations: of each; of a number of millimetres per pixel, or of NaN, `calibration.uniform` makes one.

        Returns:
            A measurement of each; of no images, none.

        Raises:
            InputError: an image or a spacing is none that `measure` takes, there is not a calibration for each image,
                or one is none.
        """
        greys = [_grey(number, image) for number, image in enumerate(_listed("images", images))]
        given = _listed("calibrations", calibrations)
        if len(given) != len(greys):
            raise InputError(
                f"calibrations: expected one for each of {len(greys)} images, got {len(given)}; where a spacing is not "
                "known, give Calibration()"
            )
        for number, calibration in enumerate(given):
            _check_calibration(number, calibration)
        return self._measure(greys, given)

    def _measure(
        self, images: Sequence[UInt8[np.ndarray, "_ _"]], calibrations: Sequence[Calibration]
    ) -> list[Measurement]:
        if not images:
            return []
        size_net, fit = self._engine.size_net, self._engine.fit
        with _one_opencv_thread():
            fitted = np.stack(
                [
                    geometry.fit_image(image, size_net, fit, calibration.aspect)
                    for image, calibration in zip(images, calibrations, strict=True)
                ]
            )
        found = self._engine.find(fitted)
        return [
            self._measurement(points_net, sure, calibration, image)
            for points_net, sure, calibration, image in zip(*found, calibrations, images, strict=True)
        ]

    def _measurement(
        self,
        points_net: Float32[np.ndarray, "4 2"],
        sure: Float32[np.ndarray, "4"],
        calibration: Calibration,
        image: UInt8[np.ndarray, "_ _"],
    ) -> Measurement:
        size_orig = (image.shape[0], image.shape[1])
        # Where axes are at right angles can be seen in square pixels alone.
        aspect = calibration.aspect
        to_orig = geometry.inverse(geometry.FITS[self._engine.fit](size_orig, self._engine.size_net, aspect))
        points_orig = geometry.apply(to_orig, points_net.astype(np.float64))
        return measurement_of(
            points_orig,
            sure.astype(np.float64),
            spacing=calibration.at(points_orig),
            doubts=calibration.doubts_at(points_orig, aspect if self._engine.fit == "letterbox" else 1.0),
            size_orig=size_orig,
            brightness=brightness_of(image),
            low_confidence=self._engine.low_confidence,
        )


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """OpenCV's other threads wait for more to do after a resize, on cores that the network needs by then.

    How many there are is the whole process's matter: no two may change it at once.
    """
    with _OPENCV:
        before = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield
        finally:
            cv2.setNumThreads(before)


def _checked_spacing(mm_per_px: Any) -> float:
    if mm_per_px is None:
        return math.nan
    if not may_be(mm_per_px):
        raise InputError(
            f"mm_per_px: expected a positive number of millimetres per pixel from {SMALLEST_MM:g} to {LARGEST_MM:g}, "
            f"got {mm_per_px!r}; leave it out where it is not known"
        )
    return float(mm_per_px)


def _listed(name: str, given: Any) -> list[Any]:
    try:
        return list(given)
    except TypeError as error:
        raise InputError(f"{name}: expected a list, one for each image, got {type(given).__name__}") from error


def _grey(number: int, image: Any) -> UInt8[np.ndarray, "H W"]:
    try:
        return grey_of(image)
    except InputError as error:
        raise InputError(f"images[{number}]: {error}") from error


def _check_calibration(number: int, calibration: Any) -> None:
    if not isinstance(calibration, Calibration):
        raise InputError(
            f"calibrations[{number}]: expected a Calibration, got {type(calibration).__name__}; make one of a number "
            "of millimetres per pixel with fetal_lm.predict.calibration.uniform"
        )
    for spacing in (calibration.whole, *(region.spacing for region in calibration.regions)):
        for mm_per_px in spacing:
            # NaN alone is not equal to itself.
            if not (may_be(mm_per_px) or mm_per_px != mm_per_px):
                raise InputError(
                    f"calibrations[{number}]: expected millimetres per pixel from {SMALLEST_MM:g} to {LARGEST_MM:g}, "
                    f"or NaN where they are not known, got {mm_per_px!r}"
                )
