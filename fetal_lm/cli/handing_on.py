"""The commands that hand a finished run on: `fetal-lm export` and `fetal-lm package`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fetal_lm.choices import flips_of

EXPORT_EXAMPLES = (
    "Examples:\n\n  fetal-lm export outputs/single_hourglass/2026-01-31_12-00-00 --output model.onnx\n\n"
    "  fetal-lm export outputs/RUN/checkpoints/last.ckpt --output last.onnx --force\n\n"
    "  fetal-lm export outputs/RUN --output fast.onnx --no-flips\n\n"
    "  fetal-lm predict scans --output measured --model model.onnx"
)

PACKAGE_EXAMPLES = (
    "Examples:\n\n  fetal-lm package outputs/single_hourglass/2026-01-31_12-00-00 --output head_model\n\n"
    "  fetal-lm package outputs/RUN --output small_model --half\n\n"
    "  fetal-lm predict scans --output measured --model head_model\n\n"
    "  fetal-lm evaluate head_model --data hc18 --root DIR --output judged"
)


def export(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="RUN_DIR|CHECKPOINT",
            help="Folder of a finished run, or a checkpoint in its folder checkpoints.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, *.onnx.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file if it is there.")] = False,
    flips: Annotated[
        bool | None,
        typer.Option(
            "--flips/--no-flips",
            help="Whether the file looks at an image's three mirror images too: steadier, and four passes for one.",
            show_default="as the run was tested",
        ),
    ] = None,
    half_turn: Annotated[
        bool, typer.Option("--half-turn", help="Of the mirror images, half a turn alone: two passes for one.")
    ] = False,
    when_unsure: Annotated[
        bool, typer.Option("--when-unsure", help="Half a turn only of images that leave doubts: mostly one pass.")
    ] = False,
) -> None:
    """Write a finished run's network as one ONNX file, with which predict needs no torch.

    The file takes grey images of any size, any number at a time, and gives landmarks in their pixels and confidences:
    resize, mirror images and decoding are in the graph, in float32, and what it says about itself is in its metadata.
    It is compared with torch on a few images before it is written.

    Exit code: 0 if it was written; 1 if it would find other points than torch (nothing is written); 2 if a package is
    missing, the run cannot be loaded or the file cannot be written.
    """
    from fetal_lm.export.command import export as write

    raise typer.Exit(
        write(model, output, force=force, flips=flips_of(flips, half_turn=half_turn, when_unsure=when_unsure))
    )


def package(
    model: Annotated[Path, typer.Argument(metavar="RUN_DIR", help="Folder of a finished run.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder to write; it must not be there yet.", show_default=False)
    ],
    half: Annotated[
        bool, typer.Option("--half", help="Round the weights to half precision: half the size, nearly the same points.")
    ] = False,
) -> None:
    """Write a finished run as a small folder to give away: weights that can hold no code, and how to use them.

    The folder takes a run's place wherever one is asked for. It holds weights.safetensors, the options of the model
    (config.yaml), whom it was trained on (split.json, so that evaluate can refuse them) and what the run measured
    (row.json, predictions.csv, history.csv); no images, and no path of this machine.

    Exit code: 0 if it was written; 2 if the run cannot be loaded, names its images by paths of this machine, or the
    folder cannot be written.
    """
    from fetal_lm.export.package import package as write

    write(model, output, half=half)
