"""Losses: tensors in, scalar out; and for a heatmap loss, what turns a network's maps into heatmaps for decoding.

A heatmap loss and the activation that goes with it belong together: maps trained as the logits of a spatial softmax
are not heatmaps before it. All losses are means over images, finite for every finite input, and leave out the
landmarks that `visible` says lie outside the frame.

Swap-invariant losses take, image by image, the better of the two names of one head: the pairs as labelled, or both
pairs swapped at once (`landmarks.half_turn`). A loss of several terms takes one name for all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from fetal_lm import landmarks
from fetal_lm.geometry import from_map

Maps = Float[Tensor, "B S K h w"]
Visible = Bool[Tensor, "B K"]

Cost = Callable[[list[int]], Float[Tensor, "B S K"]]
"""From an order of the true landmarks' names to the cost of each stage and landmark."""

LOWEST: Final = -1e30
"""Logarithm below which a probability counts as this: maps whose range overflows float32 would give 0 x infinity."""


class Target(NamedTuple):
    """What the maps of a batch are compared with.

    Attributes:
        heatmaps: `codec.encode` of the landmarks.
        points_net: the landmarks (x, y) in network pixels; any value where they are not visible.
        visible: landmarks inside the frame.
        stride: network pixels per heatmap pixel.
    """

    heatmaps: Float[Tensor, "B K h w"]
    points_net: Float[Tensor, "B K 2"]
    visible: Visible
    stride: int


