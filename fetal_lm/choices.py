"""What a user may choose between on the command line; without torch, so that `--help` is immediate."""

from __future__ import annotations

from enum import StrEnum


class Images(StrEnum):
    """Which images of a source a finished run is tested on again."""

    test = "test"
    """Those that the run tested, looked up by name: the same images under other labels."""
    all = "all"
    """Every image of the source."""


class Seen(StrEnum):
    """What becomes of images whose examination the weights were trained or selected on."""

    refuse = "refuse"
    leave_out = "leave-out"
    allow = "allow"


class EngineName(StrEnum):
    """What computes a network when images are measured."""

    torch = "torch"
    """The folder of a run, as it was tested."""
    onnx = "onnx"
    """A file that `fetal-lm export` wrote; torch is not imported."""
