"""Landmarks of fetal head biometry: experiments that compare how to find them, and measurements in millimetres."""

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fetal_lm.predict.predictor import Predictor

__all__ = ["Predictor", "__version__"]

# Albumentations asks the network for a newer version when it is imported; experiments must not.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

try:
    __version__ = version("fetal_lm")
except PackageNotFoundError:  # A checkout on the path that was never installed.
    __version__ = "unknown"


def __getattr__(name: str) -> Any:
    """Imports `Predictor` when it is asked for: torch takes seconds, and most of the package works without it."""
    if name == "Predictor":
        from fetal_lm.predict.predictor import Predictor

        return Predictor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
