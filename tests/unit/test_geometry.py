from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fetal_lm import geometry

FITS = sorted(geometry.FITS)
sizes = st.tuples(st.integers(8, 900), st.integers(8, 900))

every_fit = pytest.mark.parametrize("fit", FITS)


def corners(size):
    """Corners of the frame: where its outermost pixels end."""
    height, width = size
    return np.array([[-0.5, -0.5], [width - 0.5, -0.5], [-0.5, height - 0.5], [width - 0.5, height - 0.5]])


def centroid(image):
    rows, columns = np.indices(image.shape)
    weight = image / image.sum(dtype=np.float64)
    return np.array([(weight * columns).sum(), (weight * rows).sum()])


def blob(size, at, sigma):
    rows, columns = np.indices(size)
    return np.rint(255 * np.exp(-((columns - at[0]) ** 2 + (rows - at[1]) ** 2) / (2 * sigma**2))).astype(np.uint8)


@given(sizes, sizes, st.sampled_from(FITS), st.integers(0, 2**32 - 1))
def test_there_and_back_is_exact(size_orig, size_net, fit, seed):
    points = np.random.default_rng(seed).uniform(-50, 950, (4, 2))
    matrix = geometry.FITS[fit](size_orig, size_net)
    back = geometry.apply(geometry.inverse(matrix), geometry.apply(matrix, points))
    assert np.abs(back - points).max() < 1e-3


@given(sizes, sizes)
def test_squash_maps_the_frame_onto_the_frame(size_orig, size_net):
    mapped = geometry.apply(geometry.squash(size_orig, size_net), corners(size_orig))
    np.testing.assert_allclose(mapped, corners(size_net), atol=1e-9)


@given(sizes, sizes)
def test_letterbox_stays_inside_touches_one_side_and_keeps_the_aspect(size_orig, size_net):
    matrix = geometry.letterbox(size_orig, size_net)
    mapped = geometry.apply(matrix, corners(size_orig))
    low, high = mapped[0], mapped[3]
    frame = corners(size_net)
    assert (low >= frame[0] - 1e-9).all()
    assert (high <= frame[3] + 1e-9).all()
    assert np.isclose(high - low, size_net[::-1]).any()
    wanted = min(net / orig for net, orig in zip(size_net, size_orig, strict=True))
    for scale, orig in zip((matrix[0, 0], matrix[1, 1]), size_orig[::-1], strict=True):
        assert abs(scale - wanted) * orig <= max(0.5, 1 - wanted * orig) + 1e-9


@every_fit
@pytest.mark.parametrize(
    ("size_orig", "size_net"),
    [((540, 800), (256, 256)), ((540, 800), (256, 384)), ((54, 80), (96, 128)), ((541, 783), (128, 200))],
)
def test_the_map_agrees_with_what_the_resize_does_to_a_blob(fit, size_orig, size_net):
    height, width = size_orig
    for share in ((0.3, 0.4), (0.62, 0.55), (0.7, 0.31)):
        at = np.array([share[0] * width + 0.37, share[1] * height + 0.81])
        image = blob(size_orig, at, sigma=height / 30)
        matrix = geometry.FITS[fit](size_orig, size_net)
        resized = geometry.fit_image(image, size_net, fit)
        assert resized.shape == size_net
        assert resized.dtype == np.uint8
        wanted = geometry.apply(matrix, centroid(image)[None])[0]
        assert np.abs(centroid(resized) - wanted).max() < 0.02


@every_fit
def test_a_map_about_the_corner_pixel_would_be_noticed(fit):
    """The guard above: without the half pixel, the centroid is off by (1 - scale) / 2 = 0.34 px."""
    matrix = geometry.FITS[fit]((540, 800), (256, 256))
    careless = np.array([[matrix[0, 0], 0.0, matrix[0, 2]], [0.0, matrix[1, 1], matrix[1, 2]]])
    careless[:, 2] -= 0.5 * np.diag(matrix) - 0.5
    resized = geometry.fit_image(blob((540, 800), (300.4, 200.8), 18), (256, 256), fit)
    assert np.abs(centroid(resized) - geometry.apply(careless, np.array([[300.4, 200.8]]))[0]).max() > 0.2


def test_fit_image_agrees_with_cv2_at_squash():
    image = np.random.default_rng(0).integers(0, 256, (54, 80), dtype=np.uint8)
    expected = cv2.resize(image, (32, 24), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(geometry.fit_image(image, (24, 32), "squash"), expected)


def test_letterbox_leaves_black_above_and_below_a_wide_image():
    fitted = geometry.fit_image(np.full((54, 80), 200, np.uint8), (64, 64), "letterbox")
    assert fitted[:10].max() == 0
    assert fitted[-10:].max() == 0
    assert (fitted[11:53] == 200).all()


def test_nan_stays_nan_and_the_others_are_exact():
    points = np.array([[np.nan, np.nan], [40.0, 27.0]])
    moved = geometry.apply(geometry.squash((54, 80), (27, 40)), points)
    assert np.isnan(moved[0]).all()
    np.testing.assert_allclose(moved[1], [19.75, 13.25])


def test_a_singular_map_has_no_inverse():
    with pytest.raises(np.linalg.LinAlgError):
        geometry.inverse(np.zeros((2, 3)))
