"""Figures of four points, and how they make a suspicion."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from fetal_lm.audit.shape import Shape, shape_of
from fetal_lm.audit.suspicion import Measured, log_odds, suspicion
from fetal_lm.biometry import bpd, head_circumference, ofd

GENERATOR = np.random.default_rng(3)
PERFECT = Measured(Shape(200.0, 160.0, 0.0, 0.0, 0.8, 567.0), outside=0.0, hc_mm=170.0, off_skull_px=0.0)


CENTRE = np.array([300.0, 170.0])


def head(turn: float = 0.3) -> np.ndarray:
    """Diameters of 200 and 160 px that bisect each other at right angles."""
    return np.concatenate([diameter(200, turn), diameter(160, turn + math.pi / 2)])


def diameter(length: float, turn: float) -> np.ndarray:
    half = length / 2 * np.array([math.cos(turn), math.sin(turn)])
    return np.stack([CENTRE - half, CENTRE + half])


@pytest.mark.parametrize("turn", np.linspace(0, math.pi, 7))
def test_an_ellipse_has_no_fault_however_it_lies(turn: float) -> None:
    shape = shape_of(head(turn))
    assert shape.apart == pytest.approx(0, abs=1e-12)
    assert shape.skew_degrees == pytest.approx(0, abs=1e-5)
    assert shape.index == pytest.approx(0.8)


def test_lengths_agree_with_biometry_and_ends_and_names_do_not_matter() -> None:
    for _ in range(20):
        points = GENERATOR.uniform([0, 0], [800, 540], (4, 2))
        shape = shape_of(points)
        assert shape.ofd_px == pytest.approx(ofd(points).item())
        assert shape.bpd_px == pytest.approx(bpd(points).item())
        assert shape.hc_px == pytest.approx(head_circumference(bpd(points), ofd(points)).item())
        for order in ([1, 0, 2, 3], [0, 1, 3, 2], [2, 3, 0, 1]):
            other = shape_of(points[order])
            for figure in ("apart", "skew_degrees", "index", "hc_px"):
                assert getattr(other, figure) == pytest.approx(getattr(shape, figure))


def test_figures_are_what_was_done_to_an_ellipse() -> None:
    points = head(0.0)
    points[2:] += [18.0, 0.0]
    assert shape_of(points).apart == pytest.approx(18 / 180)
    skewed = np.concatenate([diameter(200, 0.0), diameter(160, math.radians(60))])
    assert shape_of(skewed).skew_degrees == pytest.approx(30)


@pytest.mark.parametrize(("end", "value"), [(0, np.nan), (slice(2), 5.0)], ids=["missing", "no length"])
def test_without_two_diameters_a_row_is_as_suspect_as_can_be(end: int | slice, value: float) -> None:
    points = head()
    points[end] = value
    shape = shape_of(points)
    assert math.isnan(shape.apart)
    assert suspicion(Measured(shape)) == 1.0


@pytest.mark.parametrize(
    ("figure", "values"),
    [
        ("apart", [0.0, 0.05, 0.2, 3.0, 1e6]),
        ("skew_degrees", [0.0, 5.0, 30.0, 90.0]),
        ("index", [0.7, 0.6, 0.3, 0.01]),
        ("outside", [0.0, 0.1, 1.0, 100.0]),
        ("hc_mm", [170.0, 430.0, 900.0, 1e5]),
        ("hc_mm", [170.0, 30.0, 10.0, 0.1]),
        ("off_skull_px", [0.0, 10.0, 30.0, 150.0]),
        ("disagreement_px", [0.0, 10.0, 30.0, 150.0]),
    ],
)
def test_suspicion_grows_with_every_fault_and_stays_between_0_and_1(figure: str, values: list[float]) -> None:
    def with_value(value: float) -> Measured:
        if hasattr(PERFECT, figure):
            return replace(PERFECT, **{figure: value})
        return replace(PERFECT, shape=replace(PERFECT.shape, **{figure: value}))

    odds = [log_odds(with_value(value)) for value in values]
    assert odds == sorted(set(odds))
    shares = [suspicion(with_value(value)) for value in values]
    assert shares == sorted(shares)
    assert 0 <= shares[0] < 0.1
    assert 0.5 < shares[-1] <= 1


def test_what_is_unknown_adds_nothing() -> None:
    assert suspicion(Measured(PERFECT.shape)) == suspicion(PERFECT)
