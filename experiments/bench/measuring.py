"""What `fetal-lm predict` takes: time for an image, for a folder and for a start, and memory.

    python experiments/bench/measuring.py --images 10000        memory over as many images, by itself

By the released weights. The images are phantom heads of HC18's size.
"""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Annotated, Final, Self

import cv2
import numpy as np
import torch
import typer
from rich.console import Console
from timing import Step, in_turn

from fetal_lm import Predictor
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.images import read_grey
from fetal_lm.networks.stacked_hourglass import StackedHourglass
from fetal_lm.predict.command import predict
from fetal_lm.predict.released import EXPORTED, FOLDER

FILE: Final = FOLDER / EXPORTED
SIZE_NET: Final = (256, 256)
DRAWN: Final = 50
IN_A_TURN: Final = 10
"""Images measured one after the other before it is another's turn."""
FOLDER_IMAGES: Final = 100

PEAK: Final = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(code)
"""
"""Prints the most KiB that a command held. A small process in between, as a child's figure begins with its parent's."""


def measuring() -> list[tuple[str, str]]:
    """Rows of the table; everything is made in a folder that is deleted again."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        drawn = _drawn(folder / "drawn")
        one, many = _linked(drawn, folder / "one", 1), _linked(drawn, folder / "many", FOLDER_IMAGES)
        return [
            *_one_image(drawn[:IN_A_TURN], _noise(folder / "noise.png")),
            *_folder(many),
            *_start(one),
            *_memory(many),
        ]


