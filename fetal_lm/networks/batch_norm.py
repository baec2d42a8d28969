"""Batch normalisation whose batch is that of all processes which train together."""

from __future__ import annotations

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn


class BatchNorm(nn.BatchNorm2d):
    """torch's, but in a distributed training mean and variance are of the images of all processes.

    Otherwise a training in two processes of four images is another one than that in one process of eight. torch's own
    `SyncBatchNorm` is for GPUs alone. Weights and state have the names of `torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C h w"]:
        """Normalises each channel."""
        if not (self.training and distributed.is_available() and distributed.is_initialized()):
            normalised: Tensor = super().forward(input)
            return normalised
        features = input.float()
        count = input.numel() // input.shape[1] * distributed.get_world_size()
        mean = _all_sum(features.sum((0, 2, 3))) / count
        centred = features - _by_channel(mean)
        # In a second pass: the difference of two means of squares would lose digits.
        variance = _all_sum(centred.square().sum((0, 2, 3))) / count
        self._remember(mean.detach(), variance.detach() * count / max(1, count - 1))
        scaled = centred * _by_channel(self.weight * (variance + self.eps).rsqrt()) + _by_channel(self.bias)
        return scaled.to(input.dtype)

    @torch.no_grad()
    def _remember(self, mean: Float[Tensor, "C"], variance: Float[Tensor, "C"]) -> None:
        """Moves the running statistics, which a trained model normalises with, towards those of a batch."""
        cast(Tensor, self.num_batches_tracked).add_(1)
        for running, value in ((self.running_mean, mean), (self.running_var, variance)):
            cast(Tensor, running).lerp_(value, cast(float, self.momentum))


def _by_channel(values: Float[Tensor, "C"]) -> Float[Tensor, "1 C 1 1"]:
    return values[None, :, None, None]


def _all_sum(values: Float[Tensor, "C"]) -> Float[Tensor, "C"]:
    total: Tensor = _AllSum.apply(values)  # type: ignore[no-untyped-call]  # torch has no types for it
    return total


class _AllSum(torch.autograd.Function):
    """The sum over all processes; each one's loss depends on every process's values, and so do the gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ARG004
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total
