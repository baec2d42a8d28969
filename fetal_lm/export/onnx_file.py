"""A model -> the bytes of an ONNX file that needs nothing beside it."""

from __future__ import annotations

import importlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import torch

from fetal_lm.errors import InputError
from fetal_lm.export.graph import HeadFinder
from fetal_lm.geometry import Fit
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.predict.exported import CONFIDENCE, IMAGE, POINTS, About

OPSET: Final = 20
"""Version of ONNX's operators."""

_NEEDED: Final = ("onnx", "onnxscript", "onnxruntime")
_EXAMPLE: Final = (2, 37, 53)
"""Shape of the images that the graph is traced with; lengths of 0 and 1 would be taken for constants."""


def check_installed() -> None:
    """Makes sure that what an export needs is there.

    Raises:
        InputError: a package is missing.
    """
    for name in _NEEDED:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise InputError(
                f"an export needs {name}, which is not installed: pip install {' '.join(_NEEDED)}"
            ) from error


def onnx_bytes(model: Hypothesis, fit: Fit, about: About) -> bytes:
    """Traces a model; batch, height and width stay open.

    Args:
        model: in evaluation mode.
        fit: how images come to the network's size.
        about: what the file is to say about itself.
    """
    import onnx

    dimensions = {axis: torch.export.Dim(name) for axis, name in enumerate(("batch", "height", "width"))}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            HeadFinder(model, fit).eval(),
            (torch.zeros(_EXAMPLE, dtype=torch.uint8),),
            dynamo=True,
            opset_version=OPSET,
            input_names=[IMAGE],
            output_names=[POINTS, CONFIDENCE],
            dynamic_shapes={IMAGE: dimensions},
            verbose=False,
        )
    if program is None:
        raise RuntimeError("torch.onnx.export returned no program")
    graph = program.model_proto
    _forget_where(graph.graph)
    onnx.helper.set_model_props(graph, about.properties())
    content: bytes = graph.SerializeToString()
    return content


def _forget_where(graph: Any) -> None:
    """Drops what torch notes beside every node: from which lines of which files on this machine it came."""
    for part in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph):
        del part.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps what torch says about itself while it traces from the user: packages it does not need, deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        logger.setLevel(level)
