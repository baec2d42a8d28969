"""Other ways to run a network on a CPU: how fast each is, and whether it still measures as well.

    python experiments/bench/engines.py RUN --root DIR [--images 100]

RUN is a finished run on HC18, whose test images are measured without their mirror images: by torch, by torch.compile,
by onnxruntime, by onnxruntime with 8-bit convolutions (calibrated on training images), and by OpenVINO where it is
installed (`pip install openvino`). Times take turns and are of one image of the network's size.
"""

from __future__ import annotations

import importlib
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, cast

import numpy as np
import torch
import typer
from jaxtyping import UInt8
from onnxruntime import quantization
from rich.console import Console
from rich.progress import track
from timing import in_turn

from fetal_lm import biometry, geometry
from fetal_lm.data.adapters.hc18 import Hc18
from fetal_lm.data.records import Record
from fetal_lm.errors import InputError
from fetal_lm.export.command import export
from fetal_lm.predict.engine import Engine, Found
from fetal_lm.predict.exported import IMAGE
from fetal_lm.predict.onnx_engine import open_exported
from fetal_lm.predict.torch_engine import TorchEngine
from fetal_lm.report.markdown import table_lines
from fetal_lm.trained import load_run

CALIBRATION_IMAGES: Final = 48
REPEATS: Final = 30

Image = UInt8[np.ndarray, "1 H W"]
Find = Callable[[Image], Found]


def main(
    run: Annotated[Path, typer.Argument(help="A finished run's folder.")],
    root: Annotated[Path, typer.Option(help="HC18.")],
    images: Annotated[int, typer.Option(min=1, help="How many test images to measure.")] = 100,
) -> None:
    """Prints the table."""
    try:
        source, loaded = Hc18(root=root), load_run(run)
        records = source.records()
    except InputError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    frame, parts = TorchEngine(loaded, bfloat16=loaded.bfloat16), loaded.manifest.parts
    training, test = ([record for record in records if record.image in parts[part]] for part in ("train", "test"))
    with tempfile.TemporaryDirectory() as folder:
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "int8.onnx"
        if export(run, plain, flips=False):
            raise typer.Exit(1)
        calibration = [_fitted(source, record, frame) for record in _spread(training, CALIBRATION_IMAGES)]
        _quantise(plain, small, calibration)
        openers: dict[str, Callable[[], Find]] = {
            "torch": lambda: _by_torch(run).find,
            "torch.compile": lambda: _by_torch(run, compiled=True).find,
            "onnxruntime": lambda: open_exported(plain).find,
            "onnxruntime, 8 bit": lambda: open_exported(small).find,
        }
        if importlib.util.find_spec("openvino"):
            openers["OpenVINO"] = lambda: _by_openvino(plain)
        rows = list(_rows(openers, source, _spread(test, images), frame))
    headers = ["engine", "open and first image, s", "ms an image", "HC, mm off on average"]
    Console().print("\n".join(table_lines(headers, rows)), markup=False, soft_wrap=True)


def _rows(
    openers: dict[str, Callable[[], Find]], source: Hc18, records: Sequence[Record], frame: Engine
) -> Iterator[tuple[str, ...]]:
    fitted = [_fitted(source, record, frame) for record in track(records, "reading", transient=True)]
    finds, opened_s = [], []
    for opener in openers.values():
        started = time.perf_counter()
        finds.append(opener())
        finds[-1](fitted[0])
        opened_s.append(time.perf_counter() - started)
    times_s = in_turn([(partial(find, fitted[0]), 1) for find in finds], REPEATS)
    for name, find, first_s, time_s in zip(openers, finds, opened_s, times_s, strict=True):
        off_mm = [
            abs(_hc_mm(record, _points_orig(record, find(image).points[0], frame)) - _hc_mm(record, record.points_orig))
            for record, image in zip(records, track(fitted, name, transient=True), strict=True)
        ]
        yield name, f"{first_s:.1f}", f"{1000 * time_s:.1f}", f"{np.mean(off_mm):.3f}"


def _hc_mm(record: Record, points_orig: np.ndarray) -> float:
    hc_px = biometry.head_circumference(biometry.bpd(points_orig), biometry.ofd(points_orig))
    return float(hc_px) * record.mm_per_px


def _fitted(source: Hc18, record: Record, frame: Engine) -> Image:
    return geometry.fit_image(source.read(record), frame.size_net, frame.fit)[None]


def _points_orig(record: Record, points_net: np.ndarray, frame: Engine) -> np.ndarray:
    to_net = geometry.FITS[frame.fit](record.size_orig, frame.size_net)
    return geometry.apply(geometry.inverse(to_net), points_net.astype(np.float64))


def _spread(records: Sequence[Record], count: int) -> list[Record]:
    """So many, evenly over all: their numbers rise with gestational age."""
    return [records[round(place)] for place in np.linspace(0, len(records) - 1, min(count, len(records)))]


def _by_torch(run: Path, *, compiled: bool = False) -> TorchEngine:
    loaded = load_run(run, flips=False)
    if compiled:
        loaded.model.network = cast(Any, torch.compile(loaded.model.network))
    return TorchEngine(loaded, bfloat16=loaded.bfloat16)


def _by_openvino(path: Path) -> Find:
    openvino = importlib.import_module("openvino")
    compiled = openvino.Core().compile_model(str(path), "CPU", {"PERFORMANCE_HINT": "LATENCY"})

    def find(image: Image) -> Found:
        points, sure = compiled(image).values()
        return Found(points, sure)

    return find


def _quantise(path: Path, output: Path, images: Sequence[Image]) -> None:
    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        """Hands the images out one by one, as the library wants them."""

        def __init__(self) -> None:
            self.left = iter(images)

        def get_next(self) -> dict[str, Image] | None:
            image = next(self.left, None)
            return None if image is None else {IMAGE: image}

    quantization.quantize_static(
        str(path), str(output), Reader(), per_channel=True, op_types_to_quantize=["Conv"],
        activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
    )  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
