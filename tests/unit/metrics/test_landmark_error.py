import math

import pytest
import torch

from fetal_lm import landmarks
from fetal_lm.metrics.landmark_error import BiometryError, LandmarkError, radial_errors

TRUTH = torch.tensor([[[20.0, 40.0], [100.0, 40.0], [60.0, 10.0], [60.0, 70.0]]])
SIZE = (96, 128)


def test_errors_do_not_depend_on_which_end_is_called_1():
    predicted = TRUTH + torch.tensor([3.0, 4.0])
    assert radial_errors(predicted, TRUTH, SIZE).tolist() == [[5.0] * 4]
    assert radial_errors(landmarks.half_turn(predicted), TRUTH, SIZE).tolist() == [[5.0] * 4]


def test_swapping_one_pair_alone_is_an_error():
    predicted = TRUTH[:, list(landmarks.HORIZONTAL_FLIP)]
    assert radial_errors(predicted, TRUTH, SIZE).sum() > 100


def test_an_undecoded_landmark_costs_the_most_it_could():
    predicted = TRUTH.clone()
    predicted[0, 1] = math.nan
    errors = radial_errors(predicted, TRUTH, SIZE)[0]
    # From (100, 40) the farthest corner of 128 x 96 is the bottom left one, (-0.5, 95.5).
    assert errors.tolist() == pytest.approx([0, math.hypot(100.5, 55.5), 0, 0])


def test_landmark_error_over_batches():
    metric = LandmarkError(size_net=SIZE)
    metric.update(TRUTH + 3.0, TRUTH)
    missing = TRUTH.clone()
    missing[0, :] = math.nan
    metric.update(missing, TRUTH)
    values = metric.compute()
    assert values["undecoded_rate"] == 0.5
    far = radial_errors(missing, TRUTH, SIZE)
    assert values["mre_px"] == pytest.approx((far.sum().item() + 4 * math.hypot(3, 3)) / 8)


def test_biometry_error_by_hand():
    metric = BiometryError()
    predicted = TRUTH.clone()
    predicted[0, 0, 0] -= 4  # OFD 84 instead of 80 px.
    spacing = torch.tensor([0.5, math.nan])
    metric.update(predicted.expand(2, 4, 2), TRUTH.expand(2, 4, 2), spacing)
    values = metric.compute()
    assert values["ofd_mae_mm"] == pytest.approx(2.0)
    assert values["bpd_mae_mm"] == 0
    # To first order the circumference grows by pi / 2 times the change of one axis.
    assert values["hc_mae_mm"] == pytest.approx(math.pi / 2 * 2.0, rel=0.1)


def test_an_undecoded_diameter_costs_its_length():
    metric = BiometryError()
    metric.update(torch.full_like(TRUTH, math.nan), TRUTH, torch.tensor([0.5]))
    assert metric.compute()["bpd_mae_mm"] == pytest.approx(30.0)


def test_unknown_spacings_alone_give_nan():
    metric = BiometryError()
    metric.update(TRUTH, TRUTH, torch.tensor([math.nan]))
    assert metric.compute()["bpd_mae_mm"].isnan()
