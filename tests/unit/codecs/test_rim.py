import math

import pytest
import torch

from fetal_lm.codecs import outline, rim
from fetal_lm.codecs.outline import Ellipse

SIZE = (96, 160)  # Not square: a swapped x and y must fail.


def heads(count=16, seed=0):
    generator = torch.Generator().manual_seed(seed)
    turn = torch.rand(count, generator=generator) * 2 * math.pi
    long = 28 + 6 * torch.rand(count, generator=generator)
    along = torch.stack([turn.cos(), turn.sin()], dim=-1) * long[:, None]
    across = torch.stack([-turn.sin(), turn.cos()], dim=-1) * (long * 0.8)[:, None]
    centre = torch.tensor([80.0, 48.0]) + torch.randn(count, 2, generator=generator) * 3
    return Ellipse(centre, torch.stack([along, across], dim=-1))


def frame():
    return torch.stack(torch.meshgrid(torch.arange(SIZE[1]), torch.arange(SIZE[0]), indexing="xy"), dim=-1).float()


def test_a_strip_runs_from_inside_to_outside_and_all_round():
    ellipse = heads(4)
    off = torch.linalg.inv(ellipse.axes)[:, None, None] @ (frame() - ellipse.centre[:, None, None]).unsqueeze(-1)
    # The radius in units of the ellipse, as grey levels; and the cosine of the angle.
    radius = off.squeeze(-1).norm(dim=-1)
    strip = rim.strips(radius.unsqueeze(1), ellipse)
    assert strip.shape == (4, 2, rim.ACROSS, rim.ALONG)
    expected = torch.linspace(1 - rim.WINDOW, 1 + rim.WINDOW, rim.ACROSS)[:, None].expand(-1, rim.ALONG)
    assert (strip[:, 0] - expected).abs().max() <= 5e-3
    assert not strip[:, 1].any()
    cosine = off.squeeze(-1)[..., 0] / radius
    along = rim.strips(cosine.unsqueeze(1), ellipse)[:, 0].mean(1)
    assert (along - outline.turns(rim.ALONG, along.device)[:, 0]).abs().max() <= 5e-3


def test_beyond_the_frame_a_strip_says_so():
    ellipse = Ellipse(torch.tensor([[10.0, 48.0]]), torch.eye(2)[None] * 30)
    strip = rim.strips(torch.ones(1, 1, *SIZE), ellipse)[0]
    left, right = strip[:, :, rim.ALONG // 2], strip[:, :, 0]
    assert (left[0] == 0).all()
    assert (left[1] == 1).all()
    assert (right[0] == 1).all()
    assert (right[1] == 0).all()


def test_distances_lead_to_the_true_ellipse():
    torch.manual_seed(0)
    truth = heads(64)
    start = rim.near(truth)
    around = outline.turns(rim.RAYS, truth.centre.device)
    rays = around @ start.axes.transpose(-1, -2)
    ends = start.centre[:, None] + rim.distances(start, truth).unsqueeze(-1) * rays
    on_unit_circle = torch.linalg.inv(truth.axes)[:, None] @ (ends - truth.centre[:, None]).unsqueeze(-1)
    assert (on_unit_circle.squeeze(-1).norm(dim=-1) - 1).abs().max() <= 1e-4


def test_what_they_learn_from_is_off_by_what_is_said():
    torch.manual_seed(0)
    truth = heads(4000)
    start = rim.near(truth)
    centre = (torch.linalg.inv(truth.axes) @ (start.centre - truth.centre).unsqueeze(-1)).squeeze(-1)
    lengths = (start.axes.norm(dim=-2) / truth.axes.norm(dim=-2)).log()
    turn = torch.atan2(start.axes[:, 1, 0], start.axes[:, 0, 0]) - torch.atan2(truth.axes[:, 1, 0], truth.axes[:, 0, 0])
    turn = torch.rad2deg(torch.remainder(turn + math.pi, 2 * math.pi) - math.pi)
    assert centre.std().item() == pytest.approx(rim.OFF_CENTRE, rel=0.05)
    assert lengths.std().item() == pytest.approx(math.hypot(rim.OFF_SIZE, rim.OFF_SHAPE), rel=0.05)
    assert lengths.mean(-1).std().item() == pytest.approx(math.hypot(rim.OFF_SIZE, rim.OFF_SHAPE / 2**0.5), rel=0.05)
    assert turn.std().item() == pytest.approx(rim.OFF_DEGREES, rel=0.05)


def certain(distance):
    bins = torch.linspace(*(1 + sign * rim.WINDOW * (1 - 1 / (rim.ACROSS - 1)) for sign in (-1, 1)), rim.BINS)
    width = rim.WIDTH_BINS * 2 * rim.WINDOW / rim.BINS
    return -0.5 * ((bins[:, None] - distance[:, None]) / width) ** 2


def test_the_logits_of_the_target_are_read_as_the_distance_and_cost_least():
    torch.manual_seed(0)
    truth = heads()
    distance = rim.distances(rim.near(truth), truth)
    inside = (distance - 1).abs() < rim.WINDOW - 0.03
    error = rim.located(certain(distance)) + 1 - distance
    assert error[inside].abs().max() <= 1e-3
    least = rim.cross_entropy(certain(distance), distance)
    for off in (-0.02, 0.02):
        assert (rim.cross_entropy(certain(distance + off), distance) > least).all()


def test_rays_whose_edge_lies_beyond_the_strip_teach_nothing():
    distance = torch.full((1, rim.RAYS), 1.0)
    distance[0, :8] = 1 + 2 * rim.WINDOW
    logits = certain(torch.ones(1, rim.RAYS))
    other = logits.clone()
    other[..., :8] = 0
    assert torch.equal(rim.cross_entropy(logits, distance), rim.cross_entropy(other, distance))
    nothing = torch.full((1, rim.RAYS), 2.0)
    assert rim.cross_entropy(logits, nothing).item() == 0


def test_a_mirrored_strip_is_that_of_the_ellipse_run_round_the_other_way():
    torch.manual_seed(0)
    image, ellipse = torch.rand(3, 1, *SIZE), heads(3)
    other_way = Ellipse(ellipse.centre, ellipse.axes * torch.tensor([1.0, -1.0]))
    strip = rim.strips(image, ellipse)
    torch.testing.assert_close(rim.mirrored(strip), rim.strips(image, other_way), atol=1e-4, rtol=0)
    assert torch.equal(rim.mirrored(rim.mirrored(strip)), strip)
