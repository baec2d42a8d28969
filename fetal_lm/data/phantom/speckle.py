"""From what tissue sends back to grey values: speckle, blur of the beam, log compression.

Fully developed speckle is a circular complex Gaussian field, scaled by the tissue's echo and blurred by the point
spread function; smooth surfaces add an echo of fixed phase. The envelope is shown on a logarithmic scale
(Burckhardt, "Speckle in ultrasound B-mode scans", IEEE Trans. Son. Ultrason. 25 (1978) 1-6).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

NEPER_PER_DB: Final = math.log(10) / 20

# Electronic noise that the receiver adds: keeps the logarithm finite and fluid from being perfectly black.
_NOISE_DB: Final = -38.0


@dataclass(frozen=True)
class Scale:
    """How echoes become grey values: `grey = middle_grey + grey_per_db * dB`, clipped to 0 to 255.

    Attributes:
        middle_grey: grey value of soft tissue (0 dB).
        grey_per_db: contrast; 255 divided by the dynamic range.
        axial_sigma: of the point spread function along the beam, in rows.
        lateral_sigma: of the point spread function across, in beams.
        smoothing: of the grey values (frame averaging, speckle reduction), as a share of the point spread function.
    """

    middle_grey: float
    grey_per_db: float
    axial_sigma: float
    lateral_sigma: float
    smoothing: float


def grey_values(
    speckle: np.random.Generator,
    scatter_db: Float32[np.ndarray, "rows beams"],
    specular_db: Float32[np.ndarray, "rows beams"],
    scale: Scale,
) -> UInt8[np.ndarray, "rows beams"]:
    """Draws the echoes as the machine shows them, on the polar grid.

    Args:
        speckle: the image's stream for this purpose.
        scatter_db: mean echo of the diffuse scatterers, 0 dB for soft tissue.
        specular_db: echo of the smooth surfaces.
        scale: the machine's.
    """
    axial, lateral = scale.axial_sigma, scale.lateral_sigma
    # Blurring white noise by a Gaussian divides its deviation by 2 sqrt(pi sigma_1 sigma_2); sqrt(2) shares the echo
    # between the two quadratures. So 0 dB of scatter has a mean power of 1.
    gain = 2 * math.sqrt(math.pi * axial * lateral) / math.sqrt(2)
    amplitude = np.exp(scatter_db * np.float32(NEPER_PER_DB)) * np.float32(gain)
    in_phase, quadrature = speckle.standard_normal((2, *scatter_db.shape), dtype=np.float32)
    in_phase *= amplitude
    quadrature *= amplitude
    in_phase += np.exp(specular_db * np.float32(NEPER_PER_DB))
    power = _blur(in_phase, lateral, axial) ** 2
    power += _blur(quadrature, lateral, axial) ** 2
    power += np.float32(10 ** (_NOISE_DB / 10))
    grey = np.log(power) * np.float32(scale.grey_per_db / (2 * NEPER_PER_DB)) + np.float32(scale.middle_grey)
    grey = _blur(np.clip(grey, 0, 255), scale.smoothing * lateral, scale.smoothing * axial)
    return np.asarray(np.rint(grey), dtype=np.uint8)


def _blur(field: Float32[np.ndarray, "rows beams"], across: float, along: float) -> Float32[np.ndarray, "rows beams"]:
    # Beyond 3 deviations a Gaussian holds 0.3 %; cv2's own choice for floats is 4.
    size = tuple(2 * math.ceil(3 * sigma) + 1 for sigma in (across, along))
    blurred = cv2.GaussianBlur(field, size, sigmaX=across, sigmaY=along, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, dtype=np.float32)
