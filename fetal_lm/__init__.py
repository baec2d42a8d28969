"""Landmarks of fetal head biometry: experiments that compare how to find them, and measurements in millimetres."""

import os
from importlib.metadata import PackageNotFoundError, version

# Albumentations asks the network for a newer version when it is imported; experiments must not.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

try:
    __version__ = version("fetal_lm")
except PackageNotFoundError:  # A checkout on the path that was never installed.
    __version__ = "unknown"
