"""A finished run -> a small folder to give away, which measures wherever it lies: what `fetal-lm package` does."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from rich.console import Console

from fetal_lm import checkpoints
from fetal_lm.choices import Flips
from fetal_lm.configuration import names_a_place, write_portable
from fetal_lm.console import say
from fetal_lm.data.manifest import FILE_NAME as MANIFEST_FILE
from fetal_lm.data.manifest import Manifest
from fetal_lm.errors import InputError
from fetal_lm.report.row import FILE_NAME as ROW_FILE
from fetal_lm.report.row import write_row
from fetal_lm.trained import TrainedRun, load_run, with_views

CONFIG_FILE: Final = "config.yaml"

COPIED: Final = (MANIFEST_FILE, "predictions.csv", "history.csv")
"""What names no place but by the names of images; the last two are what a report and an evaluation ask a run for."""


def package(
    model: Path, output: Path, *, half: bool = False, flips: Flips | None = None, console: Console | None = None
) -> None:
    """Writes a run's weights with all that is needed to use them, and nothing about the machine that trained it.

    Args:
        model: the folder of a finished run.
        output: a folder that is not there yet; it gets weights.safetensors, config.yaml, split.json (whom the weights
            know, so that `fetal-lm evaluate` can refuse them), predictions.csv, history.csv and row.json.
        half: whether weights are rounded to half precision, see `checkpoints.pack`; what the run measured stays
            what the weights measured as they were.
        flips: at which mirror images the packed run is to look; None leaves the run's own `test_flips`. Its figures
            and predictions.csv stay those of what the run looked at.
        console: where to print.

    Raises:
        InputError: the run cannot be loaded, its images are named by where they lie on this machine, the folder is
            there already or cannot be written.
    """
    console = console or Console()
    folder = model.expanduser()
    run = load_run(folder, flips=flips)
    if not folder.is_dir():
        raise InputError(f"{model}: expected the folder of a finished run, got one of its files; give the folder")
    _check_names(folder, run.manifest)
    if output.exists():
        raise InputError(f"{output}: is there already; name a folder that is not, or remove it")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as name:
            temporary = Path(name) / output.name
            temporary.mkdir()
            _write(run, folder, temporary, half=half, flips=flips)
            temporary.rename(output)
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written ({error.strerror or error}); free some space, or name another folder with "
            "--output"
        ) from error
    # What was written is what will be used.
    load_run(output)
    size = sum(path.stat().st_size for path in output.iterdir())
    for line in (
        f"wrote {output}: {size / 1e6:.1f} MB, {run.model.label} {run.row.model}",
        f"Next: fetal-lm predict IMAGES --model {output} --output DIR",
    ):
        say(console, line)


def _check_names(folder: Path, manifest: Manifest) -> None:
    """Makes sure that the images are named by their source's folder, which lies anywhere.

    Whoever began with another run's weights has that run's names too.
    """
    images = [*manifest.parts.values(), *(one.images for one in manifest.before)]
    # Where nobody says whose head it is, the image is its own examination.
    names = {*manifest.contents, *(text for mapping in images for pair in mapping.items() for text in pair)}
    if outside := sorted(name for name in names if _leaves_its_folder(name)):
        raise InputError(
            f"{folder}: expected images named by their place in the source's folder, but {len(outside)} names lead out "
            f"of it, for example {outside[0]}; copy the images (fetal-lm convert --copy-images) and train on the copies"
        )


def _leaves_its_folder(name: str) -> bool:
    # Whatever system the run is of.
    return any(path.is_absolute() or ".." in path.parts for path in (PurePosixPath(name), PureWindowsPath(name)))


def _write(run: TrainedRun, folder: Path, output: Path, *, half: bool, flips: Flips | None) -> None:
    packed = folder / checkpoints.PACKED
    checkpoint = packed if packed.is_file() else folder / checkpoints.BEST
    (output / checkpoints.PACKED).write_bytes(checkpoints.pack(checkpoint, half=half))
    write_portable(run.cfg, output / CONFIG_FILE)
    for name in COPIED:
        shutil.copyfile(folder / name, output / name)
    overrides = [override for override in run.row.overrides if not names_a_place(override)]
    write_row(replace(run.row, overrides=with_views(overrides, flips=flips)), output / ROW_FILE)