def main(
    images: Annotated[int, typer.Option(min=FOLDER_IMAGES, help="How many images the longer run measures.")] = 10_000,
) -> None:
    """Prints the peak memory of `fetal-lm predict` over a short and a long folder."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        drawn = _drawn(folder / "drawn")
        for model in (FOLDER, FILE):
            for count in (FOLDER_IMAGES, images):
                peak_mib = _peak_mib(_linked(drawn, folder / str(count), count), model)
                typer.echo(f"{_engine(model)}, {count} images: {peak_mib:.0f} MiB")


def _one_image(images: list[Path], doubtful: Path) -> list[tuple[str, str]]:
    """From an array to millimetres, some one after the other, beside the study's network's forward pass.

    Each in a process of its own, as a user has it: threads of torch and of onnxruntime that have nothing to do wait for
    more on the cores that the other one needs.
    """
    makes: list[tuple[Callable[[], Step], int]] = [
        *((partial(_predictor, model, images), len(images)) for model in (FOLDER, FILE)),
        (partial(_predictor, FILE, [doubtful] * len(images)), len(images)),
        (_study, 1),
    ]
    with contextlib.ExitStack() as processes:
        steps: list[tuple[Step, int]] = [(processes.enter_context(_Process(make)), items) for make, items in makes]
        torch_s, onnx_s, doubtful_s, study_s = in_turn(steps, repeats=20)
    return [
        ("Predictor, one image from array to millimetres, torch, ms", f"{1000 * torch_s:.1f}"),
        ("the same, onnxruntime, ms", f"{1000 * onnx_s:.1f}"),
        ("the same of noise, which leaves doubts, ms", f"{1000 * doubtful_s:.1f}"),
        ("the study's network, one forward pass (float32), ms", f"{1000 * study_s:.0f}"),
    ]


class _Process:
    """A step in a process of its own; what it returns stays there.

    Args:
        make: makes the step, there.
    """

    def __init__(self, make: Callable[[], Step]) -> None:
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), _prepare, (make,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def __call__(self) -> None:
        self._pool.submit(_run_prepared).result()


_prepared: list[Step] = []
"""Of this process."""


def _prepare(make: Callable[[], Step]) -> None:
    _prepared.append(make())


def _run_prepared() -> None:
    _prepared[0]()


def _predictor(model: Path, images: list[Path]) -> Step:
    predictor, arrays = Predictor(model), [read_grey(image) for image in images]

    def measure() -> object:
        return [predictor.measure(array, mm_per_px=0.12) for array in arrays]

    return measure


def _study() -> Step:
    network = StackedHourglass(depth=4, channels=64, stride=1, in_channels=3).eval()
    frame = torch.rand(1, 3, *SIZE_NET)

    def forward() -> object:
        with torch.inference_mode():
            return network(frame)

    return forward


def _folder(images: Path) -> list[tuple[str, str]]:
    """A folder of PNG files, read, measured and written, without the start."""

    def with_(model: Path, *, overlays: bool) -> Step:
        def step() -> object:
            with tempfile.TemporaryDirectory() as output, contextlib.redirect_stderr(io.StringIO()):
                return predict(
                    [str(images)], spacing="0.12", output=Path(output), model=model, overlays=overlays,
                    console=Console(quiet=True),
                )  # fmt: skip

        return step

    names = {FOLDER: "torch", FILE: "onnxruntime"}
    kinds = [(model, overlays) for overlays in (False, True) for model in names]
    seconds = in_turn([(with_(model, overlays=overlays), FOLDER_IMAGES) for model, overlays in kinds], repeats=3)
    return [
        (
            f"a folder of PNG, images per second, {'each drawn' if overlays else 'not drawn'}, {names[model]}",
            f"{1 / image_s:.0f}",
        )
        for (model, overlays), image_s in zip(kinds, seconds, strict=True)
    ]


def _start(one: Path) -> list[tuple[str, str]]:
    """The command as a user starts it, on one image, to its end."""
    torch_s, onnx_s = in_turn([(lambda: _predict(one, FOLDER), 1), (lambda: _predict(one, FILE), 1)], repeats=3)
    return [
        ("fetal-lm predict of one image, start to exit, torch, s", f"{torch_s:.1f}"),
        ("the same, onnxruntime, s", f"{onnx_s:.1f}"),
    ]


def _memory(images: Path) -> list[tuple[str, str]]:
    return [
        (f"peak memory over {FOLDER_IMAGES} images, {_engine(model)}, MiB", f"{_peak_mib(images, model):.0f}")
        for model in (FOLDER, FILE)
    ]


def _drawn(folder: Path) -> list[Path]:
    folder.mkdir()
    source = Phantom(seed=0, images=DRAWN)
    for record in source.records():
        cv2.imwrite(str(folder / record.image), source.read(record))
    return sorted(folder.iterdir())


def _noise(path: Path) -> Path:
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 256, (540, 800), dtype=np.uint8))
    return path


def _linked(images: list[Path], folder: Path, count: int) -> Path:
    """A folder of as many files, which are the same few images."""
    if not folder.exists():
        folder.mkdir()
        for number in range(count):
            os.link(images[number % len(images)], folder / f"{number:05d}.png")
    return folder


def _predict(images: Path, model: Path) -> None:
    with tempfile.TemporaryDirectory() as output:
        _run(_command(images, model, output))


def _peak_mib(images: Path, model: Path) -> float:
    with tempfile.TemporaryDirectory() as output:
        return int(_run([sys.executable, "-c", PEAK, *_command(images, model, output)])) / 1024


def _command(images: Path, model: Path, output: str) -> list[str]:
    options = ["--spacing", "0.12", "--model", str(model), "--output", output]
    return [*_fetal_lm(), "predict", str(images), *options]


def _engine(model: Path) -> str:
    return "onnxruntime" if model.suffix == ".onnx" else "torch"


def _fetal_lm() -> list[str]:
    return [str(Path(sys.executable).with_name("fetal-lm"))]


def _run(command: list[str]) -> str:
    """Runs a command to its end and returns what it printed.

    Raises:
        CalledProcessError: it failed; what it complained of is shown.
    """
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        sys.stderr.write(ended.stderr)
    ended.check_returncode()
    return ended.stdout


if __name__ == "__main__":
    typer.run(main)
