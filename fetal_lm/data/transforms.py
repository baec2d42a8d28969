"""Augmentation through Albumentations, with the landmarks moved along and renamed where a flip renames them.

Images arrive here already squashed or letterboxed to the network's size. A rotation of a *squashed* image is no
rotation of the head: it shears it, and the moved labels are then no longer the ends of the sheared ellipse's axes.
`AspectAffine` therefore turns, scales and shifts in the original aspect ratio.

Landmarks that a transform pushes out of the frame are kept, with their coordinates outside it. The losses leave them
out; nothing else does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import albumentations as A  # noqa: N812  (the name its documentation uses)
import numpy as np
from jaxtyping import Float, UInt8

from fetal_lm import landmarks

ASPECT_KEY: Final = "aspect"


class AspectAffine(A.Affine):
    """Albumentations' Affine, carried out in the original aspect ratio of a squashed image.

    The call takes `aspect`: vertical over horizontal scale of the map from original to network pixels; 1 for a
    letterbox, 1.48 for 800 x 540 squashed to a square.
    """

    @property
    def targets_as_params(self) -> list[str]:
        """The call's extra argument."""
        return [ASPECT_KEY]

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draws an affine map and conjugates it with the squash, about the frame's centre."""
        drawn: dict[str, Any] = super().get_params_dependent_on_data(params, data)
        height, width = params["shape"][:2]
        aspect = float(data[ASPECT_KEY])
        squash = np.diag([1.0, aspect, 1.0])
        to_centre = np.eye(3)
        to_centre[:2, 2] = -(width - 1) / 2, -(height - 1) / 2
        net_to_true = np.linalg.inv(squash) @ to_centre
        true_to_net = np.linalg.inv(to_centre) @ squash
        # Albumentations' matrix acts in pixels; about the centre it is the drawn similarity plus its shift.
        about_centre = to_centre @ drawn["matrix"] @ np.linalg.inv(to_centre)
        drawn["matrix"] = true_to_net @ about_centre @ net_to_true
        return drawn


class HorizontalFlipHead(A.HorizontalFlip):
    """Mirrors left and right and swaps the names of the OFD's ends."""

    def apply_to_keypoints(self, keypoints: np.ndarray, **params: Any) -> np.ndarray:
        """Moves and renames; expects the four landmarks in order."""
        return np.asarray(super().apply_to_keypoints(keypoints, **params)[list(landmarks.HORIZONTAL_FLIP)])


class VerticalFlipHead(A.VerticalFlip):
    """Mirrors up and down and swaps the names of the BPD's ends."""

    def apply_to_keypoints(self, keypoints: np.ndarray, **params: Any) -> np.ndarray:
        """Moves and renames; expects the four landmarks in order."""
        return np.asarray(super().apply_to_keypoints(keypoints, **params)[list(landmarks.VERTICAL_FLIP)])


class Augmentation:
    """A sequence of Albumentations transforms that keeps all four landmarks; a draw is a function of its seed.

    Args:
        transforms: Albumentations transforms; an empty sequence changes nothing.
    """

    def __init__(self, transforms: Sequence[A.BasicTransform]) -> None:
        self._compose = A.Compose(
            list(transforms) or [A.NoOp()],  # An empty Compose warns that nobody takes the keypoints.
            keypoint_params=A.KeypointParams(format="xy", remove_invisible=False, label_fields=["ids"]),
        )

    def __call__(
        self, image: UInt8[np.ndarray, "H W"], points_net: Float[np.ndarray, "4 2"], *, aspect: float, seed: int
    ) -> tuple[UInt8[np.ndarray, "H W"], Float[np.ndarray, "4 2"]]:
        """Draws one augmented image.

        Args:
            image: grey, 0 to 255, at network size.
            points_net: landmarks (x, y) in network pixels.
            aspect: vertical over horizontal scale of the map from original to network pixels.
            seed: fixes what is drawn, in whichever process.

        Raises:
            RuntimeError: a transform dropped a landmark (ElasticTransform and GridDistortion do).
        """
        # One stream for all transforms. `Compose(seed=...)` gives each transform a stream of its own from the same
        # seed, so that their draws coincide: two flips with p=0.5 would always happen together.
        self._compose.set_random_state(np.random.default_rng(seed), random.Random(seed))
        drawn = self._compose(image=image, keypoints=points_net, ids=np.arange(landmarks.COUNT), **{ASPECT_KEY: aspect})
        if len(drawn["keypoints"]) != landmarks.COUNT:
            names = [type(transform).__name__ for transform in self._compose.transforms]
            raise RuntimeError(
                f"one of the transforms {names} dropped a landmark; use transforms that keep all keypoints"
            )
        return drawn["image"], np.asarray(drawn["keypoints"], dtype=np.float64)
