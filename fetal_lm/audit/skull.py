"""Where the image itself shows a skull: a search for bright elliptic rings, without any training or label.

A skull is a bright ridge that lies along an ellipse. The second derivative of the blurred image in the direction of an
ellipse's normal is large where a ridge runs along that ellipse; its mean around an ellipse is the ellipse's `evidence`.
It is looked up in maps, one per direction, so that trying an ellipse costs a few additions. All positions of some
hundred shapes are tried on a small image (a generalised Hough transform: Ballard, "Generalizing the Hough transform to
detect arbitrary shapes", Pattern Recognition 13 (1981) 111-122), the best are refined on a larger one.

The search is right for most heads, not for all: whoever uses it must compare evidence, not trust the place alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, Float32, UInt8

COARSE_SIDE_PX: Final = 96
FINE_SIDE_PX: Final = 192
"""Longer side of the images that are searched."""

_SIGMA_PX: Final = {COARSE_SIDE_PX: 1.5, FINE_SIDE_PX: 2.0}
"""Width of the blur: about half of a skull's thickness in images whose depth is set for a head."""

DIRECTIONS: Final = 8
"""Directions of normals, half a turn in all."""

_STRONG: Final = 1.5
"""A ridge that is this many times stronger than the image's usual (root mean square) counts fully, as 1."""
_DARK_LINE: Final = -0.5
"""Least that a place without a ridge counts: a few shadowed gaps must not undo a skull."""

# Half the geometric mean diameter as a share of the image's longer side, beyond any of HC18's heads.
_SMALLEST_RADIUS: Final = 0.075
_LARGEST_RADIUS: Final = 0.44
_RADIUS_STEP: Final = 0.11
_CEPHALIC_INDICES: Final = (0.72, 0.82, 0.93)
_CEPHALIC_RANGE: Final = (0.6, 1.0)
_TURNS: Final = 8
_COARSE_POINTS: Final = 24
_FINE_POINTS: Final = 64
_STRIDE_PX: Final = 2
_KEPT: Final = 12
_ROUNDS: Final = 5
_TRIES: Final = 24
# First spread of the refinement: of the centre and the radii as a share of the radius, of the turn in radians.
_SPREAD: Final = (0.06, 0.06, 0.06, 0.06, 0.15)
_SHRINK: Final = 0.6


@dataclass(frozen=True, eq=False)
class Skulls:
    """Ellipses and what the image says for them, best first.

    Attributes:
        ellipses: `[N, 5]` centre x, centre y, long radius, short radius in original px; turn of the long radius in rad.
        evidence: `[N]` mean strength of the ridge around the ellipse, -0.5 to 1, times the square root of its size.
    """

    ellipses: Float[np.ndarray, "N 5"]
    evidence: Float[np.ndarray, " N"]


class SkullFinder:
    """One image, made ready to be asked about ellipses.

    Args:
        image: grey, 0 to 255.
    """

    def __init__(self, image: UInt8[np.ndarray, "H W"]) -> None:
        self._image = image
        self._fine = _ridges(image, FINE_SIDE_PX)
        self._scale = FINE_SIDE_PX / max(image.shape)

    def find(self) -> Skulls:
        """The best rings anywhere in the image."""
        starts = _coarse(_ridges(self._image, COARSE_SIDE_PX))
        return self._refined(_scaled(starts, FINE_SIDE_PX / COARSE_SIDE_PX))

    def near(self, ellipse: Float[np.ndarray, " 5"]) -> Skulls:
        """The best ring that is nearly the given one.

        Args:
            ellipse: in original px, as in `Skulls`.
        """
        return self._refined(_scaled(ellipse[None], self._scale))

    def _refined(self, starts: Float[np.ndarray, "N 5"]) -> Skulls:
        # Fixed, so that an audit of the same rows says the same.
        generator = np.random.default_rng(0)
        best, evidence = starts, _evidence(self._fine, starts)
        spread = np.array(_SPREAD)
        for _ in range(_ROUNDS):
            radius = np.sqrt(best[:, 2] * best[:, 3])
            size = np.stack([radius, radius, radius, radius, np.ones_like(radius)], axis=1)
            moves = generator.normal(size=(len(best), _TRIES, 5)) * spread
            tried = best[:, None] + moves * size[:, None]
            index = np.clip(tried[..., 3] / tried[..., 2], *_CEPHALIC_RANGE)
            tried[..., 3] = tried[..., 2] * index
            scores = _evidence(self._fine, tried.reshape(-1, 5)).reshape(len(best), _TRIES)
            winner = scores.argmax(axis=1)
            here = np.arange(len(best))
            better = scores[here, winner] > evidence
            best = np.where(better[:, None], tried[here, winner], best)
            evidence = np.where(better, scores[here, winner], evidence)
            spread = spread * _SHRINK
        order = np.argsort(-evidence, kind="stable")
        return Skulls(_scaled(best[order], 1 / self._scale), evidence[order])


