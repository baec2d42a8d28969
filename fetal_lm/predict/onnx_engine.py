"""An exported file under onnxruntime: no torch, and no run's folder."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from fetal_lm.errors import InputError
from fetal_lm.predict.engine import Found
from fetal_lm.predict.exported import CONFIDENCE, IMAGE, POINTS, about_of, check_graph


class OnnxEngine:
    """An `Engine` whose graph holds everything between an image and its landmarks, the resize too.

    `Predictor` resizes images itself, because OpenCV is faster and a batch may hold images of several sizes; an image
    that has the network's size goes through the graph's own resize unchanged.

    Args:
        content: of the file.
        path: of it, for messages.

    Raises:
        InputError: onnxruntime is not installed, or the file is no ONNX model or not one of this package's, by
            what it says about itself or by what goes in and out of its graph.
    """

    def __init__(self, content: bytes, *, path: Path) -> None:
        runtime = _onnxruntime()
        options = runtime.SessionOptions()
        # As torch; 0 is a thread for each core.
        threads = os.environ.get("OMP_NUM_THREADS", "")
        options.intra_op_num_threads = int(threads) if threads.isdigit() else 0
        try:
            # From memory, so that a file cannot name others to be read.
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises whatever the damage leads to.
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"{path}: expected an ONNX model that `fetal-lm export` wrote, but onnxruntime cannot load it "
                f"({reason}); export the run again"
            ) from error
        try:
            about = about_of(self._session.get_modelmeta().custom_metadata_map)
            check_graph(self._session.get_inputs(), self._session.get_outputs())
        except ValueError as error:
            raise InputError(f"{path}: expected a model that `fetal-lm export` wrote, but {error}") from error
        self.digest = hashlib.sha256(content).hexdigest()
        self.size_net = about.size_net
        self.fit = about.fit
        self.low_confidence = about.low_confidence

    def find(self, images: UInt8[np.ndarray, "B H W"]) -> Found:
        """Finds the landmarks in grey images, 0 to 255, of any one size."""
        points, confidence = self._session.run([POINTS, CONFIDENCE], {IMAGE: images})
        return Found(points, confidence)


def open_exported(path: Path) -> OnnxEngine:
    """Loads a file.

    Raises:
        InputError: see `OnnxEngine`, or the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); expected a model that `fetal-lm export` wrote, check "
            "the path"
        ) from error
    return OnnxEngine(content, path=path)


def _onnxruntime() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(
            "an exported model needs onnxruntime, which is not installed: pip install onnxruntime, or give the run's "
            "folder"
        ) from error
    return onnxruntime
