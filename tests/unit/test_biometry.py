from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ellipe

from fetal_lm import biometry

HEAD = np.array([[10.0, 30.0], [70.0, 20.0], [38.0, 5.0], [42.0, 45.0]])

as_numpy_and_torch = pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])


@as_numpy_and_torch
def test_diameters_are_the_distances_within_each_pair(convert):
    points = convert(np.stack([HEAD, HEAD * 2]))
    for function, expected in ((biometry.ofd, math.hypot(60, 10)), (biometry.bpd, math.hypot(4, 40))):
        lengths = function(points)
        assert type(lengths) is type(points)
        np.testing.assert_allclose(np.asarray(lengths), [expected, 2 * expected])


@given(st.floats(1, 400), st.floats(0.5, 1.0))
def test_circumference_agrees_with_the_elliptic_integral(ofd_mm, ratio):
    exact = 2 * ofd_mm * ellipe(1 - ratio**2)
    bpd_mm = np.array(ofd_mm * ratio)
    assert biometry.head_circumference(bpd_mm, np.array(ofd_mm)).item() == pytest.approx(exact, rel=1e-8)


@as_numpy_and_torch
def test_a_head_without_extent_has_no_circumference_and_a_line_twice_its_length(convert):
    hc = biometry.head_circumference(convert(np.array([0.0, 0.0])), convert(np.array([0.0, 10.0])))
    np.testing.assert_allclose(np.asarray(hc), [0, 20], atol=0.01)


@as_numpy_and_torch
def test_a_known_spacing_scales_and_an_unknown_one_gives_nan(convert):
    points, mm_per_px = convert(np.stack([HEAD, HEAD])), convert(np.array([0.2, np.nan]))
    in_px, in_mm = biometry.diameters(points), biometry.diameters(points, mm_per_px)
    assert list(in_mm) == ["bpd", "ofd", "hc"]
    for name, values in in_mm.items():
        assert values[0].item() == pytest.approx(0.2 * in_px[name][0].item())
        assert math.isnan(values[1].item())


@as_numpy_and_torch
def test_nan_in_one_pair_leaves_the_other(convert):
    points = HEAD.copy()
    points[2] = np.nan
    lengths = biometry.diameters(convert(points))
    assert math.isnan(lengths["bpd"].item())
    assert math.isnan(lengths["hc"].item())
    assert lengths["ofd"].item() == pytest.approx(math.hypot(60, 10))


@as_numpy_and_torch
def test_gestational_age_is_hadlocks_polynomial_in_centimetres(convert):
    # By hand, HC 25 cm: 8.96 + 13.5 + 0.0003 * 15625 = 27.1475.
    weeks = biometry.gestational_age_weeks(convert(np.array([100.0, 175.0, 250.0, 300.0, 345.0])))
    np.testing.assert_allclose(np.asarray(weeks), [14.66, 20.02, 27.15, 33.26, 39.91], atol=0.01)


@as_numpy_and_torch
def test_gestational_age_is_unknown_outside_the_fetuses_it_was_fitted_to(convert):
    # 14 weeks are HC 90.1 mm, 42 weeks 358.3 mm.
    weeks = np.asarray(biometry.gestational_age_weeks(convert(np.array([44.0, 89.0, 91.0, 357.0, 360.0, np.nan]))))
    assert np.isnan(weeks).tolist() == [True, True, False, False, True, True]


@pytest.mark.parametrize("number", [float, int, np.float64, np.float32])
def test_plain_numbers_are_measured_too(number):
    hc_mm = biometry.head_circumference(number(80), number(100))
    assert hc_mm == pytest.approx(biometry.head_circumference(np.array([80.0]), np.array([100.0])).item())
    assert biometry.cephalic_index(number(80), number(100)) == pytest.approx(0.8)
    assert biometry.gestational_age_weeks(number(250)) == pytest.approx(27.1475)
    assert all(math.isnan(biometry.gestational_age_weeks(number(outside))) for outside in (80, 360))
    assert math.isnan(biometry.gestational_age_weeks(math.nan))


@as_numpy_and_torch
def test_cephalic_index_has_no_unit(convert):
    lengths = biometry.diameters(convert(HEAD), 0.2)
    expected = math.hypot(4, 40) / math.hypot(60, 10)
    assert biometry.cephalic_index(lengths["bpd"], lengths["ofd"]).item() == pytest.approx(expected)
