import math

import pytest
import torch

from fetal_lm.codecs.gaussian import GaussianCodec

SIZE_NET = (192, 256)  # Not square: a swapped x and y must fail.


def points_net(count: int, margin: float, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    span = torch.tensor([SIZE_NET[1], SIZE_NET[0]]) - 1 - 2 * margin
    return margin + torch.rand(count, 4, 2, generator=generator) * span


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("sigma_px", [6.0, 8.0])
@pytest.mark.parametrize(("decoder", "margin_sigmas"), [("dark", 0), ("local_soft_argmax", 4)])
def test_round_trip_is_exact_and_unbiased(stride, sigma_px, decoder, margin_sigmas):
    codec = GaussianCodec(sigma_px=sigma_px, decoder=decoder)
    truth = points_net(64, margin_sigmas * sigma_px + stride)
    error = codec.decode(codec.encode(truth, size_net=SIZE_NET, stride=stride), stride=stride) - truth
    assert error.abs().max() <= 0.02
    assert error.mean(dim=(0, 1)).abs().max() <= 0.002


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_argmax_is_within_half_a_heatmap_pixel(stride):
    codec = GaussianCodec(sigma_px=8.0, decoder="argmax")
    truth = points_net(256, 0)
    error = codec.decode(codec.encode(truth, size_net=SIZE_NET, stride=stride), stride=stride) - truth
    assert error.abs().max() <= stride / 2 + 1e-3
    assert error.mean(dim=(0, 1)).abs().max() <= 0.05 * stride


def test_dark_reaches_the_very_edge_of_the_frame():
    codec = GaussianCodec(sigma_px=8.0, decoder="dark")
    corners = torch.tensor([[-0.5, -0.5], [255.5, -0.5], [-0.5, 191.5], [255.5, 191.5]])
    decoded = codec.decode(codec.encode(corners, size_net=SIZE_NET, stride=4), stride=4)
    assert (decoded - corners).abs().max() <= 0.02


def test_dark_ignores_the_scale_of_the_map():
    codec = GaussianCodec(sigma_px=8.0)
    truth = points_net(8, 16)
    heatmaps = codec.encode(truth, size_net=SIZE_NET, stride=4)
    normalised = heatmaps / heatmaps.sum(dim=(-2, -1), keepdim=True)
    assert (codec.decode(normalised, stride=4) - truth).abs().max() <= 0.02


@pytest.mark.parametrize("decoder", ["argmax", "dark", "local_soft_argmax"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_a_map_without_a_peak_decodes_to_nan(decoder, value):
    codec = GaussianCodec(sigma_px=8.0, decoder=decoder)
    good = codec.encode(torch.tensor([[40.0, 30.0]]), size_net=SIZE_NET, stride=4)
    heatmaps = torch.stack([torch.full_like(good, value), good])
    decoded = codec.decode(heatmaps, stride=4)
    assert decoded[0].isnan().all()
    assert decoded[1].isfinite().all()


@pytest.mark.parametrize("decoder", ["argmax", "dark", "local_soft_argmax"])
def test_a_flat_map_decodes_inside_the_frame(decoder):
    codec = GaussianCodec(sigma_px=8.0, decoder=decoder)
    decoded = codec.decode(torch.ones(1, 48, 64), stride=4)
    assert decoded.isfinite().all()
    assert (decoded >= -0.5).all()
    assert (decoded <= torch.tensor([255.5, 191.5])).all()


def test_dark_moves_at_most_its_longest_step_on_noise():
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(200, 48, 64, generator=generator)
    fine = GaussianCodec(sigma_px=8.0, decoder="dark").decode(noise, stride=4)
    coarse = GaussianCodec(sigma_px=8.0, decoder="argmax").decode(noise, stride=4)
    # The longest step, plus one pixel where the peak is on the border and the step starts inside.
    assert (fine - coarse).abs().max() <= 2.5 * 4


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_sigma_is_in_network_pixels_at_every_stride(stride):
    column, row = 30, 20
    centre = (torch.tensor([column, row]) + 0.5) * stride - 0.5
    heatmap = GaussianCodec(sigma_px=8.0).encode(centre, size_net=SIZE_NET, stride=stride)
    assert heatmap[row, column] == pytest.approx(1.0)
    assert heatmap[row, column + 8 // stride] == pytest.approx(math.exp(-0.5), rel=1e-4)
    assert heatmap[row + 8 // stride, column] == pytest.approx(math.exp(-0.5), rel=1e-4)


def test_one_view_is_decoded_as_it_is():
    codec = GaussianCodec(sigma_px=8.0)
    heatmaps = codec.encode(points_net(4, 16), size_net=SIZE_NET, stride=4)
    assert torch.equal(codec.decode_views(heatmaps[None], stride=4), codec.decode(heatmaps, stride=4))


def test_views_agree_on_the_peak_that_all_have():
    codec = GaussianCodec(sigma_px=5.0)
    right, wrong = (codec.encode(torch.tensor(at), size_net=SIZE_NET, stride=4) for at in ([80.0, 60.0], [200.0, 99.0]))
    views = torch.stack([0.4 * right + 0.6 * wrong, 0.01 * right, 0.02 * right])[:, None]
    assert (codec.decode(views[0], stride=4) - torch.tensor([200.0, 99.0])).abs().max() < 0.1
    assert (codec.decode_views(views, stride=4) - torch.tensor([80.0, 60.0])).abs().max() <= 0.02


def test_a_view_without_a_peak_does_not_veto():
    codec = GaussianCodec(sigma_px=5.0)
    heatmap = codec.encode(torch.tensor([80.0, 60.0]), size_net=SIZE_NET, stride=4)
    decoded = codec.decode_views(torch.stack([heatmap, torch.zeros_like(heatmap)])[:, None], stride=4)
    assert (decoded - torch.tensor([80.0, 60.0])).abs().max() <= 0.02
    assert codec.decode_views(torch.zeros(2, 1, 48, 64), stride=4).isnan().all()


def test_a_point_that_is_nan_encodes_to_zeros():
    heatmap = GaussianCodec(sigma_px=8.0).encode(torch.tensor([math.nan, 3.0]), size_net=SIZE_NET, stride=4)
    assert heatmap.shape == (48, 64)
    assert (heatmap == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma_px": 0.0}, "sigma_px"),
        ({"sigma_px": 8.0, "decoder": "peak"}, "dark"),
    ],
)
def test_bad_options_say_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        GaussianCodec(**options)
