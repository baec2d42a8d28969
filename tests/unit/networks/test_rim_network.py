import pytest
import torch

from fetal_lm.codecs import rim
from fetal_lm.networks.rim_network import RimNetwork


@pytest.mark.parametrize("rays", [1, 9, 32])
def test_a_strip_has_no_beginning(rays):
    torch.manual_seed(0)
    network = RimNetwork(channels=8).eval()
    strip = torch.rand(2, 2, rim.ACROSS, rim.ALONG)
    logits = network(strip)
    assert logits.shape == (2, rim.BINS, rim.RAYS)
    turned = network(strip.roll(2 * rays, dims=-1))
    torch.testing.assert_close(turned, logits.roll(rays, dims=-1), atol=1e-5, rtol=0)


def test_every_ray_sees_all_the_way_round():
    network = RimNetwork(channels=8).eval()
    strip = torch.rand(1, 2, rim.ACROSS, rim.ALONG, requires_grad=True)
    network(strip)[0, :, 0].sum().backward()
    assert (strip.grad[0, 0].abs().sum(0) > 0).float().mean() >= 0.6


def test_every_parameter_gets_a_gradient_and_logits_are_float32():
    network = RimNetwork(channels=8)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(torch.rand(2, 2, rim.ACROSS, rim.ALONG))
    assert logits.dtype == torch.float32
    logits.square().mean().backward()
    assert [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()] == []
