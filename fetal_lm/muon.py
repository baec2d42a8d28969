"""Muon: steps of the matrices of a network that go equally far in all directions."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any, Final

import torch
from jaxtyping import Float
from torch import Tensor
from torch.optim import AdamW

NEWTON_SCHULZ: Final = (3.4445, -4.7750, 2.0315)
"""Coefficients of the odd polynomial that takes singular values between 0 and 1 to near 1 when repeated: within 0.7
and 1.2 after five times, those below about 0.002 excepted."""

RMS_OF_ADAMW: Final = 0.2
"""Of a step of AdamW, in learning rates, as Liu et al. found it."""


class Muon(AdamW):
    """Orthogonalised momentum for matrices, AdamW for all else.

    A convolution's weight `[out, in, k, k]` is a matrix `[out, in * k * k]`. Of its momentum only the singular vectors
    are kept, so that directions in which gradients are small are learnt as fast as the others. First and last layers
    (fewer channels than `fewest` on one side), biases and norms are AdamW's, with the same learning rate: the step of a
    matrix is scaled to the root mean square that AdamW's steps usually have. `torch.optim.Muon` takes no convolutions.

    Sources: Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024,
    https://kellerjordan.github.io/posts/muon; the scale: Liu et al., "Muon is scalable for LLM training", 2025,
    arXiv 2502.16982.

    Args:
        params: of the network.
        lr: learning rate.
        weight_decay: decoupled, as AdamW's.
        momentum: of the matrices, Nesterov's.
        iterations: of Newton and Schulz.
        fewest: channels in and out from which on a weight is a matrix.
        **adamw: other options of `torch.optim.AdamW`, such as `betas`.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 3e-3,
        *,
        weight_decay: float = 1e-2,
        momentum: float = 0.95,
        iterations: int = 5,
        fewest: int = 16,
        **adamw: Any,
    ) -> None:
        super().__init__(params, lr=lr, weight_decay=weight_decay, **adamw)
        self.momentum = momentum
        self.iterations = iterations
        self.fewest = fewest

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; returns what `closure`, which computes the gradients, returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        set_aside: list[tuple[Tensor, Tensor]] = []
        for group in self.param_groups:
            matrices = [
                weight for weight in group["params"] if weight.grad is not None and is_matrix(weight, self.fewest)
            ]
            self._step_matrices(matrices, lr=group["lr"], weight_decay=group["weight_decay"])
            for weight in matrices:
                set_aside.append((weight, weight.grad))
                weight.grad = None
        super().step()
        for weight, gradient in set_aside:
            weight.grad = gradient
        return loss

    def _step_matrices(self, weights: list[Tensor], *, lr: float, weight_decay: float) -> None:
        alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)
        for weight in weights:
            state = self.state[weight]
            if not state:
                # AdamW's loader wants a count of steps in every state.
                state |= {"step": torch.zeros(()), "momentum": torch.zeros_like(weight)}
            state["step"] += 1
            gradient = weight.grad
            state["momentum"].mul_(self.momentum).add_(gradient)
            ahead = gradient + self.momentum * state["momentum"]
            alike[len(weight), weight[0].numel()].append((weight, ahead.flatten(1)))
        for shape, pairs in alike.items():
            steps = orthogonalised(torch.stack([ahead for _, ahead in pairs]), self.iterations)
            length = lr * RMS_OF_ADAMW * math.sqrt(max(shape))
            for (weight, _), step in zip(pairs, steps, strict=True):
                weight.mul_(1 - lr * weight_decay).sub_(step.view(weight.shape), alpha=length)


def is_matrix(weight: Tensor, fewest: int) -> bool:
    """Whether a weight has so many channels in and out."""
    return weight.ndim >= 2 and min(weight.shape[:2]) >= fewest


def orthogonalised(matrices: Float[Tensor, "n rows columns"], iterations: int) -> Float[Tensor, "n rows columns"]:
    """Each matrix with singular values near 1 and its own singular vectors, by Newton and Schulz's iteration.

    Example:
        >>> matrix = torch.diag(torch.tensor([5.0, 0.1]))
        >>> torch.linalg.svdvals(orthogonalised(matrix[None], iterations=5)).round(decimals=1)
        tensor([[0.7000, 0.7000]])
    """
    a, b, c = NEWTON_SCHULZ
    upright = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if upright else matrices
    x = x / torch.linalg.matrix_norm(x, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
    for _ in range(iterations):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if upright else x
