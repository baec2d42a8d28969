from __future__ import annotations

import torch

from fetal_lm.codecs.confidence import before_decoding, confidence
from fetal_lm.codecs.gaussian import GaussianCodec

POINTS = torch.tensor([[[20.0, 40.0], [100.0, 44.0], [60.0, 12.0], [58.0, 76.0]]])
CODEC = GaussianCodec(sigma_px=5.0)


def shares(maps, points=POINTS):
    return confidence(maps.unsqueeze(0), points, stride=4, sigma_px=5.0)[0]


def test_sharp_peaks_are_sure_whatever_the_ends_are_called():
    maps = CODEC.encode(POINTS, size_net=(96, 128), stride=4)
    assert (shares(maps) > 0.95).all()
    torch.testing.assert_close(shares(maps), shares(maps[:, [1, 0, 3, 2]]))
    # Both ends in both maps, as a swap-invariant loss leaves them.
    both = torch.stack([maps[:, :2].sum(1), maps[:, :2].sum(1), maps[:, 2], maps[:, 3]], dim=1)
    torch.testing.assert_close(shares(both), shares(maps), atol=0.02, rtol=0)


def test_mass_elsewhere_and_points_elsewhere_lower_it():
    maps = CODEC.encode(POINTS, size_net=(96, 128), stride=4)
    spread = maps.clone()
    spread[:, 1] = 0.5
    assert shares(spread)[1] < 0.2
    moved = POINTS + torch.tensor([[[0.0, 40.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    assert shares(maps, moved)[0] == 0.0
    assert (shares(maps, moved)[2:] > 0.95).all()


def test_what_was_not_found_is_unknown():
    maps = CODEC.encode(POINTS, size_net=(96, 128), stride=4)
    maps[:, 2:] = 0.0
    points = POINTS.clone()
    points[:, 0] = torch.nan
    assert shares(maps, points).isnan().tolist() == [True, False, True, True]


def test_before_decoding_the_worst_map_counts():
    maps = CODEC.encode(POINTS, size_net=(96, 128), stride=4).repeat(3, 1, 1, 1)
    maps[1, 3] = 0.5
    maps[2, 2:] = 0.0
    least = before_decoding(maps, stride=4, sigma_px=CODEC.sigma_px)
    assert least[0] > 0.95
    assert least[1] < 0.2
    assert least[2].isnan()