def axis_points(ellipse: Float[np.ndarray, "*N 5"]) -> Float[np.ndarray, "*N 4 2"]:
    """The ends of an ellipse's axes: both of the long one, then both of the short one.

    Example:
        >>> axis_points(np.array([5.0, 4.0, 3.0, 2.0, 0.0])).tolist()
        [[2.0, 4.0], [8.0, 4.0], [5.0, 2.0], [5.0, 6.0]]
    """
    centre, turn = ellipse[..., :2], ellipse[..., 4:5]
    along = np.concatenate([np.cos(turn), np.sin(turn)], axis=-1)
    across = np.concatenate([-np.sin(turn), np.cos(turn)], axis=-1)
    long, short = along * ellipse[..., 2:3], across * ellipse[..., 3:4]
    return np.stack([centre - long, centre + long, centre - short, centre + short], axis=-2)


def ellipse_of(points: Float[np.ndarray, "4 2"]) -> Float[np.ndarray, " 5"]:
    """The ellipse that two diameters suggest, whatever they are called: the longer one gives the direction.

    Its centre is the mean of the four points, so that diameters which do not bisect each other give some ellipse too.

    Example:
        >>> ellipse_of(np.array([[5.0, 2.0], [5.0, 6.0], [2.0, 4.0], [8.0, 4.0]])).tolist()
        [5.0, 4.0, 3.0, 2.0, 0.0]
    """
    first, second = points[1] - points[0], points[3] - points[2]
    long, short = sorted((first, second), key=lambda diameter: -float(np.hypot(*diameter)))
    turn = np.arctan2(long[1], long[0])
    return np.array([*points.mean(axis=0), np.hypot(*long) / 2, np.hypot(*short) / 2, turn])


def _scaled(ellipses: Float[np.ndarray, "N 5"], scale: float) -> Float[np.ndarray, "N 5"]:
    """Ellipses in an image that was resized; pixel centres lie on integers, as in `geometry`."""
    centres = (ellipses[:, :2] + 0.5) * scale - 0.5
    return np.concatenate([centres, ellipses[:, 2:4] * scale, ellipses[:, 4:]], axis=1)


def _ridges(image: UInt8[np.ndarray, "H W"], side: int) -> Float32[np.ndarray, "directions h w"]:
    """How strongly a bright line runs across each direction, -0.5 to 1, where the longer side has `side` px."""
    scale = side / max(image.shape)
    height, width = (max(1, round(length * scale)) for length in image.shape)
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
    sigma = _SIGMA_PX[side]
    blurred = cv2.GaussianBlur(small, (0, 0), sigma)
    xx = cv2.Sobel(blurred, cv2.CV_32F, 2, 0, ksize=3)
    yy = cv2.Sobel(blurred, cv2.CV_32F, 0, 2, ksize=3)
    xy = cv2.Sobel(blurred, cv2.CV_32F, 1, 1, ksize=3)
    turns = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
    cos, sin = np.cos(turns)[:, None, None], np.sin(turns)[:, None, None]
    strength = -(cos * cos * xx + 2 * cos * sin * xy + sin * sin * yy)
    usual = float(np.sqrt(np.mean(strength.max(axis=0) ** 2)))
    if usual == 0:
        return np.zeros(strength.shape, np.float32)
    return np.clip(strength / (_STRONG * usual), _DARK_LINE, 1).astype(np.float32)


