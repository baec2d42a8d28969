"""A model -> the bytes of an ONNX file that needs nothing beside it."""

from __future__ import annotations

import copy
import importlib
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor, nn

from fetal_lm.errors import InputError
from fetal_lm.export.graph import HeadFinder
from fetal_lm.geometry import Fit
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.predict.exported import CONFIDENCE, IMAGE, POINTS, About

OPSET: Final = 20
"""Version of ONNX's operators."""

_NEEDED: Final = ("onnx", "onnxscript", "onnxruntime")
_WORTH_IT: Final = 256
"""Numbers of a constant from which on storing it in half precision saves more than the node that widens it takes."""

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


class _ScaleShift(nn.Module):
    """What a batch normalisation does once its statistics are fixed."""

    scale: Tensor
    shift: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.running_mean is not None
        assert norm.running_var is not None
        scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
        self.register_buffer("scale", scale.detach()[:, None, None])
        self.register_buffer("shift", (norm.bias - norm.running_mean * scale).detach()[:, None, None])

    def forward(self, features: Tensor) -> Tensor:
        """Scales and shifts each channel."""
        scaled: Tensor = features * self.scale + self.shift
        return scaled


def _with_fixed_norms(model: Hypothesis) -> Hypothesis:
    """A copy whose convolutions keep their weights: torch would multiply those of the norms into them.

    onnxruntime does so too when it loads the file; until then weights of half precision are stored as such.
    """
    copied = copy.deepcopy(model)
    for module in list(copied.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, _ScaleShift(child))
    return copied


def _store_half(graph: Any) -> None:
    """Stores in half precision what loses nothing by it, and has it widened when the file is loaded."""
    import onnx
    from onnx import numpy_helper

    for constant in graph.initializer:
        if constant.data_type != onnx.TensorProto.FLOAT or math.prod(constant.dims) < _WORTH_IT:
            continue
        values = numpy_helper.to_array(constant)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if np.array_equal(half.astype(np.float32), values):
            name, narrow = constant.name, f"{constant.name}.half"
            constant.CopyFrom(numpy_helper.from_array(half, narrow))
            widened = onnx.helper.make_node("Cast", [narrow], [name], to=onnx.TensorProto.FLOAT, name=f"{name}.widened")
            graph.node.insert(0, widened)


def onnx_bytes(model: Hypothesis, fit: Fit, about: About) -> bytes:
    """Traces a model; batch, height and width stay open. Weights of a run packaged in half precision are stored so.

    Args:
        model: in evaluation mode.
        fit: how images come to the network's size.
        about: what the file is to say about itself.
    """
    import onnx

    dimensions = {axis: torch.export.Dim(name) for axis, name in enumerate(("batch", "height", "width"))}
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            HeadFinder(_with_fixed_norms(model), fit).eval(),
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
    _tidy(graph.graph)
    _store_half(graph.graph)
    onnx.helper.set_model_props(graph, about.properties())
    content: bytes = graph.SerializeToString()
    return content


def _tidy(graph: Any) -> None:
    """Drops what no one needs: constants that nothing uses, and from which lines of which files each node came.

    onnxruntime warns of the former whenever it loads the file; the latter are paths of this machine.
    """
    used: set[str] = set()
    for part in _graphs(graph):
        used |= {name for node in part.node for name in node.input} | {output.name for output in part.output}
        for noted in (*part.node, *part.value_info, *part.input, *part.output, *part.initializer, part):
            del noted.metadata_props[:]
    kept = [constant for constant in graph.initializer if constant.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def _graphs(graph: Any) -> Iterator[Any]:
    """A graph and those in it, which hold what is computed under a condition."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


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
