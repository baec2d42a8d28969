"""A label beside the skull that its image shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

from fetal_lm.audit.distance import distances_px
from fetal_lm.audit.skull import SkullFinder, axis_points, ellipse_of

BENEFIT_OF_DOUBT: Final = 1.2
"""A ring near the label is believed unless one elsewhere has this many times its evidence: the search errs, too."""

LEAST_EVIDENCE: Final = 0.25
"""Below it an image shows no skull to rely on: 95 % of HC18's images have 0.29 or more, noise has at most 0.23."""


@dataclass(frozen=True)
class SkullView:
    """How a label lies to the skull.

    Attributes:
        distance_px: mean distance of its four points from the ends of the skull's axes, ends and names left aside, in
            px of the frame squashed to 256 x 256.
        exchange_gain_px: how much nearer its points are with OFD and BPD exchanged; negative if they are farther.
    """

    distance_px: float
    exchange_gain_px: float


def view_of(image: UInt8[np.ndarray, "H W"], points_orig: Float[np.ndarray, "4 2"]) -> SkullView | None:
    """Compares a label with the skull in its image; None if a point is missing or no skull is to be seen.

    Args:
        image: grey, 0 to 255.
        points_orig: in the order of `landmarks.NAMES`, original px.
    """
    label = ellipse_of(points_orig)
    if not (np.isfinite(label).all() and label[3] > 0):
        return None
    finder = SkullFinder(image)
    best, near = finder.find(), finder.near(label)
    chosen = near if near.evidence[0] * BENEFIT_OF_DOUBT >= best.evidence[0] else best
    if max(best.evidence[0], near.evidence[0]) < LEAST_EVIDENCE:
        return None
    as_named, exchanged = distances_px(points_orig, axis_points(chosen.ellipses[0]), (image.shape[0], image.shape[1]))
    return SkullView(min(as_named, exchanged), as_named - exchanged)
