import math

import pytest
import torch

from fetal_lm import geometry, landmarks
from fetal_lm.codecs.confidence import confidence
from fetal_lm.codecs.gaussian import GaussianCodec
from fetal_lm.codecs.tangent import TangentCodec, tangents

SIZE_ORIG = (800, 540)  # Upright, so that it is squashed to half its height over its width in the network's frame.
SIZE_NET = (192, 256)  # Not square: a swapped x and y must fail.
SQUASH = torch.from_numpy(geometry.squash(SIZE_ORIG, SIZE_NET))


def outlines(count, angles, seed=0):
    """Points of squashed ellipses in network pixels at `angles` [N] of each: count x N x 2, float64."""
    generator = torch.Generator().manual_seed(seed)
    centre, size, direction = torch.rand(3, count, 2, generator=generator, dtype=torch.float64).unbind()
    half_ofd = 150 + 60 * size[:, :1]
    half_bpd = (0.7 + 0.15 * size[:, 1:]) * half_ofd
    turn = direction[:, :1] * 2 * math.pi
    x, y = half_ofd * angles.cos(), half_bpd * angles.sin()
    points_orig = torch.stack([x * turn.cos() - y * turn.sin(), x * turn.sin() + y * turn.cos()], dim=-1)
    points_orig += (torch.tensor([250.0, 380.0]) + 40 * centre).unsqueeze(1)
    return points_orig @ SQUASH[:, :2].T + SQUASH[:, 2]


ENDS = torch.tensor([math.pi, 0.0, -math.pi / 2, math.pi / 2], dtype=torch.float64)


def heads(count, seed=0):
    return outlines(count, ENDS, seed).float()


def anywhere(count, margin_px, seed=0):
    """Four points that make no head, up to the very edge of the frame with a margin of 0."""
    generator = torch.Generator().manual_seed(seed)
    span = torch.tensor([SIZE_NET[1], SIZE_NET[0]]) - 2 * margin_px
    return margin_px - 0.5 + torch.rand(count, 4, 2, generator=generator) * span


def test_the_tangent_is_the_outlines_in_the_squashed_frame():
    step = 1e-4
    along = outlines(64, ENDS + step) - outlines(64, ENDS - step)
    expected = along / torch.linalg.vector_norm(along, dim=-1, keepdim=True)
    found = tangents(heads(64)).double()
    sine = found[..., 0] * expected[..., 1] - found[..., 1] * expected[..., 0]
    assert sine.abs().max() < 1e-5
    # At right angles to the end's own diameter it would be wrong here.
    ofd, bpd = heads(64)[:, 1] - heads(64)[:, 0], heads(64)[:, 3] - heads(64)[:, 2]
    assert torch.nn.functional.cosine_similarity(ofd, bpd).abs().max() > 0.3


def test_a_map_is_as_wide_as_asked_along_the_tangent_and_across_it():
    codec = TangentCodec(sigma_px=3.0, tangent_sigma_px=6.0)
    points_net = heads(8)
    maps = codec.encode(points_net, size_net=SIZE_NET, stride=1).double()
    maps = maps / maps.sum((-2, -1), keepdim=True)
    rows, columns = torch.meshgrid(*(torch.arange(length) for length in SIZE_NET), indexing="ij")
    offset = torch.stack([columns, rows], dim=-1) - points_net.double()[..., None, None, :]
    tangent = tangents(points_net).double()[..., None, None, :]
    normal = torch.stack([-tangent[..., 1], tangent[..., 0]], dim=-1)
    along, across = (offset * tangent).sum(-1), (offset * normal).sum(-1)
    inside = ((points_net > 26) & (points_net < torch.tensor([229.0, 165.0]))).all(-1)
    assert inside.sum() > 16
    for product, expected in ((along**2, 36.0), (across**2, 9.0), (along * across, 0.0)):
        assert ((maps * product).sum((-2, -1))[inside] - expected).abs().max() < 0.05


