"""Losses: tensors in, scalar out; and for a heatmap loss, what turns a network's maps into heatmaps for decoding.

A heatmap loss and the activation that goes with it belong together: maps trained as the logits of a spatial softmax
are not heatmaps before it. All losses are means over images, finite for every finite input, and leave out the
landmarks that `visible` says lie outside the frame.

Swap-invariant losses take, image by image, the better of the two names of one head: the pairs as labelled, or both
pairs swapped at once (`landmarks.half_turn`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fetal_lm import landmarks

Maps = Float[Tensor, "B S K h w"]
Targets = Float[Tensor, "B K h w"]
Visible = Bool[Tensor, "B K"]


@runtime_checkable
class HeatmapLoss(Protocol):
    """What a hypothesis asks of a heatmap loss."""

    swap_invariant: bool

    def __call__(self, maps: Maps, targets: Targets, visible: Visible) -> Float[Tensor, ""]:
        """Mean over images of the sum over stages; see the implementations."""
        ...

    def activate(self, maps: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
        """Non-negative heatmaps from a network's maps."""
        ...


class MeanSquaredError:
    """The study's loss: squared difference between the maps and Gaussians of peak 1, mean over pixels and landmarks."""

    def __init__(self, *, swap_invariant: bool) -> None:
        self.swap_invariant = swap_invariant

    def __call__(self, maps: Maps, targets: Targets, visible: Visible) -> Float[Tensor, ""]:
        """Mean over images of the sum over stages.

        Args:
            maps: raw maps of every stage.
            targets: `codec.encode` of the landmarks.
            visible: landmarks inside the frame.
        """
        maps = maps.float()

        def cost(stage_targets: Float[Tensor, "B 1 K h w"]) -> Float[Tensor, "B S K"]:
            return ((maps - stage_targets) ** 2).mean(dim=(-2, -1))

        return _assign(cost, targets.unsqueeze(1), visible, swap_invariant=self.swap_invariant)

    def activate(self, maps: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
        """The maps themselves, cut at zero."""
        return maps.float().clamp_min(0)


class CrossEntropy:
    """Cross-entropy between the softmax over all pixels of a map and the Gaussian normalised to sum 1, in nats.

    Unlike the squared error on sparse maps it has no plateau at the all-zero map.
    """

    def __init__(self, *, swap_invariant: bool) -> None:
        self.swap_invariant = swap_invariant

    def __call__(self, maps: Maps, targets: Targets, visible: Visible) -> Float[Tensor, ""]:
        """Mean over images of the sum over stages; arguments as for `MeanSquaredError`."""
        log_probability = maps.float().flatten(-2).log_softmax(-1)
        mass = targets.flatten(-2).unsqueeze(1)
        mass = mass / mass.sum(-1, keepdim=True).clamp_min(torch.finfo(mass.dtype).tiny)

        def cost(stage_mass: Float[Tensor, "B 1 K hw"]) -> Float[Tensor, "B S K"]:
            return -(stage_mass * log_probability).sum(-1)

        return _assign(cost, mass, visible, swap_invariant=self.swap_invariant)

    def activate(self, maps: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
        """The softmax over all pixels of each map, sum 1."""
        heatmaps: Tensor = maps.float().flatten(-2).softmax(-1).unflatten(-1, maps.shape[-2:])
        return heatmaps


class CoordinateLoss:
    """Smooth L1 between predicted and true coordinates, as fractions of the image's width and height.

    Args:
        beta: where the loss turns from quadratic to linear, as a fraction of the image.
        swap_invariant: as for heatmap losses.
    """

    def __init__(self, *, swap_invariant: bool, beta: float = 0.02) -> None:
        self.swap_invariant = swap_invariant
        self.beta = beta

    def __call__(
        self, predicted: Float[Tensor, "B K 2"], truth: Float[Tensor, "B K 2"], visible: Visible
    ) -> Float[Tensor, ""]:
        """Mean over images."""
        predicted = predicted.float().unsqueeze(1)

        def cost(names: Float[Tensor, "B 1 K 2"]) -> Float[Tensor, "B 1 K"]:
            distance = torch.nn.functional.smooth_l1_loss(
                predicted, names.expand_as(predicted), reduction="none", beta=self.beta
            )
            return distance.sum(-1)

        return _assign(cost, truth.float().unsqueeze(1), visible, swap_invariant=self.swap_invariant)


def _assign(
    cost: Callable[[Tensor], Tensor], targets: Tensor, visible: Visible, *, swap_invariant: bool
) -> Float[Tensor, ""]:
    """Mean over the visible landmarks, the better of two names where asked, sum over stages, mean over images.

    Args:
        cost: from targets `[B, 1, K, ...]` to the cost of each stage and landmark `[B, S, K]`.
        targets: `[B, 1, K, ...]`.
        visible: landmarks inside the frame.
        swap_invariant: whether the half turn may be taken.
    """
    turn = list(landmarks.HALF_TURN)
    per_stage = _visible_mean(cost(targets), visible)
    if swap_invariant:
        turned = _visible_mean(cost(targets[:, :, turn]), visible[:, turn])
        per_stage = torch.minimum(per_stage, turned)
    return per_stage.sum(-1).mean()


def _visible_mean(costs: Float[Tensor, "B S K"], visible: Visible) -> Float[Tensor, "B S"]:
    weights = visible.unsqueeze(1).to(costs.dtype)
    return (costs * weights).sum(-1) / weights.sum(-1).clamp_min(1)
