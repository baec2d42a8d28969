"""The second look of `rim_hourglass`, with a network that knows what an edge is instead of a trained one."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from torch import nn

from fetal_lm import landmarks
from fetal_lm.codecs import outline, rim
from fetal_lm.data.batch import Batch
from fetal_lm.hypotheses.base import Views
from fetal_lm.hypotheses.rim_hourglass import HEATMAPS_SAY
from fetal_lm.train import build_model

CONF = Path(__file__).parents[3] / "conf"
SIZE_NET = (128, 192)


class Edges(nn.Module):
    """Where a strip of a bright head on black becomes dark, along each ray."""

    def forward(self, strip):
        bright = strip[:, 0, :, ::2].mean(1)
        edge = 1 - rim.WINDOW + 2 * rim.WINDOW * bright
        half = rim.WINDOW * (1 - 1 / (rim.ACROSS - 1))
        bins = torch.linspace(1 - half, 1 + half, rim.BINS)
        return -0.5 * ((bins[:, None] - edge[:, None]) / 0.005) ** 2


def make():
    with initialize_config_dir(str(CONF), version_base="1.3"):
        options = ["model=rim_hourglass", "model.network.depth=2", "model.network.channels=8", "data.fit=letterbox"]
        cfg = compose("config", [*options, f"image_size={list(SIZE_NET)}"])
    return build_model(cfg).eval()


def head():
    angle = torch.tensor(0.5)
    along, across = torch.stack([angle.cos(), angle.sin()]) * 50, torch.stack([-angle.sin(), angle.cos()]) * 40
    centre = torch.tensor([96.0, 64.0])
    return torch.stack([centre - along, centre + along, centre - across, centre + across]).unsqueeze(0)


def batch(points_net):
    count = len(points_net)
    image = torch.rand(count, 1, *SIZE_NET, generator=torch.Generator().manual_seed(0))
    to_orig = torch.zeros(count, 2, 3, dtype=torch.float64)
    return Batch(image, points_net, to_orig, torch.ones(count), torch.arange(count))


@pytest.mark.parametrize("mirrored", [False, True])
def test_an_ellipse_near_the_head_is_moved_to_its_edge(mirrored):
    torch.manual_seed(0)
    model, points = make(), head()
    model.rim_network = Edges()
    image = outline.encode(points, size_net=SIZE_NET, stride=1).unsqueeze(1)
    truth = outline.through(points)
    for _ in range(8):
        start = rim.near(truth)
        moved = model.moved(image, start, mirrored=mirrored)
        before, after = ((rim.distances(one, truth) - 1).abs().max() for one in (start, moved))
        assert after <= max(0.01, 0.2 * before)


def test_the_heatmaps_have_a_say_in_the_lengths_alone():
    model, points = make(), head()
    model.rim_network = Edges()
    # Heatmaps of a head that is a tenth larger around the same middle: the direction is the edge's, as is the middle.
    middle = points.mean(1, keepdim=True)
    larger = middle + (points - middle) * 1.1
    maps = model.codec.encode(larger, size_net=SIZE_NET, stride=model.network.stride)
    inside = outline.encode(points, size_net=SIZE_NET, stride=model.network.stride)
    image = outline.encode(points, size_net=SIZE_NET, stride=1).unsqueeze(1)
    views = Views(maps.unsqueeze(0), {}, {"inside": inside.unsqueeze(0)}, image)
    found = model.decode(views)
    expected = middle + (points - middle) * (1 + 0.1 * HEATMAPS_SAY)
    torch.testing.assert_close(
        landmarks.canonical_order(found["rim"]), landmarks.canonical_order(expected), atol=0.3, rtol=0
    )


def test_without_an_outline_there_is_no_rim_either():
    model = make()
    nn.init.zeros_(model.network.heads[0].weight)
    with torch.no_grad():
        model.network.heads[0].bias[:] = float("nan")
        found = model.points(torch.zeros(1, 1, *SIZE_NET), flips=True)
    assert found["rim"].isnan().all()


def test_the_rim_is_taught_by_heads_that_are_whole():
    model, points = make().train(), head()

    def losses(points_net):
        return model.losses(batch(points_net))

    assert losses(points)["rim"] > 0
    assert losses(points - torch.tensor([60.0, 0.0]))["rim"] == 0


@pytest.mark.parametrize("bad", ["no ellipse", "not labelled", "cut"])
def test_a_head_that_teaches_nothing_leaves_the_others_gradients(bad):
    points = head().repeat(2, 1, 1)
    if bad == "no ellipse":
        points[1] = torch.tensor([[20.0, 20.0], [60.0, 60.0], [30.0, 30.0], [50.0, 50.0]])
    elif bad == "not labelled":
        points[1, 2] = torch.nan
    else:
        points[1] -= torch.tensor([60.0, 0.0])
    model = make().train()
    model.losses(batch(points))["rim"].backward()
    gradients = [value.grad for value in model.rim_network.parameters()]
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


def test_validation_draws_the_same_every_time():
    model, one = make(), batch(head())
    losses = [model.eval().losses(one)["rim"] for _ in range(2)]
    assert losses[0] == losses[1]
    losses = [model.train().losses(one)["rim"] for _ in range(2)]
    assert losses[0] != losses[1]
