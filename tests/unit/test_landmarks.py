from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fetal_lm import landmarks

WIDTH, HEIGHT = 80, 54
HEAD = np.array([[10.0, 30.0], [70.0, 20.0], [38.0, 5.0], [42.0, 45.0]])
NAN_AT = np.where(np.arange(4)[:, None] == 1, np.nan, 0.0)

as_numpy_and_torch = pytest.mark.parametrize("convert", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])


@st.composite
def heads(draw):
    """Ends of the axes of an ellipse at any angle but the vertical, in canonical order."""
    angle = np.radians(draw(st.floats(-89, 89)))
    long, ratio = draw(st.floats(5, 300)), draw(st.floats(0.2, 0.95))
    centre = np.array([draw(st.floats(0, 800)), draw(st.floats(0, 540))])
    along = long * np.array([np.cos(angle), np.sin(angle)])
    across = long * ratio * np.array([-np.sin(angle), np.cos(angle)])
    return np.stack([centre - along, centre + along, centre - across, centre + across])


def mirrored(points, flip):
    """Where a flip of an 80 x 54 image puts the landmarks, renamed as the flip's rule says."""
    width, height = (WIDTH, None) if flip is landmarks.HORIZONTAL_FLIP else (None, HEIGHT)
    moved = points.copy()
    if width:
        moved[:, 0] = width - 1 - moved[:, 0]
    if height:
        moved[:, 1] = height - 1 - moved[:, 1]
    return moved[list(flip)]


@as_numpy_and_torch
def test_canonical_order_puts_ofd_1_left_and_bpd_1_above(convert):
    both_reversed = HEAD[[1, 0, 3, 2]]
    batch = convert(np.stack([HEAD, both_reversed, HEAD[[1, 0, 2, 3]], HEAD[[0, 1, 3, 2]]]))
    ordered = landmarks.canonical_order(batch)
    assert type(ordered) is type(batch)
    for head in np.asarray(ordered):
        np.testing.assert_array_equal(head, HEAD)


@given(heads())
def test_axis_ends_of_a_tilted_head_are_canonical_whatever_their_names_were(head):
    for permutation in ([0, 1, 2, 3], [1, 0, 2, 3], [0, 1, 3, 2], [1, 0, 3, 2]):
        np.testing.assert_array_equal(landmarks.canonical_order(head[permutation]), head)


@given(arrays(np.float64, (3, 4, 2), elements=st.floats(-1e3, 1e3)))
def test_canonical_order_twice_is_once(points):
    once = landmarks.canonical_order(points)
    np.testing.assert_array_equal(landmarks.canonical_order(once), once)


@given(heads())
@pytest.mark.parametrize("flip", [landmarks.HORIZONTAL_FLIP, landmarks.VERTICAL_FLIP])
def test_a_flip_renames_canonical_points_to_canonical_points(flip, head):
    flipped = mirrored(head, flip)
    np.testing.assert_array_equal(landmarks.canonical_order(flipped), flipped)
    np.testing.assert_allclose(mirrored(flipped, flip), head, atol=1e-9)


@pytest.mark.parametrize("flip", [landmarks.HORIZONTAL_FLIP, landmarks.VERTICAL_FLIP])
def test_a_flip_without_its_renaming_is_not_canonical(flip):
    unnamed = mirrored(HEAD, flip)[list(flip)]
    assert not np.array_equal(landmarks.canonical_order(unnamed), unnamed)


def test_the_order_jumps_by_a_half_turn_where_the_ofd_passes_the_vertical():
    def at(degrees):
        angle = np.radians(degrees)
        along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
        return landmarks.canonical_order(np.stack([-along, along, -across * 0.8, across * 0.8]))

    before, after = at(89.9), at(90.1)
    assert np.abs(before - after).max() > 1
    assert np.abs(before - landmarks.half_turn(after)).max() < 0.01
    assert np.abs(landmarks.matched_order(before, after) - after).max() < 0.01


def test_an_exactly_vertical_ofd_begins_at_its_upper_end():
    vertical = np.array([[4.0, 9.0], [4.0, 0.0], [1.0, 5.0], [8.0, 5.0]])
    ordered = landmarks.canonical_order(vertical)
    assert ordered[0].tolist() == [4.0, 0.0]
    # Left of somebody who walks down the screen is the right of the screen.
    assert ordered[2].tolist() == [8.0, 5.0]


@as_numpy_and_torch
def test_a_pair_with_nan_keeps_its_order(convert):
    reversed_head = HEAD[[1, 0, 3, 2]]
    ofd_unknown, bpd_unknown = reversed_head.copy(), reversed_head.copy()
    ofd_unknown[0], bpd_unknown[3] = np.nan, np.nan
    ordered = np.asarray(landmarks.canonical_order(convert(np.stack([ofd_unknown, bpd_unknown]))))
    np.testing.assert_array_equal(ordered[0], ofd_unknown)
    np.testing.assert_array_equal(ordered[1], bpd_unknown[[1, 0, 2, 3]])


@as_numpy_and_torch
def test_half_turn_swaps_both_pairs_and_undoes_itself(convert):
    points = convert(HEAD)
    turned = landmarks.half_turn(points)
    np.testing.assert_array_equal(np.asarray(turned), HEAD[[1, 0, 3, 2]])
    np.testing.assert_array_equal(np.asarray(landmarks.half_turn(turned)), HEAD)


@as_numpy_and_torch
def test_matched_order_turns_each_head_on_its_own(convert):
    noise = np.random.default_rng(0).normal(scale=3, size=(2, 4, 2))
    truth, predicted = np.stack([HEAD, HEAD]), np.stack([HEAD, landmarks.half_turn(HEAD)]) + noise
    matched = np.asarray(landmarks.matched_order(convert(predicted), convert(truth)))
    np.testing.assert_array_equal(matched[0], predicted[0])
    np.testing.assert_array_equal(matched[1], landmarks.half_turn(predicted[1]))


@as_numpy_and_torch
def test_matched_order_does_not_exchange_one_pair_alone_or_ofd_with_bpd(convert):
    for permutation in ([1, 0, 2, 3], [2, 3, 0, 1]):
        predicted = HEAD[permutation]
        matched = np.asarray(landmarks.matched_order(convert(predicted), convert(HEAD)))
        assert matched.tolist() in (predicted.tolist(), landmarks.half_turn(predicted).tolist())


@as_numpy_and_torch
def test_a_nan_landmark_adds_nothing_to_either_sum(convert):
    turned = landmarks.half_turn(HEAD) + NAN_AT
    np.testing.assert_array_equal(
        np.asarray(landmarks.matched_order(convert(turned), convert(HEAD))), landmarks.half_turn(turned)
    )
    nothing = np.full((4, 2), np.nan)
    np.testing.assert_array_equal(np.asarray(landmarks.matched_order(convert(nothing), convert(HEAD))), nothing)
    np.testing.assert_array_equal(np.asarray(landmarks.matched_order(convert(HEAD), convert(nothing))), HEAD)


@given(heads(), heads())
def test_matched_order_is_never_farther_than_either_order(predicted, truth):
    def error(points):
        return np.linalg.norm(points - truth, axis=-1).sum()

    best = min(error(predicted), error(landmarks.half_turn(predicted)))
    assert error(landmarks.matched_order(predicted, truth)) == pytest.approx(best)
