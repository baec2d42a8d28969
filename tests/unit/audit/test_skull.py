"""The skull is found where it is, and nowhere where there is none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from fetal_lm.audit.distance import distances_px
from fetal_lm.audit.skull import SkullFinder, axis_points, ellipse_of
from fetal_lm.audit.skull_view import LEAST_EVIDENCE, view_of
from fetal_lm.landmarks import BPD, OFD

SIZE = (300, 460)


def ring(centre: tuple[int, int], radii: tuple[int, int], degrees: float, seed: int = 0) -> np.ndarray:
    """A bright ring on speckle of 460 x 300 px."""
    image = np.random.default_rng(seed).integers(20, 90, SIZE, dtype=np.uint8)
    cv2.ellipse(image, centre, radii, degrees, 0, 360, 200, 9)
    return cv2.GaussianBlur(image, (0, 0), 2)


@pytest.mark.parametrize(
    ("centre", "radii", "degrees"),
    [((150, 130), (100, 80), 20.0), ((330, 160), (70, 52), 100.0), ((230, 150), (130, 110), 160.0)],
)
def test_a_ring_is_found_with_its_place_size_and_turn(centre, radii, degrees) -> None:
    found = SkullFinder(ring(centre, radii, degrees)).find()
    truth = np.array([*centre, *radii, np.radians(degrees)])
    assert min(distances_px(axis_points(found.ellipses[0]), axis_points(truth), SIZE)) < 8
    assert (np.diff(found.evidence) <= 0).all()


@pytest.mark.parametrize("factor", [1, 2])
def test_the_size_and_the_shape_of_the_frame_do_not_matter(factor: int) -> None:
    image = cv2.resize(ring((150, 130), (100, 80), 20.0), None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    truth = np.array([150.0, 130.0, 100.0, 80.0, np.radians(20.0)])
    truth[:2] = (truth[:2] + 0.5) * factor - 0.5
    truth[2:4] *= factor
    upright = np.ascontiguousarray(image.T)
    for found, points in (
        (SkullFinder(image).find(), axis_points(truth)),
        (SkullFinder(upright).find(), axis_points(truth)[:, ::-1]),
    ):
        assert min(distances_px(axis_points(found.ellipses[0]), points, (256, 256))) < 9 * factor
        # Two pixels of the small image that is searched.
        assert found.ellipses[0][:2] == pytest.approx(points.mean(axis=0), abs=2 * 460 / 192 * factor)


def test_the_search_says_the_same_twice() -> None:
    image = ring((150, 130), (100, 80), 20.0)
    first, second = SkullFinder(image).find(), SkullFinder(image).find()
    assert (first.ellipses == second.ellipses).all()


def test_ellipse_and_axis_points_are_inverse() -> None:
    points = axis_points(np.array([150.0, 130.0, 100.0, 80.0, 0.4]))
    assert ellipse_of(points).round(9).tolist() == [150.0, 130.0, 100.0, 80.0, 0.4]
    assert ellipse_of(points[[*BPD, *OFD]]).round(9).tolist() == [150.0, 130.0, 100.0, 80.0, 0.4]


def test_a_label_beside_its_skull_and_away_from_it() -> None:
    image = ring((150, 130), (100, 80), 20.0)
    points = axis_points(np.array([150.0, 130.0, 100.0, 80.0, np.radians(20.0)]))
    view = view_of(image, points)
    assert view is not None
    assert view.distance_px < 6
    assert view.exchange_gain_px < -20
    exchanged = view_of(image, points[[*BPD, *OFD]])
    assert exchanged is not None
    assert exchanged.exchange_gain_px == pytest.approx(-view.exchange_gain_px)
    assert exchanged.distance_px == pytest.approx(view.distance_px)
    away = view_of(image, np.add(points, [90.0, 40.0]))
    assert away is not None
    assert away.distance_px == pytest.approx(np.hypot(90 * 256 / 460, 40 * 256 / 300), abs=8)


@pytest.mark.parametrize("seed", range(3))
def test_noise_shows_no_skull(seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, SIZE, dtype=np.uint8)
    assert SkullFinder(image).find().evidence[0] < LEAST_EVIDENCE
    assert view_of(image, axis_points(np.array([150.0, 130.0, 100.0, 80.0, 0.4]))) is None


def test_a_black_image_and_one_of_few_pixels_show_none() -> None:
    points = axis_points(np.array([5.0, 4.0, 3.0, 2.0, 0.0]))
    for image in (
        np.zeros(SIZE, np.uint8),
        np.zeros((1, 1), np.uint8),
        np.zeros((3, 40), np.uint8),
        np.zeros((9000, 3), np.uint8),
    ):
        assert view_of(image, points) is None
    assert view_of(ring((150, 130), (100, 80), 20.0), np.full((4, 2), np.nan)) is None
