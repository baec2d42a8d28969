import pytest
import torch

from fetal_lm.errors import InputError
from fetal_lm.networks import efficientnet
from fetal_lm.networks.efficient_unet import EfficientUNet
from fetal_lm.networks.efficientnet import EfficientNetLite


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_maps_are_of_stride_4_and_sizes_multiples_of_the_coarsest_stride(depth):
    network = EfficientUNet(depth=depth, channels=8, maps=5)
    maps, features = network(torch.rand(2, 1, 64, 96))
    assert maps.shape == (2, 1, 5, 16, 24)
    assert features.shape == (2, 8, 16, 24)
    with pytest.raises(InputError, match=f"multiples of {4 * 2**depth}"):
        network(torch.rand(1, 1, 64, 100))


@pytest.mark.parametrize("levels", [0, 5])
def test_lite0_has_four_levels(levels):
    with pytest.raises(ValueError, match=f"1 to 4 levels, not {levels}"):
        EfficientNetLite(levels)


def test_every_parameter_gets_a_gradient():
    network = EfficientUNet(channels=8)
    maps, _ = network(torch.rand(2, 1, 32, 64))
    maps.square().mean().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None] == []


def test_maps_are_float32_under_autocast():
    network = EfficientUNet(channels=8).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        maps, features = network(torch.rand(2, 1, 32, 64))
    assert maps.dtype == torch.float32
    assert features.dtype == torch.bfloat16


def pattern():
    rows, columns = torch.meshgrid(torch.arange(64), torch.arange(96), indexing="ij")
    return ((rows * 7 + columns * 13) % 32 / 31)[None, None]


def test_the_features_are_those_of_the_published_network():
    encoder = EfficientNetLite(4).eval()
    encoder.load_imagenet()
    with torch.no_grad():
        found = encoder(pattern())
    # Made once with efficientnet_lite_pytorch 0.1.0 of the same weights, three times the same grey for the colours; all
    # values agreed to 4e-5.
    for features, mean, deviation, first in zip(
        found,
        (-0.63155, 1.42302, 0.12187, 0.17725),
        (12.69930, 9.26335, 6.18593, 6.78516),
        ((-12.75907, -14.16658, 26.18738), (3.57574, 6.58594, 1.42787), (3.18354, -0.97916, 8.72911),
         (-3.70344, 1.76396, 9.06293)),
        strict=True,
    ):  # fmt: skip
        assert features.mean().item() == pytest.approx(mean, abs=2e-4)
        assert features.std().item() == pytest.approx(deviation, abs=2e-4)
        torch.testing.assert_close(features[0, :3, 1, 1], torch.tensor(first), atol=2e-4, rtol=0)


def test_a_training_begins_with_them_if_it_asks_for_them():
    encoder = EfficientNetLite(4)
    encoder.load_imagenet()
    for pretrained in (True, False):
        network = EfficientUNet(channels=8, pretrained=pretrained)
        network.begin()
        assert torch.equal(network.encoder.stages[3][0].body[0][0].weight, encoder.stages[3][0].body[0][0].weight) == (
            pretrained
        )


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(efficientnet, "PACKAGE", "no_such_package")
    with pytest.raises(InputError, match=r"fetal_lm\[imagenet\].*pretrained=false"):
        EfficientUNet(channels=8).begin()


def test_another_file_is_refused(tmp_path, monkeypatch):
    package = tmp_path / "weights_of_another"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / efficientnet.FILE).write_bytes(b"no weights")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(efficientnet, "PACKAGE", package.name)
    with pytest.raises(InputError, match="not the weights of"):
        EfficientNetLite(1).load_imagenet()
