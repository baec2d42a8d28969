import pytest
import torch

from fetal_lm.networks.coordinate_head import CoordinateHead
from fetal_lm.networks.efficient_unet import EfficientUNet
from fetal_lm.networks.hourglass import Hourglass
from fetal_lm.networks.stacked_hourglass import StackedHourglass


@pytest.mark.parametrize("stride", [1, 2, 4])
@pytest.mark.parametrize("stacks", [1, 3])
@pytest.mark.parametrize("in_channels", [1, 3])
def test_shapes(stride, stacks, in_channels):
    network = StackedHourglass(stacks=stacks, depth=2, channels=8, stride=stride, in_channels=in_channels)
    maps, features = network(torch.rand(2, 1, 32, 48))
    assert maps.shape == (2, stacks, 4, 32 // stride, 48 // stride)
    assert features.shape == (2, 8, 32 // stride, 48 // stride)


def test_a_growing_hourglass_is_wider_below_every_halving_and_comes_back_to_its_width():
    hourglass = Hourglass(2, 24, growth=1.5)
    seen = []
    for module in (hourglass.down, hourglass.inner.down, hourglass):
        module.register_forward_hook(lambda _module, _inputs, out: seen.append(tuple(out.shape)))
    hourglass(torch.rand(1, 24, 8, 12))
    assert seen == [(1, 32, 4, 6), (1, 48, 2, 3), (1, 24, 8, 12)]


def test_growth_of_1_is_the_hourglass_that_it_was():
    plain, grown = Hourglass(2, 20), Hourglass(2, 20, growth=1.0)
    assert [tuple(value.shape) for value in plain.parameters()] == [tuple(value.shape) for value in grown.parameters()]
    assert {value.shape[0] for value in grown.parameters()} == {20}


@pytest.mark.parametrize(("channels", "growth"), [(2, 1.5), (10, 1.1), (18, 1.05)])
def test_what_grows_does_not_become_narrower(channels, growth):
    hourglass = Hourglass(2, channels, growth)
    assert hourglass(torch.rand(1, channels, 8, 8)).shape == (1, channels, 8, 8)
    assert hourglass.down[1].body[0][0].out_channels >= channels


def test_a_network_that_shrinks_is_the_network_on_the_smaller_image():
    torch.manual_seed(0)
    network = StackedHourglass(depth=2, channels=8, shrink=2).eval()
    image = torch.rand(1, 1, 64, 96)
    maps, _ = network(image)
    assert (network.stride, network.multiple, tuple(maps.shape)) == (8, 32, (1, 1, 4, 8, 12))
    smaller = image.reshape(1, 1, 32, 2, 48, 2).mean((3, 5))
    torch.testing.assert_close(smaller, torch.nn.functional.avg_pool2d(image, 2))
    network.shrink, network.multiple = 1, 16
    assert torch.equal(network(smaller)[0], maps)


def test_later_stacks_see_the_maps_of_earlier_ones():
    network = StackedHourglass(stacks=2, depth=1, channels=8, stride=4).eval()
    image = torch.rand(1, 1, 32, 48)
    before, _ = network(image)
    with torch.no_grad():
        network.heads[0].bias += 1.0
    after, _ = network(image)
    assert not torch.allclose(before[:, 1], after[:, 1])


def test_every_parameter_gets_a_gradient():
    network = StackedHourglass(stacks=2, depth=2, channels=8, stride=4)
    maps, features = network(torch.rand(2, 1, 32, 48))
    (maps.square().mean() + features.square().mean()).backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []


def test_maps_are_float32_under_autocast():
    network = StackedHourglass(depth=1, channels=8).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        maps, features = network(torch.rand(1, 1, 32, 48))
    assert maps.dtype == torch.float32
    assert features.dtype == torch.bfloat16


def test_the_studys_network_has_its_number_of_parameters_to_a_few_percent():
    # 1.01 M: two residual blocks, one hourglass of depth 4, 64 channels, full resolution.
    network = StackedHourglass(depth=4, channels=64, stride=1, in_channels=3)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(1.10e6, rel=0.1)


def test_coordinates_are_float32_under_autocast():
    head = CoordinateHead(8)
    torch.nn.init.normal_(head.layers[2].weight)
    features = torch.rand(16, 8, 5, 7, dtype=torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        fractions = head(features)
    assert fractions.dtype == torch.float32
    assert not torch.equal(fractions, fractions.bfloat16().float())


def test_the_coordinate_head_starts_at_the_centre():
    fractions = CoordinateHead(8)(torch.rand(3, 8, 5, 7))
    assert fractions.shape == (3, 4, 2)
    assert torch.equal(fractions, torch.full((3, 4, 2), 0.5))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StackedHourglass(stride=3), "one of"),
        (lambda: StackedHourglass(stacks=0), "1 stack or more"),
        (lambda: StackedHourglass(shrink=0), "1 or more, not 0"),
        (lambda: EfficientUNet(shrink=-1), "1 or more, not -1"),
        (lambda: EfficientUNet(depth=0), "depth of 1 or more"),
        (lambda: Hourglass(0, 8), "depth of 1 or more"),
        (lambda: Hourglass(1, 8, growth=0.5), "growth must be 1 or more, not 0.5"),
    ],
)
def test_impossible_sizes_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