@pytest.mark.parametrize("stride", [2, 4])
def test_encode_is_that_of_a_direct_loop(stride):
    size_net = (64, 96)
    points_net = heads(2) / torch.tensor([256 / 96, 192 / 64])
    points_net[1, 2] = torch.tensor([40.3, -5.2])  # Outside the frame.
    maps = TangentCodec(sigma_px=5.0, tangent_sigma_px=9.0).encode(points_net, size_net=size_net, stride=stride)
    assert maps.dtype == torch.float32
    assert maps.shape == (2, 4, size_net[0] // stride, size_net[1] // stride)
    for head, maps_of_head in zip(points_net.double(), maps, strict=True):
        for end, own in enumerate(maps_of_head):
            first, second = (2, 3) if end < 2 else (0, 1)
            tangent = (head[second] - head[first]) / torch.dist(head[second], head[first])
            outer = tangent.outer(tangent)
            covariance = 81 * outer + 25 * (torch.eye(2) - outer)
            (a, b), (_, d) = torch.linalg.inv(covariance).tolist()
            for row in range(0, own.shape[0], 3):
                for column in range(own.shape[1]):
                    x, y = (((torch.tensor([column, row]) + 0.5) * stride - 0.5) - head[end]).tolist()
                    expected = math.exp(-(a * x * x + 2 * b * x * y + d * y * y) / 2)
                    assert own[row, column].item() == pytest.approx(expected, abs=2e-5)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_peak_is_1_at_a_pixels_centre(stride):
    points_net = (torch.tensor([[10.0, 20.0], [40.0, 24.0], [22.0, 8.0], [26.0, 40.0]]) + 0.5) * stride - 0.5
    maps = TangentCodec(sigma_px=5.0, tangent_sigma_px=10.0).encode(points_net, size_net=SIZE_NET, stride=stride)
    assert maps.flatten(1).amax(1).tolist() == [1.0] * 4
    assert [maps[0, 20, 10], maps[1, 24, 40], maps[2, 8, 22], maps[3, 40, 26]] == [1.0] * 4


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize(("sigma_px", "tangent_sigma_px"), [(5.0, 10.0), (5.0, 20.0), (8.0, 4.0)])
@pytest.mark.parametrize("joint", [False, True])
def test_round_trip_of_heads_is_exact_and_unbiased(stride, sigma_px, tangent_sigma_px, joint):
    codec = TangentCodec(sigma_px=sigma_px, tangent_sigma_px=tangent_sigma_px, joint=joint)
    truth = landmarks.canonical_order(heads(48))
    decoded = codec.decode(codec.encode(truth, size_net=SIZE_NET, stride=stride), stride=stride)
    error = landmarks.canonical_order(decoded) - truth
    assert error.abs().max() <= 0.05
    assert error.mean(dim=(0, 1)).abs().max() <= 0.005


@pytest.mark.parametrize("tangent_sigma_px", [5.0, 10.0, 20.0, 40.0])
def test_dark_reaches_the_very_edge_of_the_frame(tangent_sigma_px):
    codec = TangentCodec(sigma_px=5.0, tangent_sigma_px=tangent_sigma_px)
    truth = anywhere(256, 0.0)
    edge = torch.tensor([SIZE_NET[1], SIZE_NET[0]]) - 0.5
    truth[:64, :, 0] = -0.5
    truth[64:128, :, 1] = edge[1]
    truth[128:140, 0] = edge
    truth[140:152, 2] = -0.5
    error = codec.decode(codec.encode(truth, size_net=SIZE_NET, stride=4), stride=4) - truth
    assert error.abs().max() <= 0.05


def test_local_soft_argmax_sees_the_whole_peak():
    codec = TangentCodec(sigma_px=5.0, tangent_sigma_px=10.0, decoder="local_soft_argmax")
    truth = anywhere(64, 48.0)
    error = codec.decode(codec.encode(truth, size_net=SIZE_NET, stride=4), stride=4) - truth
    assert error.abs().max() <= 0.05
    assert error.mean(dim=(0, 1)).abs().max() <= 0.005


def test_the_names_of_a_head_do_not_change_its_maps():
    codec = TangentCodec(sigma_px=5.0, tangent_sigma_px=10.0)
    maps = codec.encode(heads(4), size_net=SIZE_NET, stride=4)
    turned = codec.encode(landmarks.half_turn(heads(4)), size_net=SIZE_NET, stride=4)
    assert torch.equal(turned, maps[:, list(landmarks.HALF_TURN)])


def test_a_mirrored_head_has_mirrored_maps():
    codec = TangentCodec(sigma_px=5.0, tangent_sigma_px=10.0)
    points_net = heads(4)
    mirrored = points_net * torch.tensor([-1.0, 1.0]) + torch.tensor([255.0, 0.0])
    maps = codec.encode(points_net, size_net=SIZE_NET, stride=4)
    torch.testing.assert_close(codec.encode(mirrored, size_net=SIZE_NET, stride=4), maps.flip(-1), atol=1e-4, rtol=0)


def test_equal_sigmas_are_the_round_codec():
    points_net = heads(4)
    maps = TangentCodec(sigma_px=5.0, tangent_sigma_px=5.0).encode(points_net, size_net=SIZE_NET, stride=4)
    expected = GaussianCodec(sigma_px=5.0).encode(points_net, size_net=SIZE_NET, stride=4)
    torch.testing.assert_close(maps, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("end", [[math.nan, 40.0], [math.inf, 40.0], "coincident"])
def test_without_the_other_diameter_an_end_is_round(end):
    points_net = heads(2)
    points_net[1, 2] = points_net[1, 3] + 0.4 if end == "coincident" else torch.tensor(end)
    codec = TangentCodec(sigma_px=5.0, tangent_sigma_px=10.0)
    maps = codec.encode(points_net, size_net=SIZE_NET, stride=4)
    untouched = codec.encode(heads(2), size_net=SIZE_NET, stride=4)
    round_ = GaussianCodec(sigma_px=5.0).encode(points_net, size_net=SIZE_NET, stride=4)
    assert torch.equal(maps[0], untouched[0])
    torch.testing.assert_close(maps[1, :2], round_[1, :2], atol=1e-5, rtol=0)
    assert torch.equal(maps[1, 3], untouched[1, 3])
    assert (maps[1, 2] - round_[1, 2]).abs().max() > 0.1 if end == "coincident" else (maps[1, 2] == 0).all()


@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 5, 2)])
def test_points_of_no_head_are_round(shape):
    points_net = torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 180
    maps = TangentCodec(sigma_px=5.0, tangent_sigma_px=10.0).encode(points_net, size_net=SIZE_NET, stride=4)
    assert torch.equal(maps, GaussianCodec(sigma_px=5.0).encode(points_net, size_net=SIZE_NET, stride=4))


def test_a_perfect_map_is_sure_within_its_widest_sigma():
    codec = TangentCodec(sigma_px=4.0, tangent_sigma_px=12.0)
    assert codec.widest_px == 12.0
    points_net = heads(4) * 0.6 + 45
    maps = codec.encode(points_net, size_net=SIZE_NET, stride=4)
    sure = [confidence(maps[None], points_net, stride=4, sigma_px=sigma) for sigma in (codec.widest_px, codec.sigma_px)]
    assert sure[0].min() > 0.95
    assert sure[1].max() < 0.8


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma_px": 5.0, "tangent_sigma_px": 0.0}, "tangent_sigma_px"),
        ({"sigma_px": 5.0, "tangent_sigma_px": math.nan}, "tangent_sigma_px"),
        ({"sigma_px": -1.0, "tangent_sigma_px": 10.0}, "^sigma_px"),
        ({"sigma_px": 5.0, "tangent_sigma_px": 10.0, "decoder": "peak"}, "dark"),
    ],
)
def test_bad_options_say_what_is_allowed(options, message):
    with pytest.raises(ValueError, match=message):
        TangentCodec(**options)
