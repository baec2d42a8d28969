"""What finds landmarks in images: torch with a run's folder, or onnxruntime with an exported file.

Each is imported only when it is asked for: torch takes seconds, and a file needs none of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, UInt8

from fetal_lm.choices import EngineName
from fetal_lm.errors import InputError
from fetal_lm.geometry import Fit, Size
from fetal_lm.predict.released import released

EXPORTED_SUFFIX: Final = ".onnx"
WEIGHTS_SUFFIXES: Final = (".ckpt", ".safetensors")
"""Of a run's, which torch reads."""


class Found(NamedTuple):
    """What was found in a batch of images.

    Attributes:
        points: landmarks (x, y) in pixels of the images that were given, in the order of `landmarks.NAMES`; NaN where
            none was found.
        confidence: of each, 0 to 1; see `codecs.confidence`.
    """

    points: Float32[np.ndarray, "B 4 2"]
    confidence: Float32[np.ndarray, "B 4"]


@runtime_checkable
class Engine(Protocol):
    """A network that is ready.

    Attributes:
        digest: SHA-256 of the file that the weights came from.
        size_net: height and width of the images that it looks at.
        fit: how images come to that size.
        low_confidence: below it a landmark is not to be trusted.
    """

    digest: str
    size_net: Size
    fit: Fit
    low_confidence: float

    def find(self, images: UInt8[np.ndarray, "B H W"]) -> Found:
        """Finds the landmarks in grey images of the network's size, 0 to 255."""
        ...


def open_engine(model: str | Path | None, engine: str | None = None) -> Engine:
    """Opens a model.

    Args:
        model: a finished run's folder, a checkpoint in it, or a file that `fetal-lm export` wrote; None takes the
            released weights.
        engine: a name among `EngineName`; None takes the one that the model is for.

    Raises:
        InputError: there is no model, it is damaged or not for this engine, or there is no such engine.
    """
    path = released(engine) if model is None else Path(model).expanduser()
    if _name(path, engine) is EngineName.onnx:
        from fetal_lm.predict.onnx_engine import open_exported

        return open_exported(path)
    from fetal_lm.predict.torch_engine import open_run

    return open_run(path)


def _name(path: Path, engine: str | None) -> EngineName:
    exported = path.suffix.lower() == EXPORTED_SUFFIX
    if engine is None:
        return EngineName.onnx if exported else EngineName.torch
    if engine not in list(EngineName):
        raise InputError(f"engine: expected one of {', '.join(EngineName)}, got {engine!r}")
    if engine == EngineName.torch and exported:
        raise InputError(
            f"{path}: the engine torch needs the folder of a finished run, got an exported file; give the run's "
            "folder, or the engine onnx"
        )
    if engine == EngineName.onnx and (path.is_dir() or path.suffix in WEIGHTS_SUFFIXES):
        raise InputError(
            f"{path}: the engine onnx needs a file that `fetal-lm export` wrote, got a run; write one with "
            f"`fetal-lm export {path} --output model.onnx`, or take the engine torch"
        )
    return EngineName(engine)
