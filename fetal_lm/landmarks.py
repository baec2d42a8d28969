"""The four landmarks of fetal head biometry: their names, pairs, flips and canonical order.

Points are (x, y) in image coordinates (x to the right, y down); an array of them is `[..., 4, 2]` in the order of
`NAMES`. Every function works on numpy arrays and on torch tensors alike and returns what it was given.

Which end of a diameter is called 1 is a convention, and annotators do not agree on one. A head turned by 180 degrees
has the same four points with both pairs swapped at once (`half_turn`); that one bit is the whole ambiguity, because
`canonical_order` fixes the side on which BPD_1 lies once OFD_1 is known.

Canonical order:
    * OFD_1 is the left end of the OFD (the upper one if the OFD is exactly vertical);
    * BPD_1 lies to the left of somebody who walks from OFD_1 to OFD_2, which is above the OFD in the image.
The order jumps where the OFD passes through the vertical. Errors that must not depend on the convention are taken after
`matched_order`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

    Array = TypeVar("Array", np.ndarray[Any, Any], Tensor)
else:
    # Torch is not imported for a type alone: measuring works without it.
    Array = TypeVar("Array")

NAMES: Final = ("ofd_1", "ofd_2", "bpd_1", "bpd_2")
COUNT: Final = len(NAMES)
OFD: Final = (0, 1)
BPD: Final = (2, 3)

# Element k names the landmark of the source image that becomes landmark k of the mirrored image.
HORIZONTAL_FLIP: Final = (1, 0, 2, 3)
VERTICAL_FLIP: Final = (0, 1, 3, 2)
HALF_TURN: Final = (1, 0, 3, 2)


def half_turn(points: Array) -> Array:
    """Renames the points as if the head had been turned by 180 degrees: both pairs are swapped at once.

    Args:
        points: `[..., 4, 2]`, any unit.

    Example:
        >>> half_turn(np.array([[0.0, 5.0], [9.0, 5.0], [4.0, 1.0], [4.0, 8.0]])).tolist()
        [[9.0, 5.0], [0.0, 5.0], [4.0, 8.0], [4.0, 1.0]]
    """
    return points[..., list(HALF_TURN), :]


def canonical_order(points: Array) -> Array:
    """Renames the ends of each pair to the canonical order of this module.

    A pair with NaN in it keeps its order, and so does the BPD beside an OFD with NaN in it.

    Args:
        points: `[..., 4, 2]` in (x, y) image coordinates, any unit.

    Example:
        >>> head = np.array([[9.0, 5.0], [0.0, 5.0], [4.0, 1.0], [4.0, 8.0]])
        >>> canonical_order(head).tolist()
        [[0.0, 5.0], [9.0, 5.0], [4.0, 1.0], [4.0, 8.0]]
    """
    along = points[..., OFD[1], :] - points[..., OFD[0], :]
    ofd_reversed = (along[..., 0] < 0) | ((along[..., 0] == 0) & (along[..., 1] < 0))
    ordered = _swap_where(ofd_reversed, points, HORIZONTAL_FLIP)
    along = ordered[..., OFD[1], :] - ordered[..., OFD[0], :]
    across = ordered[..., BPD[1], :] - ordered[..., BPD[0], :]
    bpd_reversed = along[..., 0] * across[..., 1] - along[..., 1] * across[..., 0] < 0
    return _swap_where(bpd_reversed, ordered, VERTICAL_FLIP)


def matched_order(predicted: Array, truth: Array) -> Array:
    """Renames a prediction by a half turn where that brings it nearer to the truth (order-free comparison).

    Nearer means a smaller sum of the distances; where both sums are equal the given order stays. A landmark that is NaN
    in the prediction or in the truth adds nothing to the sum.

    Args:
        predicted: `[..., 4, 2]`, NaN where nothing was decoded.
        truth: `[..., 4, 2]` in the same coordinates.

    Returns:
        `predicted`, or its `half_turn`, chosen for each head on its own.

    Example:
        >>> truth = np.array([[0.0, 5.0], [9.0, 5.0], [4.0, 1.0], [4.0, 8.0]])
        >>> bool((matched_order(half_turn(truth), truth) == truth).all())
        True
    """
    turned = half_turn(predicted)
    return _where(_total_distance(turned, truth) < _total_distance(predicted, truth), turned, predicted)


def _total_distance(points: Array, truth: Array) -> Array:
    distance: Array = ((points - truth) ** 2).sum(-1) ** 0.5
    total: Array = np.nansum(distance, axis=-1) if isinstance(distance, np.ndarray) else distance.nansum(-1)
    return total


def _swap_where(condition: Array, points: Array, permutation: tuple[int, ...]) -> Array:
    return _where(condition, points[..., list(permutation), :], points)


def _where(condition: Array, yes: Array, no: Array) -> Array:
    chosen: Array
    if isinstance(yes, np.ndarray):
        chosen = np.where(condition[..., None, None], yes, no)
    else:
        chosen = yes.where(condition[..., None, None], no)
    return chosen
