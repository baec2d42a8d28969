import math

import numpy as np
import pytest
import torch

from fetal_lm import landmarks
from fetal_lm.codecs import outline

SIZE_NET = (192, 256)  # Not square: a swapped x and y must fail.


def heads(count: int, *, off_centre: float = 16.0, seed: int = 0) -> torch.Tensor:
    """Ellipses of all directions, then squashed, so that their diameters are conjugate but not at right angles."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *size: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, *size, generator=generator)

    ofd, turn = uniform(45, 60), uniform(0, math.pi)
    bpd = ofd * uniform(0.7, 0.9)
    along = torch.stack([turn.cos(), turn.sin()], dim=-1) * ofd[:, None]
    across = torch.stack([-turn.sin(), turn.cos()], dim=-1) * bpd[:, None]
    ends = torch.stack([-along, along, -across, across], dim=1) * torch.tensor([1.25, 0.9])
    centre = torch.tensor([SIZE_NET[1], SIZE_NET[0]]) / 2 + uniform(-off_centre, off_centre, 2)
    return landmarks.canonical_order(ends + centre[:, None])


def decode(inside: torch.Tensor, guide_net: torch.Tensor, stride: int) -> torch.Tensor:
    found = outline.landmarks_on(outline.fit(inside), (guide_net + 0.5) / stride - 0.5, isotropic=False)
    return (found + 0.5) * stride - 0.5


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_round_trip_is_exact_and_unbiased(stride):
    truth = heads(64)
    error = decode(outline.encode(truth, size_net=SIZE_NET, stride=stride), truth, stride) - truth
    assert error.norm(dim=-1).max() <= 0.25
    assert error.mean(dim=0).abs().max() <= 0.05  # Half a thousandth of a radius


def test_the_map_holds_the_share_of_each_pixel_that_is_inside():
    truth, stride, fine = heads(3), 4, 16
    inside = outline.encode(truth, size_net=SIZE_NET, stride=stride)
    step = stride / fine
    x, y = (torch.arange(size * fine // stride) * step + step / 2 - 0.5 for size in SIZE_NET[::-1])
    places = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    for head, found in zip(truth, inside, strict=True):
        half = torch.stack([head[1] - head[0], head[3] - head[2]], dim=-1) / 2
        covered = (torch.linalg.inv(half) @ (places - head.mean(0)).unsqueeze(-1)).squeeze(-1).norm(dim=-1) <= 1
        share = torch.nn.functional.avg_pool2d(covered[None, None].float(), fine)[0, 0]
        # A slanting edge is taken as one along a side, which is off by an eighth of a pixel at most.
        assert (found - share).abs().max() <= 0.14
        assert abs((found - share).sum() / share.sum()) <= 1e-3


def test_an_uncertain_edge_and_what_lies_far_off_do_not_move_it():
    truth, stride = heads(32), 4
    inside = outline.encode(truth, size_net=SIZE_NET, stride=stride)
    blurred = torch.nn.functional.avg_pool2d(inside.unsqueeze(1), 5, stride=1, padding=2).squeeze(1)
    blurred[:, :4, :4] = 1.0
    middle = (((truth.mean(1) + 0.5) / stride).long()).tolist()
    for head, (x, y) in zip(blurred, middle, strict=True):
        head[y - 2 : y + 3, x - 2 : x + 3] = 0.0
    error = (decode(blurred, truth, stride) - truth).norm(dim=-1)
    assert error.max() <= 1.0


def test_a_head_that_the_frame_cuts_is_completed():
    truth, stride = heads(64, off_centre=2.0), 4
    truth = truth + torch.tensor([70.0, 0.0])
    cut = (truth[..., 0] > SIZE_NET[1] - 0.5).any(-1)
    assert cut.sum() > 10
    error = (decode(outline.encode(truth, size_net=SIZE_NET, stride=stride), truth, stride) - truth).norm(dim=-1)
    # A fifth of the head is outside; what the moments make of the rest alone is off by some 15 px.
    assert error[cut].median() <= 3.0


def test_names_and_direction_come_from_the_guide():
    truth = heads(32)
    ellipse = outline.fit(outline.encode(truth, size_net=SIZE_NET, stride=2))
    guide = (truth + 0.5) / 2 - 0.5
    for order in (landmarks.HALF_TURN, landmarks.HORIZONTAL_FLIP, landmarks.VERTICAL_FLIP, (2, 3, 0, 1)):
        found = outline.landmarks_on(ellipse, guide[:, list(order)], isotropic=False)
        assert (found - guide[:, list(order)]).norm(dim=-1).max() <= 0.25


def test_one_diameter_is_guide_enough_and_none_is_not():
    truth = heads(8)
    ellipse = outline.fit(outline.encode(truth, size_net=SIZE_NET, stride=2))
    guide = (truth + 0.5) / 2 - 0.5
    for lost in (0, 3):
        found = outline.landmarks_on(ellipse, guide.index_fill(1, torch.tensor([lost]), torch.nan), isotropic=False)
        assert (landmarks.canonical_order(found) - guide).norm(dim=-1).max() <= 0.25
    for isotropic in (False, True):
        nothing = torch.full_like(guide, torch.nan)
        assert outline.landmarks_on(ellipse, nothing, isotropic=isotropic).isnan().all()


def test_where_a_right_angle_is_one_lengths_are_the_axes_and_the_direction_leans_to_the_guide():
    generator = torch.Generator().manual_seed(1)
    truth = heads(32)
    truth = landmarks.canonical_order((truth - truth.mean(1, keepdim=True)) / torch.tensor([1.25, 0.9]) + 100.0)
    ellipse = outline.through(truth)
    turned = torch.tensor([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]])
    same = outline.Ellipse(ellipse.centre, ellipse.axes @ turned)
    ofd, bpd = (torch.linalg.vector_norm(truth[:, end] - truth[:, end - 1], dim=-1) for end in (1, 3))
    share = 1 / (1 + outline.LEANING * (1 - bpd / ofd))
    for off in (0.3, -0.2, 0.0):
        guide = about_its_middle(truth, off * torch.ones(32)) + torch.randn(32, 1, 2, generator=generator)
        expected = about_its_middle(truth, off * share)
        for order in (landmarks.HALF_TURN, landmarks.HORIZONTAL_FLIP, (2, 3, 0, 1)):
            found = outline.landmarks_on(same, guide[:, list(order)], isotropic=True)
            assert (found - expected[:, list(order)]).abs().max() <= 1e-3
        # One diameter says as much, but which end of the other is which.
        found = outline.landmarks_on(same, guide.index_fill(1, torch.tensor([2]), torch.nan), isotropic=True)
        assert (found - expected)[:, :2].abs().max() <= 1e-3


def test_a_guide_whose_diameter_has_no_length_lengthens_nothing():
    points = torch.tensor([[2.0, 0.0], [8.0, 0.0], [5.0, -2.0], [5.0, 2.0]])
    guide = torch.tensor([[2.0, 0.0], [10.0, 0.0], [5.0, 1.0], [5.0, 1.0]])
    found = outline.lengthened(points, guide, 0.5)
    torch.testing.assert_close(found[2:], points[2:])
    assert (found[1] - found[0]).norm() == 7.0


def test_the_direction_of_a_round_head_is_the_guides():
    ellipse = outline.Ellipse(torch.tensor([50.0, 40.0]), 20 * torch.eye(2))
    guide = about_its_middle(torch.tensor([[[30.0, 40.0], [70, 40], [50, 24], [50, 56]]]), torch.tensor([0.7]))
    found = outline.landmarks_on(ellipse, guide[0], isotropic=True)
    assert (found[1] - found[0]).tolist() == pytest.approx([40 * math.cos(0.7), 40 * math.sin(0.7)], abs=1e-3)


def about_its_middle(points: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    middle = points.mean(1, keepdim=True)
    cosine, sine = angles.cos(), angles.sin()
    rotation = torch.stack([cosine, sine, -sine, cosine], dim=-1).unflatten(-1, (2, 2))
    return middle + (points - middle) @ rotation


def test_the_residual_is_zero_at_the_truth_and_says_what_is_off_elsewhere():
    truth = (heads(16) + 0.5) / 4 - 0.5
    inside = outline.encode(heads(16), size_net=SIZE_NET, stride=4)
    ellipse = outline.through(truth)
    assert outline.residual(inside, ellipse, 0.3).abs().max() <= 0.01
    larger = outline.Ellipse(ellipse.centre, ellipse.axes * 1.1)
    off = outline.residual(inside, larger, 0.3)
    assert off[:, 0].tolist() == pytest.approx([1 / 1.1 - 1] * 16, abs=0.005)
    moved = outline.Ellipse(ellipse.centre + 0.1 * ellipse.axes[..., 1], ellipse.axes)
    off = outline.residual(inside, moved, 0.3)
    assert off[:, 2].tolist() == pytest.approx([-0.1] * 16, abs=0.01)
    assert off[:, [0, 1, 3, 4]].abs().max() <= 0.01


@pytest.mark.parametrize("isotropic", [False, True])
def test_autocast_rounds_nothing(isotropic):
    truth = heads(16)
    inside, guide = outline.encode(truth, size_net=SIZE_NET, stride=4), (truth + 0.5) / 4 - 0.5

    def found():
        on_ellipse = outline.landmarks_on(outline.fit(inside), guide, isotropic=isotropic)
        return on_ellipse, outline.residual(inside, outline.through(guide), 0.3)

    expected = found()
    with torch.autocast("cpu", torch.bfloat16):
        for ours, theirs in zip(found(), expected, strict=True):
            assert (ours - theirs).abs().max() <= 1e-4


def test_the_residual_pulls_the_map_to_the_truth():
    truth = heads(2)
    logits = torch.zeros(2, 48, 64, requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.3)
    ellipse = outline.through((truth + 0.5) / 4 - 0.5)
    for _ in range(60):
        optimizer.zero_grad()
        outline.residual(logits.sigmoid(), ellipse, 0.3).abs().sum().backward()
        optimizer.step()
    assert outline.residual(logits.sigmoid(), ellipse, 0.3).abs().max() <= 0.01


@pytest.mark.parametrize(
    "points",
    [
        [[10.0, 10.0], [50.0, 10.0], [10.0, 10.0], [50.0, 10.0]],
        [[30.0, 10.0], [30.0, 10.0], [30.0, 0.0], [30.0, 20.0]],
        [[np.nan, np.nan], [50.0, 10.0], [30.0, 0.0], [30.0, 20.0]],
    ],
)
def test_landmarks_that_span_no_ellipse_have_no_inside(points):
    assert outline.encode(torch.tensor(points), size_net=SIZE_NET, stride=4).eq(0).all()


@pytest.mark.parametrize("value", [0.0, 1.0, torch.nan])
def test_a_map_where_nothing_stands_out_has_no_ellipse(value):
    ellipse = outline.fit(torch.full((48, 64), value))
    if value == 1.0:  # A head that fills the frame: no edge is seen, the moments stand.
        assert ellipse.centre.tolist() == pytest.approx([31.5, 23.5])
    else:
        assert ellipse.centre.isnan().all()
        assert ellipse.axes.isnan().all()


def test_one_bright_pixel_is_a_small_ellipse_and_not_an_error():
    inside = torch.zeros(48, 64)
    inside[10, 20] = 1.0
    ellipse = outline.fit(inside)
    assert (ellipse.centre - torch.tensor([20.0, 10.0])).abs().max() <= 0.01
    assert ellipse.axes.isfinite().all()


@pytest.mark.parametrize("isotropic", [False, True])
def test_the_landmarks_are_those_of_the_ellipse_whatever_its_matrix(isotropic):
    truth = heads(32)
    guide = truth + torch.randn(truth.shape, generator=torch.Generator().manual_seed(0)) * 4
    ellipse = outline.through(truth)
    found = outline.landmarks_on(ellipse, guide, isotropic=isotropic)
    mirrored = outline.Ellipse(ellipse.centre, ellipse.axes * torch.tensor([1.0, -1.0]))
    angle = torch.tensor(0.7)
    rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).unflatten(-1, (2, 2))
    for axes in (mirrored.axes, ellipse.axes @ rotation, mirrored.axes @ rotation):
        other = outline.landmarks_on(outline.Ellipse(ellipse.centre, axes), guide, isotropic=isotropic)
        torch.testing.assert_close(other, found, atol=1e-2, rtol=0)


def test_of_two_heads_the_one_that_the_guide_is_in_is_fitted():
    truth = torch.tensor([[[40.0, 100.0], [120.0, 100.0], [80.0, 68.0], [80.0, 132.0]]])
    # Nearly as large, and 12 pixels beside it, which are three of the map's.
    other = truth * torch.tensor([0.9, 0.9]) + torch.tensor([96.0, 0.0])
    stride = 4
    both = torch.maximum(*(outline.encode(head, size_net=SIZE_NET, stride=stride) for head in (truth, other)))
    assert (decode(both, truth, stride) - truth).norm(dim=-1).max() > 20
    for head in (truth, other):
        middle = head.mean(1, keepdim=True)
        guide = (head - middle) * 0.8 + middle + torch.tensor([6.0, -4.0])
        alone = outline.holding(both, (guide + 0.5) / stride - 0.5)
        assert (decode(alone, guide, stride) - head).norm(dim=-1).max() <= 0.5


def test_a_head_whose_guide_has_one_end_far_off_stays_whole():
    guide = torch.tensor([[22.0, 94.0], [294.0, 94.0], [158.0, 6.0], [158.0, 182.0]])
    inside = outline.encode(guide, size_net=(192, 320), stride=4)
    guide[1, 0] = 62.0
    assert torch.equal(outline.holding(inside, (guide + 0.5) / 4 - 0.5), inside)


def test_a_map_with_nothing_in_the_guides_middle_stays_as_it_is():
    truth, stride = heads(4), 4
    inside = outline.encode(truth, size_net=SIZE_NET, stride=stride)
    elsewhere = truth - truth.mean(1, keepdim=True) + torch.tensor([-400.0, 0.0])
    missing = truth.clone()
    missing[:, 0] = torch.nan
    for guide in (elsewhere, missing):
        assert torch.equal(outline.holding(inside, (guide + 0.5) / stride - 0.5), inside)
    blurred = torch.nn.functional.avg_pool2d(inside.unsqueeze(1), 3, stride=1, padding=1).squeeze(1)
    assert torch.equal(outline.holding(blurred, (truth + 0.5) / stride - 0.5), blurred)
