"""Original pixels <-> network pixels, once and invertible.

Pixel centres lie on integers: the top left pixel is (0, 0) and covers -0.5 to 0.5. A resize maps pixel *areas*, so
its scale acts about (-0.5, -0.5): `x_net = (x_orig + 0.5) * scale - 0.5`, which is also what `cv2.resize` does.

An affine map is a float64 matrix `[2, 3]` that takes (x, y, 1) to (x', y').
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from fetal_lm.landmarks import Array

Size = tuple[int, int]
"""(height, width) in pixels."""

Fit = Literal["squash", "letterbox"]


def squash(size_orig: Size, size_net: Size, aspect: float = 1.0) -> Float[np.ndarray, "2 3"]:
    """The map that stretches an image to the network's size, ignoring its aspect ratio and that of its pixels.

    Example:
        >>> squash((540, 800), (256, 256))[0].round(4).tolist()
        [0.32, 0.0, -0.34]
    """
    del aspect
    scale_y, scale_x = (net / orig for net, orig in zip(size_net, size_orig, strict=True))
    return _scale_and_pad(scale_x, scale_y, 0, 0)


def letterbox(size_orig: Size, size_net: Size, aspect: float = 1.0) -> Float[np.ndarray, "2 3"]:
    """The map that fits an image into the network's size, keeping its aspect ratio to the nearest pixel, centred.

    The scaled image is rounded to whole pixels, so that the two axes' scales differ by at most half a pixel over the
    whole frame; the map holds the scales that are really applied.

    Args:
        size_orig: of the image.
        size_net: of the result.
        aspect: height of the image's pixels in their widths; the result's are square.

    Example:
        >>> letterbox((100, 100), (64, 64), aspect=2.0)[:, :2].tolist()
        [[0.32, 0.0], [0.0, 0.64]]
    """
    content = _letterbox_content(size_orig, size_net, aspect)
    pad_y, pad_x = ((net - inner) // 2 for net, inner in zip(size_net, content, strict=True))
    scale_y, scale_x = (inner / orig for inner, orig in zip(content, size_orig, strict=True))
    return _scale_and_pad(scale_x, scale_y, pad_x, pad_y)


FITS: Final[dict[str, Callable[..., np.ndarray]]] = {"squash": squash, "letterbox": letterbox}


def fit_image(
    image: UInt8[np.ndarray, "H W"], size_net: Size, fit: Fit, aspect: float = 1.0
) -> UInt8[np.ndarray, "h w"]:
    """Resizes a grey image as `FITS[fit]` maps its points; what a letterbox leaves empty is 0.

    Args:
        image: grey, 0 to 255.
        size_net: (height, width) of the result.
        fit: `squash` or `letterbox`.
        aspect: height of the image's pixels in their widths, as in `letterbox`.
    """
    if fit == "squash":
        return _resize(image, size_net)
    height, width = image.shape
    content = _letterbox_content((height, width), size_net, aspect)
    top, left = ((net - inner) // 2 for net, inner in zip(size_net, content, strict=True))
    canvas = np.zeros(size_net, dtype=np.uint8)
    canvas[top : top + content[0], left : left + content[1]] = _resize(image, content)
    return canvas


def inverse(matrix: Float[np.ndarray, "2 3"]) -> Float[np.ndarray, "2 3"]:
    """The map that undoes an affine map.

    Raises:
        numpy.linalg.LinAlgError: if the map is singular.
    """
    linear = np.linalg.inv(matrix[:, :2])
    return np.concatenate([linear, -linear @ matrix[:, 2:]], axis=1)


def apply(matrix: Float[np.ndarray, "2 3"], points: Float[np.ndarray, "*K 2"]) -> Float[np.ndarray, "*K 2"]:
    """Moves points (x, y) by an affine map; NaN stays NaN.

    Example:
        >>> forward = squash((540, 800), (256, 256))
        >>> apply(inverse(forward), apply(forward, np.array([[799.0, 539.0]]))).round(9).tolist()
        [[799.0, 539.0]]
    """
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2])


def to_map(points_net: Array, stride: int) -> Array:
    """Points (x, y) in pixels of a network's input as pixels of a map of it; centres on integers in both.

    Args:
        points_net: in network pixels.
        stride: network pixels per map pixel.

    Example:
        >>> to_map(np.array([[-0.5, 1.5]]), 4).tolist()  # the outer edge stays the outer edge
        [[-0.5, 0.0]]
    """
    points: Array = (points_net + 0.5) / stride - 0.5
    return points


def from_map(points_map: Array, stride: int) -> Array:
    """The inverse of `to_map`."""
    points: Array = (points_map + 0.5) * stride - 0.5
    return points


def far_side(position: Array, length: Array | float) -> Array:
    """Distance along one axis from a pixel position to the farther edge of a frame, also from beyond the frame.

    Two of them make the distance to the farthest corner.

    Args:
        position: x or y in pixels, centres on integers.
        length: width or height of the frame in pixels, whose edges are at -0.5 and `length - 0.5`.

    Example:
        >>> far_side(np.array([0.0, 9.0, 12.0]), 10.0).tolist()
        [9.5, 9.5, 12.5]
    """
    # max(|a|, |b|) = (|a + b| + |a - b|) / 2 for the distances a and b to the two edges.
    distance: Array = (length + abs(2 * position + 1 - length)) / 2
    return distance


def _scale_and_pad(scale_x: float, scale_y: float, pad_x: int, pad_y: int) -> np.ndarray:
    shift_x, shift_y = 0.5 * scale_x - 0.5 + pad_x, 0.5 * scale_y - 0.5 + pad_y
    return np.array([[scale_x, 0.0, shift_x], [0.0, scale_y, shift_y]], dtype=np.float64)


def _letterbox_content(size_orig: Size, size_net: Size, aspect: float) -> Size:
    square = (size_orig[0] * aspect, size_orig[1])
    scale = min(net / orig for net, orig in zip(size_net, square, strict=True))
    height, width = (max(1, round(orig * scale)) for orig in square)
    return height, width


def _resize(image: np.ndarray, size: Size) -> np.ndarray:
    shrinks = size[0] <= image.shape[0] and size[1] <= image.shape[1]
    # Area averaging keeps speckle from aliasing; it only makes sense when shrinking.
    resized = cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)
