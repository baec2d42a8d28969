import math

import pytest
import torch

from fetal_lm import landmarks
from fetal_lm.codecs.gaussian import GaussianCodec
from fetal_lm.losses import CoordinateLoss, CrossEntropy, CrossEntropyWing, MeanSquaredError, Target, expectation, wing

SIZE_NET = (96, 128)
VISIBLE = torch.ones(2, 4, dtype=torch.bool)
POINTS = torch.tensor(
    [
        [[20.0, 40.0], [100.0, 44.0], [60.0, 10.0], [58.0, 80.0]],
        [[30.0, 50.0], [110.0, 30.0], [64.0, 12.0], [75.0, 70.0]],
    ]
)


WING = {"weight": 0.05, "w_px": 10.0, "epsilon_px": 2.0}


def target_of(heatmaps, points_net=POINTS, visible=VISIBLE):
    return Target(heatmaps, points_net[: len(heatmaps)], visible[: len(heatmaps)], stride=4)


def renamed(target, names):
    names = list(names)
    return target._replace(
        heatmaps=target.heatmaps[:, names], points_net=target.points_net[:, names], visible=target.visible[:, names]
    )


@pytest.fixture
def target():
    return target_of(GaussianCodec(sigma_px=8.0).encode(POINTS, size_net=SIZE_NET, stride=4))


def heatmap_losses(**options):
    return [MeanSquaredError(**options), CrossEntropy(**options), CrossEntropyWing(**options, **WING)]


def test_mean_squared_error_by_hand():
    heatmaps = torch.zeros(1, 4, 2, 3)
    heatmaps[0, 2, 1, 1] = 3.0
    loss = MeanSquaredError(swap_invariant=False)
    assert loss(torch.zeros(1, 1, 4, 2, 3), target_of(heatmaps)) == pytest.approx(9 / 6 / 4)


def test_cross_entropy_by_hand():
    heatmaps = torch.zeros(1, 4, 2, 3)
    heatmaps[..., 0, 0] = 0.5  # Any scale: it is normalised.
    uniform = CrossEntropy(swap_invariant=False)(torch.zeros(1, 1, 4, 2, 3), target_of(heatmaps))
    assert uniform == pytest.approx(torch.log(torch.tensor(6.0)).item())


