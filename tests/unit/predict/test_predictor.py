"""What the Python call takes, without a network."""

import inspect
from fractions import Fraction

import numpy as np
import pytest

from fetal_lm.errors import InputError
from fetal_lm.predict import predictor
from fetal_lm.predict.calibration import Calibration, Region, Spacing, uniform
from fetal_lm.predict.engine import Found

HEAD = np.array([[10.0, 30.0], [70.0, 30.0], [40.0, 5.0], [40.0, 53.0]], np.float32)
IMAGE = np.zeros((54, 80), np.uint8)
KNOWN = uniform(0.5)


class Seeing:
    """In place of an engine: it finds the same head everywhere."""

    digest, size_net, fit, low_confidence = "a", IMAGE.shape, "squash", 0.25

    def find(self, images):
        return Found(np.stack([HEAD] * len(images)), np.ones((len(images), 4), np.float32))


@pytest.fixture
def measure(monkeypatch):
    """`Predictor.measure` as a caller has it: what a type checker would refuse comes in."""
    monkeypatch.setattr(predictor, "open_engine", lambda *_: Seeing())
    unchecked, opened = inspect.unwrap(predictor.Predictor.measure), predictor.Predictor("model")
    return lambda image, mm_per_px=None: unchecked(opened, image, mm_per_px=mm_per_px)


@pytest.mark.parametrize("image", [None, [[0, 0], [0, 0]], "a.png"])
def test_what_is_no_array_is_said(measure, image):
    with pytest.raises(InputError, match=f"as a numpy array, got {type(image).__name__}"):
        measure(image)


@pytest.mark.parametrize(
    "spacing", ["0.1", True, np.True_, 0, -0.1, float("nan"), float("inf"), [0.1], 1j, 1e-320, 1e-5, 101, 10**400]
)
def test_a_spacing_that_none_can_be_is_said(measure, spacing):
    with pytest.raises(InputError, match=r"mm_per_px: expected a positive number of .* from 0\.0001 to 100, got"):
        measure(IMAGE, spacing)


@pytest.mark.parametrize("spacing", [0.5, np.float32(0.5), np.float64(0.5), np.float16(0.5), Fraction(1, 2)])
def test_any_number_is_a_spacing(measure, spacing):
    assert measure(IMAGE, spacing).ofd_mm == pytest.approx(30)
    assert measure(IMAGE, 2).ofd_mm == pytest.approx(120)
    assert measure(IMAGE, 0.0001).ofd_mm == pytest.approx(0.006)


@pytest.fixture
def measure_batch(monkeypatch):
    monkeypatch.setattr(predictor, "open_engine", lambda *_: Seeing())
    unchecked, opened = inspect.unwrap(predictor.Predictor.measure_batch), predictor.Predictor("model")
    return lambda images, calibrations: unchecked(opened, images, calibrations)


def test_of_no_images_there_are_no_measurements(measure_batch):
    assert measure_batch([], []) == []


def test_a_batch_takes_what_one_call_takes(measure, measure_batch):
    colour = np.dstack([IMAGE] * 3).astype(np.uint16)
    stack = np.stack([IMAGE, IMAGE])
    for images in ([IMAGE, colour], (colour, IMAGE), stack):
        first, second = measure_batch(images, [uniform(0.5), Calibration()])
        assert first.ofd_mm == measure(IMAGE, 0.5).ofd_mm
        assert np.isnan(second.ofd_mm)


@pytest.mark.parametrize(
    ("images", "calibrations", "message"),
    [
        ([IMAGE, IMAGE.astype(float)], [KNOWN] * 2, r"images\[1\]: expected an image of 8 or 16 bits .* got float64"),
        ([IMAGE[0]], [KNOWN], r"images\[0\]: expected an image of shape \[H, W\]"),
        ([IMAGE[:0]], [KNOWN], r"images\[0\]: expected an image of shape .* got \[0, 80\]"),
        ([None], [KNOWN], r"images\[0\]: .* got NoneType"),
        (IMAGE, [KNOWN], r"images\[0\]: expected an image of shape .* got \[80\]"),
        (None, [KNOWN], "images: expected a list, one for each image, got NoneType"),
        ([IMAGE], None, "calibrations: expected a list, .* got NoneType"),
        ([IMAGE], 0.5, "calibrations: expected a list, .* got float"),
        ([IMAGE] * 2, [KNOWN], "calibrations: expected one for each of 2 images, got 1"),
        ([], [KNOWN], "calibrations: expected one for each of 0 images, got 1"),
        ([IMAGE], [0.5], r"calibrations\[0\]: expected a Calibration, got float; make .*uniform"),
        ([IMAGE] * 2, [KNOWN, uniform(0.0)], r"calibrations\[1\]: expected millimetres .*, got 0\.0"),
        ([IMAGE], [Calibration(Spacing(1e-320, 0.1))], r"calibrations\[0\]: .* from 0\.0001 to 100, .* got 1e-320"),
        ([IMAGE], [Calibration(regions=(Region(0, 0, 9, 9, Spacing(0.1, -1.0)),))], r"got -1\.0"),
    ],
)
def test_what_a_batch_cannot_be_of_is_said(measure_batch, images, calibrations, message):
    with pytest.raises(InputError, match=message):
        measure_batch(images, calibrations)


@pytest.mark.parametrize("aspect", [0.5, 1.0, 1.3])
def test_a_network_sees_square_pixels(monkeypatch, aspect):
    class Finding(Seeing):
        """Finds the bounding box of a disc, whose axes are upright."""

        size_net, fit = (128, 192), "letterbox"

        def find(self, images):
            rows, columns = np.nonzero(images[0] > 127)
            left, right, top, bottom = columns.min(), columns.max(), rows.min(), rows.max()
            middle_x, middle_y = (left + right) / 2, (top + bottom) / 2
            points = [[left, middle_y], [right, middle_y], [middle_x, top], [middle_x, bottom]]
            self.seen = (right - left) / (bottom - top)
            return Found(np.array([points], np.float32), np.ones((1, 4), np.float32))

    engine = Finding()
    monkeypatch.setattr(predictor, "open_engine", lambda *_: engine)
    # A disc of 60 mm whose pixels are 0.25 mm wide.
    y, x = np.ogrid[:600, :400]
    disc = ((x - 200) * 0.25) ** 2 + ((y - 300) * 0.25 * aspect) ** 2 <= 30**2
    calibration = Calibration(Spacing(0.25, 0.25 * aspect))
    (head,) = predictor.Predictor("model").measure_batch([disc.astype(np.uint8) * 255], [calibration])
    assert engine.seen == pytest.approx(1.0, abs=0.05)
    assert (head.ofd_mm, head.bpd_mm) == (pytest.approx(60, abs=2.5), pytest.approx(60, abs=2.5))
    assert not any("shape" in flag for flag in head.flags)


def test_a_stretched_image_cannot_show_square_pixels(monkeypatch):
    monkeypatch.setattr(predictor, "open_engine", lambda *_: Seeing())
    for spacing, said in ((Spacing(0.5, 1.0), True), (Spacing(0.5, 0.502), False)):
        (head,) = predictor.Predictor("model").measure_batch([IMAGE], [Calibration(spacing)])
        assert ("lies where pixels are of another shape than they were taken for" in head.flags) is said
