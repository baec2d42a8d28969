"""A finished run -> one file that measures without torch: what `fetal-lm export` does."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console

from fetal_lm import __version__
from fetal_lm.atomic import atomic_path
from fetal_lm.choices import HALF_TURN, WHEN_UNSURE, Flips
from fetal_lm.console import say
from fetal_lm.errors import InputError
from fetal_lm.export.onnx_file import check_installed, onnx_bytes
from fetal_lm.export.parity import TOLERANCE_CONFIDENCE, TOLERANCE_PX, Parity, parity
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.predict.engine import EXPORTED_SUFFIX
from fetal_lm.predict.exported import About
from fetal_lm.predict.measurement import LOW_CONFIDENCE
from fetal_lm.predict.onnx_engine import OnnxEngine
from fetal_lm.trained import TrainedRun, load_run

WRITTEN: Final = 0
DIFFERENT: Final = 1
CHECKED_IMAGES: Final = 12

LOOKED_AT: Final[dict[Flips, str]] = {
    True: "image and three mirror images",
    HALF_TURN: "image and half a turn of it",
    WHEN_UNSURE: "image and, where that leaves doubts, half a turn of it",
    False: "image alone",
}
"""By `test_flips`, in words."""


def export(
    model: Path, output: Path, *, force: bool = False, flips: Flips | None = None, console: Console | None = None
) -> int:
    """Exports a run, compares the file with torch, and only then writes it.

    Args:
        model: see `load_run`.
        output: of the file.
        force: whether a file that is there is overwritten.
        flips: at which mirror images of an image the file looks too; None takes what the run was tested with.
        console: where to print.

    Returns:
        The exit code: 0, or 1 if the file would find other points than torch; then nothing is written.

    Raises:
        InputError: a package is missing, the run cannot be loaded, it tests with rotations, or the file cannot be
            written.
    """
    console = console or Console()
    check_installed()
    _check_output(output, force=force)
    run = load_run(model.expanduser(), flips=flips)
    _check_views(run.model, model)
    say(console, f"exporting {run.model.label} {run.row.model} of {model}")
    content = onnx_bytes(run.model, run.cfg.data.fit, _about(run))
    found = parity(run, OnnxEngine(content, path=output), images=CHECKED_IMAGES)
    if not found.good:
        say(
            console,
            f"{output}: NOT written: on {found.images} images its points are up to {found.points_px:.3g} px from "
            f"torch's, {found.resized_px:.3g} where it resizes images itself (allowed {TOLERANCE_PX} of the network's "
            f"frame), its confidences {found.confidence:.3g} (allowed {TOLERANCE_CONFIDENCE}); measure with the run's "
            "folder",
        )
        return DIFFERENT
    try:
        with atomic_path(output) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise _unwritable(output, error) from error
    _print_summary(console, output, len(content), run, found)
    return WRITTEN


def _about(run: TrainedRun) -> About:
    codec, network = run.model.codec, run.model.network
    return About(
        hypothesis=run.model.label,
        model=run.row.model,
        size_net=run.model.size_net,
        fit=run.cfg.data.fit,
        low_confidence=LOW_CONFIDENCE,
        decoding=f"{LOOKED_AT[run.model.test_flips]}, {codec.decoder}, "
        f"{'all landmarks together' if codec.joint else 'map by map'}, sigma {codec.sigma_px} px, stride "
        f"{network.stride} px, branch {run.model.branches[0]}",
        weights_sha256=run.digest,
        config_sha256=run.config_digest,
        split_digest=run.row.split_digest,
        fetal_lm=__version__,
    )


def _check_views(model: Hypothesis, path: Path) -> None:
    """Refuses rotations: the file's graph would hold the network once more for each angle."""
    if model.test_rotations:
        angles = ", ".join(f"{degrees:g}" for degrees in model.test_rotations)
        raise InputError(
            f"{path}: the run also looks at images turned by {angles} degrees (test_rotations), which an exported file "
            "does not hold; measure with the run's folder, or export a run with test_rotations=null"
        )


def _check_output(output: Path, *, force: bool) -> None:
    """Says what is wrong with the file's place before a minute of work, not after."""
    if output.suffix.lower() != EXPORTED_SUFFIX:
        raise InputError(f"--output: expected a file name that ends in {EXPORTED_SUFFIX}, got {str(output)!r}")
    if output.is_dir():
        raise InputError(f"{output}: expected the name of a file to write, but it is a folder; name a file in it")
    if output.exists() and not force:
        raise InputError(f"{output}: is there already; overwrite it with --force, or name another file")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output.parent):
            pass
    except OSError as error:
        raise _unwritable(output, error) from error


def _unwritable(output: Path, error: OSError) -> InputError:
    return InputError(
        f"{output}: cannot be written ({error.strerror or error}); free some space, or name another file with --output"
    )


def _print_summary(console: Console, output: Path, size: int, run: TrainedRun, found: Parity) -> None:
    if run.bfloat16:
        say(
            console,
            "torch computes this run in bfloat16, the file in float32: points are up to "
            f"{found.bfloat16_px:.2f} px of the network's frame apart",
        )
    say(
        console,
        f"wrote {output}: {size / 1e6:.1f} MB; within {found.points_px:.2g} px of torch in the same arithmetic "
        f"({found.resized_px:.2g} where it resizes images itself), confidences within {found.confidence:.1g} "
        f"({found.images} images)",
    )
    say(console, f"Next: fetal-lm predict IMAGES --model {output} --output DIR")
