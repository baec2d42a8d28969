"""Batch normalisation over processes is that of one process with all images; gradients and running statistics too."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import torch

from fetal_lm.networks import batch_norm
from fetal_lm.networks.batch_norm import BatchNorm

CHANNELS = 3


class Together:
    """`torch.distributed` for threads in place of processes; `tests/smoke/test_ddp.py` has the real one."""

    def __init__(self, processes):
        self.barrier = Barrier(processes, timeout=60)
        self.parts = []

    def is_available(self):
        return True

    def is_initialized(self):
        return True

    def get_world_size(self):
        return self.barrier.parties

    def all_reduce(self, values):
        self.parts.append(values.clone())
        self.barrier.wait()
        values.copy_(torch.stack(self.parts).sum(0))
        if self.barrier.wait() == 0:
            self.parts.clear()
        self.barrier.wait()


def normalise(layer, features, weights):
    """Output, gradients and state of one step whose loss is a mean over images."""
    features = features.clone().requires_grad_()
    out = layer(features)
    (out * weights).sum((1, 2, 3)).mean().backward()
    return {
        "out": out.detach(),
        "features": features.grad,
        "weight": layer.weight.grad,
        "bias": layer.bias.grad,
        "mean": layer.running_mean,
        "variance": layer.running_var,
        "batches": layer.num_batches_tracked,
    }


def test_two_processes_normalise_as_one(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    features = 5 + torch.randn(4, CHANNELS, 5, 7, generator=generator)
    weights = torch.randn(4, CHANNELS, 5, 7, generator=generator)
    alone = normalise(torch.nn.BatchNorm2d(CHANNELS), features, weights)
    monkeypatch.setattr(batch_norm, "distributed", Together(2))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(
            normalise, [BatchNorm(CHANNELS), BatchNorm(CHANNELS)], features.split(2), weights.split(2)
        )
    for name in ("mean", "variance", "batches"):
        torch.testing.assert_close(first[name], alone[name])
        torch.testing.assert_close(second[name], alone[name])
    torch.testing.assert_close(torch.cat([first["out"], second["out"]]), alone["out"])
    # Each process's mean is over its own two images, and the gradients are averaged over the processes.
    torch.testing.assert_close(torch.cat([first["features"], second["features"]]) / 2, alone["features"])
    for name in ("weight", "bias"):
        torch.testing.assert_close((first[name] + second[name]) / 2, alone[name])


def test_one_process_normalises_as_torch():
    features = torch.randn(4, CHANNELS, 5, 7, generator=torch.Generator().manual_seed(0))
    ours, torchs = BatchNorm(CHANNELS), torch.nn.BatchNorm2d(CHANNELS)
    assert torch.equal(ours(features), torchs(features))
    assert torch.equal(ours.eval()(features), torchs.eval()(features))
    assert ours.state_dict().keys() == torchs.state_dict().keys()