def _evidence(ridges: Float32[np.ndarray, "directions h w"], ellipses: Float[np.ndarray, "N 5"]) -> np.ndarray:
    _, height, width = ridges.shape
    turn = 2 * np.pi * (np.arange(_FINE_POINTS) + 0.5) / _FINE_POINTS
    x, y, direction = _perimeter(ellipses, turn)
    column, row = np.rint(x).astype(np.intp), np.rint(y).astype(np.intp)
    inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    found = ridges[direction, np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    size = np.sqrt(np.sqrt(ellipses[:, 2] * ellipses[:, 3]) / max(height, width))
    return np.asarray(np.where(inside, found, 0).mean(axis=1, dtype=np.float64) * size)


def _coarse(ridges: Float32[np.ndarray, "directions h w"]) -> Float[np.ndarray, "N 5"]:
    """The best place of every shape, the best shapes first; in px of the small image."""
    _, height, width = ridges.shape
    side = max(height, width)
    border = round(_LARGEST_RADIUS * side / np.sqrt(min(_CEPHALIC_INDICES))) + 1
    padded = np.pad(ridges, ((0, 0), (border, border), (border, border)))
    found = []
    for radius_long, radius_short, turn, columns, rows, directions in _shapes(side):
        total = np.zeros((-(-height // _STRIDE_PX), -(-width // _STRIDE_PX)), np.float32)
        for column, row, direction in zip(columns, rows, directions, strict=True):
            top, left = border + row, border + column
            total += padded[direction, top : top + height : _STRIDE_PX, left : left + width : _STRIDE_PX]
        best = int(total.argmax())
        y, x = divmod(best, total.shape[1])
        evidence = float(total.flat[best]) * (radius_long * radius_short) ** 0.25
        found.append((evidence, x * _STRIDE_PX, y * _STRIDE_PX, radius_long, radius_short, turn))
    found.sort(reverse=True)
    return np.array(found[:_KEPT])[:, 1:].astype(np.float64)


@cache
def _shapes(side: int) -> list[tuple[float, float, float, list[int], list[int], list[int]]]:
    """Every shape that is tried: radii and turn, and where its perimeter runs around its centre."""
    steps = np.arange(np.log(_SMALLEST_RADIUS), np.log(_LARGEST_RADIUS), _RADIUS_STEP)
    turns = np.pi * np.arange(_TURNS) / _TURNS
    around = 2 * np.pi * (np.arange(_COARSE_POINTS) + 0.5) / _COARSE_POINTS
    shapes = []
    for radius in (np.exp(steps) * side).tolist():
        for index in _CEPHALIC_INDICES:
            for turn in turns.tolist():
                ellipse = np.array([[0.0, 0.0, radius / index**0.5, radius * index**0.5, turn]])
                x, y, direction = _perimeter(ellipse, around)
                columns, rows = (np.rint(value[0]).astype(int).tolist() for value in (x, y))
                shapes.append((float(ellipse[0, 2]), float(ellipse[0, 3]), turn, columns, rows, direction[0].tolist()))
    return shapes


def _perimeter(ellipses: np.ndarray, around: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (x, y) of ellipses `[N, 5]` and which of the directions their normals have: three arrays `[N, points]`."""
    centre_x, centre_y, long, short, turn = (column[:, None] for column in ellipses.T)
    cos, sin = np.cos(turn), np.sin(turn)
    along, across = long * np.cos(around), short * np.sin(around)
    x, y = centre_x + along * cos - across * sin, centre_y + along * sin + across * cos
    # The normal of an ellipse in its own axes is (cos / long, sin / short); scaled so that a flat one gives no 1 / 0.
    normal = np.arctan2(long * np.sin(around), short * np.cos(around)) + turn
    direction = np.rint(normal / np.pi * DIRECTIONS).astype(np.intp) % DIRECTIONS
    return x, y, direction
