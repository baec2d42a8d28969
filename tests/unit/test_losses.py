import pytest
import torch

from fetal_lm import landmarks
from fetal_lm.codecs.gaussian import GaussianCodec
from fetal_lm.losses import CoordinateLoss, CrossEntropy, MeanSquaredError

SIZE_NET = (96, 128)
VISIBLE = torch.ones(2, 4, dtype=torch.bool)
POINTS = torch.tensor(
    [
        [[20.0, 40.0], [100.0, 44.0], [60.0, 10.0], [58.0, 80.0]],
        [[30.0, 50.0], [110.0, 30.0], [64.0, 12.0], [75.0, 70.0]],
    ]
)


@pytest.fixture
def targets():
    return GaussianCodec(sigma_px=8.0).encode(POINTS, size_net=SIZE_NET, stride=4)


def heatmap_losses(**options):
    return [MeanSquaredError(**options), CrossEntropy(**options)]


def test_mean_squared_error_by_hand():
    maps = torch.zeros(1, 1, 4, 2, 3)
    targets = torch.zeros(1, 4, 2, 3)
    targets[0, 2, 1, 1] = 3.0
    loss = MeanSquaredError(swap_invariant=False)
    assert loss(maps, targets, VISIBLE[:1]) == pytest.approx(9 / 6 / 4)


def test_cross_entropy_by_hand():
    targets = torch.zeros(1, 4, 2, 3)
    targets[..., 0, 0] = 0.5  # Any scale: it is normalised.
    uniform = CrossEntropy(swap_invariant=False)(torch.zeros(1, 1, 4, 2, 3), targets, VISIBLE[:1])
    assert uniform == pytest.approx(torch.log(torch.tensor(6.0)).item())


@pytest.mark.parametrize("loss", heatmap_losses(swap_invariant=True))
def test_a_half_turn_costs_nothing_when_swap_invariant(loss, targets):
    maps = torch.randn(2, 3, 4, 24, 32)
    turned = targets[:, list(landmarks.HALF_TURN)]
    assert loss(maps, targets, VISIBLE) == pytest.approx(loss(maps, turned, VISIBLE).item(), rel=1e-6)


@pytest.mark.parametrize("loss", heatmap_losses(swap_invariant=True))
def test_swapping_one_pair_alone_is_not_forgiven(loss, targets):
    maps = targets.unsqueeze(1) * 20
    one_pair = targets[:, list(landmarks.HORIZONTAL_FLIP)]
    assert loss(maps, one_pair, VISIBLE) > loss(maps, targets, VISIBLE) * 1.05


def test_the_assignment_is_chosen_image_by_image(targets):
    maps = targets.clone().unsqueeze(1)
    maps[1] = maps[1][:, list(landmarks.HALF_TURN)]
    assert MeanSquaredError(swap_invariant=True)(maps, targets, VISIBLE) == pytest.approx(0, abs=1e-9)
    assert MeanSquaredError(swap_invariant=False)(maps, targets, VISIBLE) > 0.01


@pytest.mark.parametrize("swap_invariant", [False, True])
def test_stages_add_up(targets, swap_invariant):
    maps = torch.randn(2, 3, 4, 24, 32)
    for loss in heatmap_losses(swap_invariant=swap_invariant):
        stages = sum(loss(maps[:, s : s + 1], targets, VISIBLE) for s in range(3))
        assert loss(maps, targets, VISIBLE) == pytest.approx(stages.item(), rel=1e-5)


@pytest.mark.parametrize("swap_invariant", [False, True])
def test_invisible_landmarks_get_no_gradient(targets, swap_invariant):
    visible = torch.tensor([[True, True, False, True], [True] * 4])
    for loss in heatmap_losses(swap_invariant=swap_invariant):
        maps = (targets.unsqueeze(1) * 5).clone().requires_grad_()
        loss(maps, targets * 0.9, visible).backward()
        assert maps.grad[0, 0, 2].abs().max() == 0
        assert maps.grad[0, 0, 1].abs().max() > 0


@pytest.mark.parametrize("swap_invariant", [False, True])
def test_losses_and_gradients_are_finite_without_any_target(swap_invariant):
    nothing = torch.zeros(2, 4, 24, 32)
    for loss in heatmap_losses(swap_invariant=swap_invariant):
        maps = torch.randn(2, 1, 4, 24, 32).requires_grad_()
        value = loss(maps, nothing, torch.zeros(2, 4, dtype=torch.bool))
        value.backward()
        assert value.isfinite()
        assert maps.grad.isfinite().all()


def test_activations_are_heatmaps():
    maps = torch.randn(2, 4, 24, 32)
    assert (MeanSquaredError(swap_invariant=True).activate(maps) >= 0).all()
    torch.testing.assert_close(CrossEntropy(swap_invariant=True).activate(maps).sum((-2, -1)), torch.ones(2, 4))


def test_cross_entropy_is_least_at_the_target(targets):
    loss = CrossEntropy(swap_invariant=False)
    best = loss(targets.clamp_min(1e-30).log().unsqueeze(1), targets, VISIBLE)
    for seed in range(5):
        noise = torch.randn(targets.shape, generator=torch.Generator().manual_seed(seed)) * 0.1
        assert loss((targets.clamp_min(1e-30).log() + noise).unsqueeze(1), targets, VISIBLE) > best


def test_coordinate_loss_by_hand():
    truth = torch.full((1, 4, 2), 0.5)
    predicted = truth.clone()
    predicted[0, 0] += torch.tensor([0.1, 0.01])
    loss = CoordinateLoss(swap_invariant=False, beta=0.02)
    # Beyond beta: |d| - beta / 2; within: d^2 / (2 beta). Summed over x and y, mean over four landmarks.
    expected = ((0.1 - 0.01) + 0.01**2 / 0.04) / 4
    assert loss(predicted, truth, VISIBLE[:1]) == pytest.approx(expected, rel=1e-5)
    assert CoordinateLoss(swap_invariant=True)(landmarks.half_turn(POINTS), POINTS, VISIBLE) == 0
