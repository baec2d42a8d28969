import pytest
import torch

from fetal_lm.codecs.gaussian import GaussianCodec

SIZE_NET = (192, 256)  # Not square: a swapped x and y must fail.
HEAD = torch.tensor([[40.3, 100.1], [200.7, 90.2], [120.4, 40.6], [121.8, 150.9]])

ONE_BY_ONE = GaussianCodec(sigma_px=5.0)
JOINT = GaussianCodec(sigma_px=5.0, joint=True)


def encoded(points, stride=4):
    return ONE_BY_ONE.encode(points, size_net=SIZE_NET, stride=stride)


def assert_same_ends(decoded, head, tolerance=0.02):
    for pair in (slice(0, 2), slice(2, 4)):
        distance = torch.cdist(decoded[pair], head[pair]).min(dim=0).values
        assert distance.max() <= tolerance


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("decoder", ["dark", "local_soft_argmax", "argmax"])
def test_clear_peaks_are_not_moved(decoder, stride):
    codec = GaussianCodec(sigma_px=5.0, decoder=decoder, joint=True)
    tolerance = stride if decoder == "argmax" else 0.02
    assert_same_ends(codec.decode(encoded(HEAD, stride), stride=stride), HEAD, tolerance)


def test_a_peak_between_four_pixels_is_one_candidate():
    head = torch.tensor([[21.5, 101.5], [197.5, 101.5], [109.5, 41.5], [109.5, 161.5]])  # (x + 0.5) / 4 is whole.
    assert_same_ends(JOINT.decode(encoded(head), stride=4), head)


def test_ends_are_found_whichever_map_of_the_pair_they_are_in():
    ofd_1, ofd_2, bpd_1, bpd_2 = encoded(HEAD)
    mixed = torch.stack(
        [
            0.6 * ofd_1 + 0.4 * ofd_2,
            0.55 * ofd_1 + 0.45 * ofd_2,
            0.2 * bpd_1 + 0.8 * bpd_2,
            0.4 * bpd_1 + 0.6 * bpd_2,
        ]
    )
    alone = ONE_BY_ONE.decode(mixed, stride=4)
    assert (alone[0] - alone[1]).abs().max() < 0.1
    assert_same_ends(JOINT.decode(mixed, stride=4), HEAD)


def test_of_two_peaks_the_one_opposite_the_other_diameter_is_taken():
    # A bright arc outside the head is a higher peak than the head's far end, but no head has its diameters so.
    arc = encoded(torch.tensor([[230.0, 20.0]]))[0]
    ofd_1, ofd_2, bpd_1, bpd_2 = encoded(HEAD)
    distracted = torch.stack([ofd_1, 0.7 * ofd_2 + 0.9 * arc, bpd_1, bpd_2])
    alone = ONE_BY_ONE.decode(distracted, stride=4)
    assert (alone[1] - torch.tensor([230.0, 20.0])).abs().max() < 0.1
    assert_same_ends(JOINT.decode(distracted, stride=4), HEAD)


def test_batches_are_decoded_image_by_image():
    heads = torch.stack([HEAD, HEAD + 10.0, HEAD - 7.5])
    together = JOINT.decode(encoded(heads), stride=4)
    alone = torch.stack([JOINT.decode(encoded(head), stride=4) for head in heads])
    assert torch.equal(together, alone)


def test_an_end_without_a_peak_is_undecoded_and_the_others_stand():
    heatmaps = encoded(HEAD)
    heatmaps[1] = 0.0
    decoded = JOINT.decode(heatmaps, stride=4)
    assert decoded.isnan().any(-1).tolist().count(True) == 1
    assert_same_ends(decoded[2:].repeat(2, 1), HEAD[2:].repeat(2, 1))
    assert (decoded[:2][~decoded[:2].isnan().any(-1)] - HEAD[0]).abs().max() <= 0.02


@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_maps_without_any_peak_are_undecoded(value):
    decoded = JOINT.decode(torch.full((1, 4, 48, 64), value), stride=4)
    assert decoded.shape == (1, 4, 2)
    assert decoded.isnan().all()
