"""What every hypothesis in conf/model/ must do; a new one is found here without a line of code."""

from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

from fetal_lm import landmarks
from fetal_lm.codecs import confidence
from fetal_lm.data.batch import Batch
from fetal_lm.train import build_model

CONF = Path(__file__).parents[2] / "conf"
MODELS = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
OPTIONS = sorted(f"{group}={path.stem}" for group in ("loss", "codec") for path in (CONF / group).glob("*.yaml"))
SIZE_NET = (64, 96)  # Not square, and small enough for a test.


def make(model, *overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = compose(
            "config",
            [
                f"model={model}",
                "model.network.depth=2",
                "model.network.channels=8",
                f"image_size={list(SIZE_NET)}",
                *overrides,
            ],
        )
    torch.manual_seed(0)
    return build_model(cfg)


def bright_points(count, seed=0):
    """Images whose four landmarks are bright dots of four sizes, so that a network can tell them apart."""
    generator = torch.Generator().manual_seed(seed)
    centre = torch.tensor([[48.0, 32.0]]) + torch.randn(count, 2, generator=generator) * 4
    offsets = torch.tensor([[-30.0, 2.0], [30.0, -2.0], [1.0, -20.0], [-1.0, 20.0]])
    points_net = centre.unsqueeze(1) + offsets
    rows, columns = torch.meshgrid(torch.arange(SIZE_NET[0]), torch.arange(SIZE_NET[1]), indexing="ij")
    squared = (columns - points_net[..., 0, None, None]) ** 2 + (rows - points_net[..., 1, None, None]) ** 2
    widths = torch.tensor([1.5, 2.5, 3.5, 4.5])[:, None, None]
    image = torch.exp(-squared / (2 * widths**2)).amax(1, keepdim=True)
    return Batch(
        image=image,
        points_net=points_net,
        to_orig=torch.tensor([[2.0, 0.0, 0.5], [0.0, 3.0, 1.0]], dtype=torch.float64).expand(count, 2, 3),
        mm_per_px=torch.full((count,), 0.1),
        record=torch.arange(count),
    )


@pytest.fixture(params=MODELS)
def model_name(request):
    return request.param


def test_there_are_the_three_hypotheses_of_the_study():
    assert {make(name).label for name in MODELS} >= {"H1", "H2", "H3"}


@pytest.mark.parametrize("option", OPTIONS)
def test_losses_are_finite_scalars_that_reach_every_weight(model_name, option):
    model = make(model_name, option)
    losses = model.losses(bright_points(2))
    assert all(value.shape == () and value.isfinite() for value in losses.values())
    losses["loss"].backward()
    unreached = [name for name, value in model.named_parameters() if value.grad is None]
    assert unreached == []


def test_points_of_every_branch(model_name):
    model = make(model_name).eval()
    batch = bright_points(3)
    points = model.points(batch.image, flips=False)
    assert tuple(points) == model.branches
    assert all(value.shape == (3, 4, 2) for value in points.values())
    predicted = model.predict_step(batch, 0)
    assert predicted.heatmaps.amax((-2, -1)).eq(255).all()
    expected = model.points(batch.image, flips=True)[model.branches[0]].double() * torch.tensor([2.0, 3.0]).double()
    torch.testing.assert_close(predicted.points_orig[model.branches[0]], expected + torch.tensor([0.5, 1.0]).double())


def test_rotations_are_pooled_in_every_branch(model_name):
    model, batch = make(model_name, "test_rotations=[-10,10]").eval(), bright_points(3)
    with torch.no_grad():
        views = model.views(batch.image, flips=True, rotations=model.test_rotations)
        predicted = model.predict_step(batch, 0)
    assert views.heatmaps.shape[:3] == (12, 3, 4)
    assert all(len(found) == 12 for found in (*views.regressed.values(), *views.areas.values()))
    scale, shift = torch.tensor([2.0, 3.0]).double(), torch.tensor([0.5, 1.0]).double()
    for branch, points_net in model.located(views).items():
        torch.testing.assert_close(predicted.points_orig[branch], points_net.double() * scale + shift)


def test_it_learns_where_four_dots_are(model_name):
    model = make(model_name)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    batch = bright_points(8)
    for _ in range(60):
        optimizer.zero_grad()
        model.losses(batch)["loss"].backward()
        optimizer.step()
    unseen = bright_points(8, seed=1)
    with torch.no_grad():
        for _ in range(20):  # Batch normalisation's running figures catch up with the last weights.
            model.losses(batch)
        found = model.eval().points(unseen.image, flips=False)[model.branches[0]]
    error = torch.linalg.vector_norm(landmarks.matched_order(found, unseen.points_net) - unseen.points_net, dim=-1)
    assert error.median() < 2.0


def test_a_landmark_outside_the_frame_does_not_pull(model_name):
    model = make(model_name).eval()
    batch = bright_points(1)
    outside = batch.points_net.clone()
    outside[0, 2] = torch.tensor([40.0, -5.0])
    farther = outside.clone()
    farther[0, 2] = torch.tensor([10.0, -50.0])
    losses = [model.losses(batch._replace(points_net=points))["loss"] for points in (outside, farther)]
    assert losses[0] == losses[1]


def test_an_all_zero_map_is_undecoded_not_a_corner():
    model = make("single_hourglass", "loss=mse").eval()
    torch.nn.init.zeros_(model.network.heads[0].weight)
    torch.nn.init.constant_(model.network.heads[0].bias, -1.0)
    for flips in (False, True):
        assert model.points(torch.rand(1, 1, *SIZE_NET), flips=flips)["heatmap"].isnan().all()


def test_an_ellipse_with_right_angles_and_a_loss_of_its_own():
    model, batch = make("outline_hourglass", "model.ellipse_weight=1.0", "data.fit=letterbox"), bright_points(2)
    without = make("outline_hourglass", "data.fit=letterbox").losses(batch)["loss"]
    losses = model.losses(batch)
    assert losses["loss"].item() == pytest.approx((without + losses["ellipse"]).item(), rel=1e-5)
    losses["loss"].backward()
    assert all(value.grad.isfinite().all() for value in model.parameters())
    with torch.no_grad():
        ofd_1, ofd_2, bpd_1, bpd_2 = model.eval().points(batch.image, flips=True)["outline"].unbind(1)
    right = ((ofd_2 - ofd_1) * (bpd_2 - bpd_1)).sum(-1) / (ofd_2 - ofd_1).norm(dim=-1) / (bpd_2 - bpd_1).norm(dim=-1)
    assert right.abs().max() <= 1e-3


def test_an_outline_of_several_stages_is_taught_in_each(monkeypatch):
    model, batch = make("outline_stacked", "model.ellipse_weight=1.0"), bright_points(3)
    # The last head lies half outside, where its ellipse does not teach.
    batch.points_net[2, :, 0] -= 40
    maps, features = model.network(batch.image)
    found = model.losses(batch)
    stages = []
    for stage in range(2):
        monkeypatch.setattr(model.network, "forward", lambda _, stage=stage: (maps[:, stage : stage + 1], features))
        stages.append(model.losses(batch))
        read = model.read(batch.image)
    for name, value in found.items():
        torch.testing.assert_close(value, stages[0][name] + stages[1][name])
    torch.testing.assert_close(read.areas["inside"], maps[:, 1, 4].sigmoid())


def test_the_hybrid_with_an_outline_has_the_losses_of_both():
    model, batch = make("outline_hybrid", "model.coordinate_weight=3.0"), bright_points(3)
    found = model.losses(batch)
    maps, features = model.network(batch.image)
    both = model.map_losses(maps, batch, model.target(batch))["loss"] + 3 * found["coordinate"]
    torch.testing.assert_close(found["loss"], both)
    torch.testing.assert_close(found["coordinate"], model.feature_loss(features, model.target(batch)))
    read = model.read(batch.image)
    assert read.regressed["coordinate"].shape == (3, 4, 2)
    torch.testing.assert_close(read.areas["inside"], maps[:, 0, 4].sigmoid())


@pytest.mark.parametrize(("flips", "views"), [(False, 1), ("half_turn", 2), ("when_unsure", 2), (True, 4)])
def test_an_image_is_looked_at_as_often_as_is_said(model_name, flips, views):
    with torch.no_grad():
        assert len(make(model_name).eval().views(bright_points(2).image, flips=flips).heatmaps) == views


@pytest.mark.parametrize("unsure", [[], [1], [0, 1, 2]])
def test_only_images_that_leave_doubts_are_looked_at_again(model_name, unsure, monkeypatch):
    model = make(model_name).eval()
    image = bright_points(3).image
    sure = torch.ones(3).index_fill(0, torch.tensor(unsure, dtype=torch.long), torch.nan)
    monkeypatch.setattr(confidence, "before_decoding", lambda *_, **__: sure)
    looked_at = []
    read = model.read
    monkeypatch.setattr(model, "read", lambda image: looked_at.append(len(image)) or read(image))
    with torch.no_grad():
        found = model.points(image, flips="when_unsure")
        assert looked_at == [3, len(unsure)]
        alone, turned = (model.points(image, flips=flips) for flips in (False, "half_turn"))
    for branch in model.branches:
        expected = alone[branch].clone()
        expected[unsure] = turned[branch][unsure]
        torch.testing.assert_close(found[branch], expected, atol=1e-2, rtol=0)


@pytest.mark.parametrize(("mirrored", "flips"), [((-1,), True), ((-2,), True), ((-2, -1), "half_turn")])
def test_with_flips_a_mirrored_image_gives_mirrored_landmarks(model_name, mirrored, flips):
    model = make(model_name).eval()
    image = bright_points(2).image
    with torch.no_grad():
        found, turned = (model.points(one, flips=flips) for one in (image, image.flip(mirrored)))
    far = torch.tensor([SIZE_NET[1], SIZE_NET[0]]) - 1
    for branch in model.branches:
        back = turned[branch].clone()
        for axis in (-1 - dimension for dimension in mirrored):
            back[..., axis] = far[axis] - back[..., axis]
        expected = landmarks.matched_order(landmarks.canonical_order(back), found[branch])
        torch.testing.assert_close(expected, found[branch], atol=1e-2, rtol=0)


@pytest.mark.parametrize(
    ("model", "override", "message"),
    [
        ("single_hourglass", "model.network.stacks=2", "1 stack"),
        ("stacked_hourglass", "model.network.stacks=1", "2 stacks or more"),
        ("outline_hourglass", "model.network.maps=4", "5 maps"),
        ("outline_hourglass", "model.network.stacks=2", "1 stack"),
        ("outline_stacked", "model.network.stacks=1", "2 stacks or more"),
    ],
)
def test_a_hypothesis_refuses_the_others_network(model, override, message):
    with pytest.raises(Exception, match=message):
        make(model, override)
