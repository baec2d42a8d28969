"""What the Python call takes, without a network."""

import inspect
from fractions import Fraction

import numpy as np
import pytest

from fetal_lm.errors import InputError
from fetal_lm.predict import predictor
from fetal_lm.predict.engine import Found

HEAD = np.array([[10.0, 30.0], [70.0, 30.0], [40.0, 5.0], [40.0, 53.0]], np.float32)
IMAGE = np.zeros((54, 80), np.uint8)


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


@pytest.mark.parametrize("spacing", ["0.1", True, np.True_, 0, -0.1, float("nan"), float("inf"), [0.1], 1j])
def test_a_spacing_that_is_no_positive_number_is_said(measure, spacing):
    with pytest.raises(InputError, match="mm_per_px: expected a positive number"):
        measure(IMAGE, spacing)


@pytest.mark.parametrize("spacing", [0.5, np.float32(0.5), np.float64(0.5), Fraction(1, 2)])
def test_any_number_is_a_spacing(measure, spacing):
    assert measure(IMAGE, spacing).ofd_mm == pytest.approx(30)
    assert measure(IMAGE, 2).ofd_mm == pytest.approx(120)


def test_of_no_images_there_are_no_measurements(monkeypatch):
    monkeypatch.setattr(predictor, "open_engine", lambda *_: Seeing())
    assert predictor.Predictor("model").measure_batch([], []) == []