@runtime_checkable
class HeatmapLoss(Protocol):
    """What a hypothesis asks of a heatmap loss."""

    swap_invariant: bool

    def __call__(self, maps: Maps, target: Target) -> Float[Tensor, ""]:
        """Mean over images of the sum over stages; see the implementations."""
        ...

    def activate(self, maps: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
        """Non-negative heatmaps from a network's maps."""
        ...


class MeanSquaredError:
    """The study's loss: squared difference between the maps and Gaussians of peak 1, mean over pixels and landmarks."""

    def __init__(self, *, swap_invariant: bool) -> None:
        self.swap_invariant = swap_invariant

    def __call__(self, maps: Maps, target: Target) -> Float[Tensor, ""]:
        """Mean over images of the sum over stages.

        Args:
            maps: raw maps of every stage.
            target: what they are compared with; here its heatmaps.
        """
        maps, heatmaps = maps.float(), target.heatmaps.unsqueeze(1)

        def cost(names: list[int]) -> Float[Tensor, "B S K"]:
            return ((maps - heatmaps[:, :, names]) ** 2).mean(dim=(-2, -1))

        return _assign(cost, target.visible, swap_invariant=self.swap_invariant)

    def activate(self, maps: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
        """The maps themselves, cut at zero."""
        return maps.float().clamp_min(0)


class CrossEntropy:
    """Cross-entropy between the softmax over all pixels of a map and the Gaussian normalised to sum 1, in nats.

    Unlike the squared error on sparse maps it has no plateau at the all-zero map.
    """

    def __init__(self, *, swap_invariant: bool) -> None:
        self.swap_invariant = swap_invariant

    def __call__(self, maps: Maps, target: Target) -> Float[Tensor, ""]:
        """Mean over images of the sum over stages; arguments as for `MeanSquaredError`."""
        return _assign(
            _cross_entropy(_log_probability(maps), target.heatmaps), target.visible, swap_invariant=self.swap_invariant
        )

    def activate(self, maps: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n h w"]:
        """The softmax over all pixels of each map, sum 1."""
        heatmaps: Tensor = maps.float().flatten(-2).softmax(-1).unflatten(-1, maps.shape[-2:])
        return heatmaps


class CrossEntropyWing(CrossEntropy):
    """`CrossEntropy` + `weight` x the Wing loss between the expectation of each map's softmax and the true point.

    Sources: Feng, Kittler, Awais, Huber, Wu, "Wing loss for robust facial landmark localisation with convolutional
    neural networks", CVPR 2018; Sun, Xiao, Wei, Liang, Wei, "Integral human pose regression", ECCV 2018, for the
    expectation (soft-argmax). The truth is the point and not the expectation of its heatmap, which the frame's edge
    cuts off and so moves inwards.

    Args:
        swap_invariant: as for all heatmap losses; one name of the head for both terms.
        weight: nats per unit of the Wing loss.
        w_px: see `wing`; network pixels, whatever the stride.
        epsilon_px: see `wing`; network pixels.

    Raises:
        ValueError: a weight, w or epsilon that is not positive.
    """

    def __init__(self, *, swap_invariant: bool, weight: float, w_px: float, epsilon_px: float) -> None:
        super().__init__(swap_invariant=swap_invariant)
        for name, value in (("weight", weight), ("w_px", w_px), ("epsilon_px", epsilon_px)):
            if not 0 < value < math.inf:
                raise ValueError(f"{name} must be positive, not {value}")
        self.weight = weight
        self.w_px = w_px
        self.epsilon_px = epsilon_px

    def __call__(self, maps: Maps, target: Target) -> Float[Tensor, ""]:
        """Mean over images of the sum over stages; the Wing loss is summed over x and y."""
        log_probability = _log_probability(maps)
        cross_entropy = _cross_entropy(log_probability, target.heatmaps)
        found_net = from_map(expectation(log_probability.exp()), target.stride)
        # What is not visible weighs nothing, but NaN times nothing is NaN.
        truth_net = target.points_net.float().where(target.visible.unsqueeze(-1), 0.0).unsqueeze(1)

        def cost(names: list[int]) -> Float[Tensor, "B S K"]:
            error_px = found_net - truth_net[:, :, names]
            return cross_entropy(names) + self.weight * wing(error_px, w_px=self.w_px, epsilon_px=self.epsilon_px).sum(
                -1
            )

        return _assign(cost, target.visible, swap_invariant=self.swap_invariant)


def wing(error_px: Float[Tensor, "*n"], *, w_px: float, epsilon_px: float) -> Float[Tensor, "*n"]:
    """Feng et al. 2018, equation 5: steeper for small errors than for large ones.

    `w ln(1 + |x| / epsilon)` where |x| < w, else `|x| - C`, with C such that both meet at w.

    Args:
        error_px: of one coordinate.
        w_px: where the logarithm ends and the straight line begins.
        epsilon_px: the smaller, the steeper for small errors: the slope is w / epsilon at zero.

    Example:
        >>> wing(torch.tensor([0.0, -2.0, 12.0]), w_px=10.0, epsilon_px=2.0)  # 0, 10 ln 2, 12 - (10 - 10 ln 6)
        tensor([ 0.0000,  6.9315, 19.9176])
    """
    size = error_px.abs()
    constant = w_px - w_px * math.log1p(w_px / epsilon_px)
    return (w_px * torch.log1p(size / epsilon_px)).where(size < w_px, size - constant)


def expectation(probability: Float[Tensor, "*n h w"]) -> Float[Tensor, "*n 2"]:
    """The mean position (x, y) in heatmap pixels, whose centres are integers; always finite.

    Args:
        probability: sums to 1.
    """
    # Sums and not a product of matrices, which autocast would make in bfloat16.
    x = (probability.sum(-2) * torch.arange(probability.shape[-1], device=probability.device)).sum(-1)
    y = (probability.sum(-1) * torch.arange(probability.shape[-2], device=probability.device)).sum(-1)
    return torch.stack([x, y], dim=-1)


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
        predicted, truth = predicted.float().unsqueeze(1), truth.float().unsqueeze(1)

        def cost(names: list[int]) -> Float[Tensor, "B 1 K"]:
            distance = torch.nn.functional.smooth_l1_loss(
                predicted, truth[:, :, names], reduction="none", beta=self.beta
            )
            return distance.sum(-1)

        return _assign(cost, visible, swap_invariant=self.swap_invariant)


def _log_probability(maps: Maps) -> Maps:
    """Of the softmax over all pixels of each map, float32, finite."""
    log_probability: Tensor = maps.float().flatten(-2).log_softmax(-1).clamp_min(LOWEST).unflatten(-1, maps.shape[-2:])
    return log_probability


def _cross_entropy(log_probability: Maps, heatmaps: Float[Tensor, "B K h w"]) -> Cost:
    """The cost that `CrossEntropy` describes."""
    mass = heatmaps.unsqueeze(1)
    mass = mass / mass.sum((-2, -1), keepdim=True).clamp_min(torch.finfo(mass.dtype).tiny)

    def cost(names: list[int]) -> Float[Tensor, "B S K"]:
        return -(mass[:, :, names] * log_probability).sum((-2, -1))

    return cost


def _assign(cost: Cost, visible: Visible, *, swap_invariant: bool) -> Float[Tensor, ""]:
    """Mean over the visible landmarks, the better of two names where asked, sum over stages, mean over images.

    Args:
        cost: of each stage and landmark, its truth renamed.
        visible: landmarks inside the frame.
        swap_invariant: whether the half turn may be taken.
    """
    as_labelled, turn = list(range(visible.shape[-1])), list(landmarks.HALF_TURN)
    per_stage = _visible_mean(cost(as_labelled), visible)
    if swap_invariant:
        turned = _visible_mean(cost(turn), visible[:, turn])
        per_stage = torch.minimum(per_stage, turned)
    return per_stage.sum(-1).mean()


def _visible_mean(costs: Float[Tensor, "B S K"], visible: Visible) -> Float[Tensor, "B S"]:
    weights = visible.unsqueeze(1).to(costs.dtype)
    return (costs * weights).sum(-1) / weights.sum(-1).clamp_min(1)
