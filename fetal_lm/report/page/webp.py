"""Pictures as text that stands inside the page."""

from __future__ import annotations

import base64

import cv2
import numpy as np
from jaxtyping import UInt8


def data_uri(picture: UInt8[np.ndarray, "..."], quality: int) -> str:
    """A picture as a data URI.

    Args:
        picture: `[H, W]` grey or `[H, W, 4]` blue, green, red and opacity.
        quality: WebP's, 1 to 100.
    """
    done, content = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])
    if not done:
        raise RuntimeError("OpenCV was built without WebP")
    return "data:image/webp;base64," + base64.b64encode(content.tobytes()).decode("ascii")