def test_wing_by_hand():
    errors = torch.tensor([0.0, 1.0, -1.0, 9.999999, 10.0, 10.000001, -30.0])
    bend = 10 * math.log(6)  # w ln(1 + w / epsilon)
    small = 10 * math.log(1.5)
    expected = torch.tensor([0.0, small, small, bend, bend, bend, 20 + bend])
    torch.testing.assert_close(wing(errors, w_px=10.0, epsilon_px=2.0), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("stride", [1, 4])
def test_cross_entropy_with_wing_by_hand(stride):
    heatmaps = torch.zeros(1, 4, 2, 3)
    heatmaps[..., 1, 2] = 1.0
    maps = (heatmaps * 200).unsqueeze(1)  # A softmax of 1 there: no cross-entropy.
    points_net = ((torch.tensor([2.0, 1.0]) + 0.5) * stride - 0.5).repeat(1, 4, 1)
    points_net[0, 3] += torch.tensor([3.0, -12.0])
    loss = CrossEntropyWing(swap_invariant=False, **WING)
    expected = 0.05 * (10 * math.log(2.5) + 2 + 10 * math.log(6)) / 4
    assert loss(maps, Target(heatmaps, points_net, VISIBLE[:1], stride)) == pytest.approx(expected, rel=1e-5)


def test_the_expectation_of_a_gaussian_is_its_centre():
    centre = torch.tensor([70.3, 40.6])  # 5 sigma and more from every edge.
    heatmap = GaussianCodec(sigma_px=8.0).encode(centre, size_net=SIZE_NET, stride=4)
    found_net = (expectation(heatmap / heatmap.sum()) + 0.5) * 4 - 0.5
    assert (found_net - centre).abs().max() < 1e-3


@pytest.mark.parametrize("loss", heatmap_losses(swap_invariant=True))
def test_a_half_turn_costs_nothing_when_swap_invariant(loss, target):
    maps = torch.randn(2, 3, 4, 24, 32)
    turned = renamed(target, landmarks.HALF_TURN)
    assert loss(maps, target) == pytest.approx(loss(maps, turned).item(), rel=1e-6)


@pytest.mark.parametrize("loss", heatmap_losses(swap_invariant=True))
def test_swapping_one_pair_alone_is_not_forgiven(loss, target):
    maps = target.heatmaps.unsqueeze(1) * 20
    assert loss(maps, renamed(target, landmarks.HORIZONTAL_FLIP)) > loss(maps, target) * 1.05


def test_the_assignment_is_chosen_image_by_image(target):
    maps = target.heatmaps.clone().unsqueeze(1)
    maps[1] = maps[1][:, list(landmarks.HALF_TURN)]
    assert MeanSquaredError(swap_invariant=True)(maps, target) == pytest.approx(0, abs=1e-9)
    assert MeanSquaredError(swap_invariant=False)(maps, target) > 0.01


def test_one_name_is_chosen_for_both_terms(target):
    # Heatmaps that speak for one name and points that speak for the other: no name is cheap.
    turn = list(landmarks.HALF_TURN)
    torn = target._replace(heatmaps=target.heatmaps[:, turn])
    maps = target.heatmaps.unsqueeze(1) * 20
    maps[1] *= 0.1
    fixed, free = (CrossEntropyWing(swap_invariant=swap, **WING) for swap in (False, True))

    def alone(image, named):
        return fixed(
            maps[image : image + 1],
            named._replace(
                **{name: getattr(named, name)[image : image + 1] for name in ("heatmaps", "points_net", "visible")}
            ),
        )

    names = [torch.stack([alone(image, named) for image in range(2)]) for named in (torn, renamed(torn, turn))]
    assert free(maps, torn) == pytest.approx(torch.minimum(*names).mean().item(), rel=1e-6)
    cross_entropy = CrossEntropy(swap_invariant=True)
    each_term_its_own = cross_entropy(maps, torn) + free(maps, target) - cross_entropy(maps, target)
    assert free(maps, torn) > each_term_its_own + 1.0


@pytest.mark.parametrize("swap_invariant", [False, True])
def test_stages_add_up(target, swap_invariant):
    maps = torch.randn(2, 3, 4, 24, 32)
    for loss in heatmap_losses(swap_invariant=swap_invariant):
        stages = sum(loss(maps[:, s : s + 1], target) for s in range(3))
        assert loss(maps, target) == pytest.approx(stages.item(), rel=1e-5)


@pytest.mark.parametrize("swap_invariant", [False, True])
@pytest.mark.parametrize("outside", [-9.0, math.nan, math.inf])
def test_invisible_landmarks_get_no_gradient(target, swap_invariant, outside):
    visible = torch.tensor([[True, True, False, True], [True] * 4])
    points_net = POINTS.masked_fill(~visible.unsqueeze(-1), outside)
    seen = Target(target.heatmaps * 0.9, points_net, visible, stride=4)
    for loss in heatmap_losses(swap_invariant=swap_invariant):
        maps = (target.heatmaps.unsqueeze(1) * 5).clone().requires_grad_()
        loss(maps, seen).backward()
        assert maps.grad.isfinite().all()
        assert maps.grad[0, 0, 2].abs().max() == 0
        assert maps.grad[0, 0, 1].abs().max() > 0


@pytest.mark.parametrize("swap_invariant", [False, True])
def test_losses_and_gradients_are_finite_without_any_target(swap_invariant):
    nothing = target_of(torch.zeros(2, 4, 24, 32), POINTS.new_full(POINTS.shape, math.nan), ~VISIBLE)
    for loss in heatmap_losses(swap_invariant=swap_invariant):
        maps = torch.randn(2, 1, 4, 24, 32).requires_grad_()
        value = loss(maps, nothing)
        value.backward()
        assert value.isfinite()
        assert maps.grad.isfinite().all()


@pytest.mark.parametrize("swap_invariant", [False, True])
@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4, 1e30, 3.4e38])
def test_cross_entropies_and_gradients_are_finite_on_flat_and_on_saturated_maps(target, scale, swap_invariant):
    uniform = torch.rand(2, 2, 4, 24, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for loss in heatmap_losses(swap_invariant=swap_invariant)[1:]:
        maps = (uniform * scale).requires_grad_()
        value = loss(maps, target)
        value.backward()
        assert value.isfinite()
        assert maps.grad.isfinite().all()


def test_the_wing_term_pulls_a_flat_maps_expectation_to_the_truth(target):
    maps = torch.zeros(2, 1, 4, 24, 32, requires_grad=True)
    with_wing, without = (
        torch.autograd.grad(loss(maps, target), maps)[0] for loss in heatmap_losses(swap_invariant=False)[:0:-1]
    )
    moved = maps - 20 * (with_wing - without)
    truth = ((POINTS + 0.5) / 4 - 0.5).unsqueeze(1)
    before, after = (
        torch.linalg.vector_norm(expectation(one.flatten(-2).softmax(-1).view_as(one)) - truth, dim=-1)
        for one in (maps, moved)
    )
    assert (after < before - 0.01).all()


def test_wing_is_not_rounded_by_autocast(target):
    maps = torch.randn(2, 1, 4, 24, 32, generator=torch.Generator().manual_seed(0)) * 5
    loss = CrossEntropyWing(swap_invariant=True, **WING)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        value = loss(maps, target)
    assert value == pytest.approx(loss(maps, target).item(), rel=1e-6)


@pytest.mark.parametrize("name", ["weight", "w_px", "epsilon_px"])
@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_bad_options_of_wing_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be positive"):
        CrossEntropyWing(swap_invariant=True, **WING | {name: value})


def test_activations_are_heatmaps():
    maps = torch.randn(2, 4, 24, 32)
    assert (MeanSquaredError(swap_invariant=True).activate(maps) >= 0).all()
    torch.testing.assert_close(CrossEntropy(swap_invariant=True).activate(maps).sum((-2, -1)), torch.ones(2, 4))


def test_cross_entropy_is_least_at_the_target(target):
    loss = CrossEntropy(swap_invariant=False)
    log = target.heatmaps.clamp_min(1e-30).log()
    best = loss(log.unsqueeze(1), target)
    for seed in range(5):
        noise = torch.randn(log.shape, generator=torch.Generator().manual_seed(seed)) * 0.1
        assert loss((log + noise).unsqueeze(1), target) > best


def test_coordinate_loss_by_hand():
    truth = torch.full((1, 4, 2), 0.5)
    predicted = truth.clone()
    predicted[0, 0] += torch.tensor([0.1, 0.01])
    loss = CoordinateLoss(swap_invariant=False, beta=0.02)
    # Beyond beta: |d| - beta / 2; within: d^2 / (2 beta). Summed over x and y, mean over four landmarks.
    expected = ((0.1 - 0.01) + 0.01**2 / 0.04) / 4
    assert loss(predicted, truth, VISIBLE[:1]) == pytest.approx(expected, rel=1e-5)
    assert CoordinateLoss(swap_invariant=True)(landmarks.half_turn(POINTS), POINTS, VISIBLE) == 0
