"""Rotations at test time: what is found in turned images is found where it is in the image itself."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from torch.nn.functional import avg_pool2d

from fetal_lm.errors import InputError
from fetal_lm.export.command import export
from fetal_lm.hypotheses import turn
from fetal_lm.hypotheses.base import Reading
from fetal_lm.predict.torch_engine import locate
from fetal_lm.train import build_model

CONF = Path(__file__).parents[3] / "conf"
SIZE_NET = (128, 192)
STRIDE = 4
SIGMA_PX = 5.0
HEAD = torch.tensor([[52.0, 60.3], [139.6, 71.7], [99.2, 35.1], [92.4, 97.2]])
ROTATIONS = (-10.0, 7.5)


def bright(points_net, sigma_px=SIGMA_PX):
    """Frames of SIZE_NET with a Gaussian of peak 1 at each point."""
    rows, columns = torch.meshgrid(torch.arange(SIZE_NET[0]), torch.arange(SIZE_NET[1]), indexing="ij")
    squared = (columns - points_net[..., 0, None, None]) ** 2 + (rows - points_net[..., 1, None, None]) ** 2
    return torch.exp(-squared / (2 * sigma_px**2))


def picture(head):
    """Images whose OFD ends are bright and whose BPD ends are as much darker than nothing."""
    dots = bright(head)
    return (dots[..., :2, :, :].sum(-3) - dots[..., 2:, :, :].sum(-3)).unsqueeze(-3)


def centroid(mass):
    rows, columns = torch.arange(mass.shape[-2]), torch.arange(mass.shape[-1])
    x, y = (mass.sum(-2) * columns).sum(-1), (mass.sum(-1) * rows).sum(-1)
    return torch.stack([x, y], dim=-1) / mass.sum((-2, -1)).unsqueeze(-1)


class Seeing:
    """In place of a network: it sees the dots wherever they are, and names them by the canonical order of what it sees.

    Heads must lie nearly along the rows.
    """

    def __init__(self):
        self.seen = []

    def __call__(self, image):
        self.seen.append(image)
        mass = []
        for axis, ends in ((-1, image.clamp_min(0)), (-2, (-image).clamp_min(0))):
            middle = centroid(ends)[..., 0 if axis == -1 else 1, None, None]
            position = torch.arange(image.shape[axis]).unsqueeze(-1 if axis == -2 else 0)
            mass += [ends * (position < middle), ends * (position >= middle)]
        maps = torch.cat(mass, dim=1)
        return Reading(avg_pool2d(maps, STRIDE), {"coordinate": centroid(maps)})


@pytest.fixture
def make():
    def build(*overrides):
        with initialize_config_dir(str(CONF), version_base="1.3"):
            cfg = compose("config", [
                "model=hybrid_hourglass", "model.network.depth=2", "model.network.channels=8",
                f"image_size={list(SIZE_NET)}", *overrides,
            ])  # fmt: skip
        model = build_model(cfg).eval()
        model.read = Seeing()
        return model

    return build


@pytest.mark.parametrize("degrees", [-10.0, 10.0, 30.0])
def test_a_dot_is_turned_and_its_point_turned_back(degrees):
    points_net = torch.tensor([[60.0, 40.0], [120.3, 70.6]])
    turned = centroid(turn.images(bright(points_net, 3.0).unsqueeze(0), degrees)[0])
    assert (turned - points_net).norm(dim=-1).min() > 3
    # Clockwise on a screen, where y points down: right of the centre goes down.
    assert ((turned[1] - points_net[1])[1] > 0) == (degrees > 0)
    back = turn.points_back(turned, degrees, SIZE_NET)
    torch.testing.assert_close(back, points_net, atol=0.01, rtol=0)
    torch.testing.assert_close(turn.points_back(back, -degrees, SIZE_NET), turned, atol=0.01, rtol=0)


def test_points_are_in_float32_also_where_they_are_regressed_in_less(make):
    model = make()
    model.branches, read = ("coordinate", "heatmap"), model.read

    def regressed(image):
        reading = read(image)
        return reading._replace(regressed={"coordinate": reading.regressed["coordinate"].bfloat16()})

    model.read = regressed
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        points_net, sure = locate(model, picture(HEAD[None]))
    assert points_net.numpy().dtype == sure.numpy().dtype == np.float32
    np.testing.assert_allclose(points_net[0], HEAD, atol=1)


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("flips", [False, True])
def test_points_and_names_are_those_without_rotations(make, flips, joint):
    model = make(f"codec.joint={str(joint).lower()}")
    generator = torch.Generator().manual_seed(0)
    heads = HEAD + 6 * torch.randn(6, 1, 2, generator=generator) + torch.randn(6, 4, 2, generator=generator)
    image = picture(heads)
    straight = model.points(image, flips=flips)
    model.read.seen.clear()
    turned = model.points(image, flips=flips, rotations=ROTATIONS)
    views = 4 if flips else 1
    assert [len(seen) for seen in model.read.seen] == [6 * views] * 3
    assert all((seen[:6] - image).abs().max() > 0.5 for seen in model.read.seen[1:])
    for branch, limit_px in (("heatmap", 0.1), ("coordinate", 0.02)):
        difference = turned[branch] - straight[branch]
        assert difference.norm(dim=-1).max() < limit_px, difference.norm(dim=-1).max()
        assert difference.mean((0, 1)).abs().max() < limit_px / 4
        assert (turned[branch] - heads).norm(dim=-1).max() < 0.2


def test_a_landmark_that_a_turned_frame_loses_is_not_outvoted(make):
    model = make()
    head = torch.tensor([[4.0, 5.0], [150.0, 60.0], [85.0, 6.0], [69.0, 59.0]])
    alone = turn.images(picture(head).unsqueeze(0), 15.0)
    assert alone[0, 0, :20, :40].max() < 0.1
    for flips in (False, True):
        found = model.points(picture(head).unsqueeze(0), flips=flips, rotations=(-15.0, 15.0))["heatmap"][0]
        assert (found - head).norm(dim=-1).max() < 2.0, found


def test_predictions_and_engine_take_the_rotations_of_the_run(make):
    model = make(f"test_rotations={list(ROTATIONS)}")
    assert model.test_rotations == ROTATIONS
    image = picture(HEAD.unsqueeze(0))
    model.read.seen.clear()
    points_net, sure = locate(model, image)
    assert [len(seen) for seen in model.read.seen] == [4, 4, 4]
    expected = model.points(image, flips=True, rotations=ROTATIONS)["heatmap"]
    torch.testing.assert_close(points_net, expected, atol=0, rtol=0)
    assert sure.min() > 0.8
    assert make().test_rotations == ()


def test_nothing_to_see_is_undecoded_not_a_corner(make):
    found = make().points(torch.zeros(1, 1, *SIZE_NET), flips=True, rotations=ROTATIONS)
    assert found["heatmap"].isnan().all()


@pytest.mark.parametrize("chosen", ["[0]", "[10,10]", "[45]", "[nan]", "[true]", "[left]", "10", "0"])
def test_what_is_no_list_of_angles_is_refused(make, chosen):
    with pytest.raises(InputError, match="test_rotations: expected a list of different degrees"):
        make(f"test_rotations={chosen}")


def test_an_exported_file_refuses_rotations(make, monkeypatch, tmp_path):
    class Run:
        model = make(f"test_rotations={list(ROTATIONS)}")

    monkeypatch.setattr("fetal_lm.export.command.check_installed", lambda: None)
    monkeypatch.setattr("fetal_lm.export.command.load_run", lambda _, **__: Run)
    with pytest.raises(InputError, match=r"turned by -10, 7\.5 degrees .* measure with the run's folder"):
        export(tmp_path, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()
