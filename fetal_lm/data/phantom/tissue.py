"""The whole scene of a phantom: skull, brain and surroundings put together, and what the beams lose on their way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float32

from fetal_lm.data.phantom.brain import brain
from fetal_lm.data.phantom.canvas import SILENT_DB, patches
from fetal_lm.data.phantom.head import Head
from fetal_lm.data.phantom.sector import BEAMS, ROWS, Sector
from fetal_lm.data.phantom.skull import Skull
from fetal_lm.data.phantom.surroundings import surroundings

_RAGGEDNESS_DB: Final = 7.0
"""Deviation of the echo along lines and arcs: none is evenly bright. The skull's is a third of it."""
_LOSS_DB: Final = (-2.0, 7.0)
"""Gain that falls from the first row to the last, beyond what the machine makes up for."""
_BEAM_UNEVENNESS_DB: Final = 2.2
# Where the probe has no contact with the skin, a band of beams is dark all the way down.
_LOST_CONTACT_SHARE: Final = 0.35
_LOST_CONTACT_DB: Final = (8.0, 30.0)
_LOST_CONTACT_BEAMS: Final = (10.0, 45.0)


@dataclass(frozen=True)
class Echoes:
    """What each cell of the polar grid sends back, in dB over soft tissue; losses on the way are taken off."""

    scatter_db: Float32[np.ndarray, "rows beams"]
    specular_db: Float32[np.ndarray, "rows beams"]


def echoes(anatomy: np.random.Generator, tissue: np.random.Generator, head: Head, fan: Sector, bone: Skull) -> Echoes:
    """Puts the head into its surroundings.

    Args:
        anatomy: the examination's stream: the brain's structures.
        tissue: the image's stream: this view of them, and the surroundings.
        head: how the head lies.
        fan: the beams.
        bone: the head's skull.
    """
    outside_db, arcs_db = surroundings(tissue, head, fan)
    brain_db, lines_db = brain(anatomy, tissue, head, fan, bone)
    scatter_db = np.where(bone.inside, brain_db, outside_db)
    scatter_db = np.maximum(scatter_db, bone.scatter_db * bone.cover + (1 - bone.cover) * np.float32(SILENT_DB))
    ragged = patches(tissue, (64, 44)) * np.float32(_RAGGEDNESS_DB)
    specular_db = np.maximum(np.where(bone.inside, lines_db, arcs_db) + ragged, bone.specular_db + ragged / 3)
    loss_db = bone.shadow_db + _losses(tissue)
    return Echoes(scatter_db=scatter_db - loss_db, specular_db=specular_db - loss_db)


def _losses(tissue: np.random.Generator) -> Float32[np.ndarray, "rows beams"]:
    """Gain that falls with depth and differs between beams; some beams have no contact with the skin."""
    per_row = np.linspace(0, tissue.uniform(*_LOSS_DB), ROWS)
    knots = tissue.normal(0, _BEAM_UNEVENNESS_DB, 18)
    per_beam = np.interp(np.linspace(0, 17, BEAMS), np.arange(18), knots)
    if tissue.uniform() < _LOST_CONTACT_SHARE:
        away = np.abs(np.arange(BEAMS) - tissue.uniform(0, BEAMS)) / tissue.uniform(*_LOST_CONTACT_BEAMS)
        per_beam += tissue.uniform(*_LOST_CONTACT_DB) * np.exp(-(away**2))
    return np.add.outer(per_row, per_beam).astype(np.float32)
