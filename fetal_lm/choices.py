"""What a user may choose between on the command line; without torch, so that `--help` is immediate."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, Literal

from fetal_lm.errors import InputError


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


HALF_TURN: Final = "half_turn"
WHEN_UNSURE: Final = "when_unsure"

Flips = bool | Literal["half_turn", "when_unsure"]
"""At which mirror images to look besides: at all three, at none, at that by both axes, which is half a turn, or at this
one where the image alone leaves doubts."""


def flips_of(flips: bool | None, *, half_turn: bool, when_unsure: bool) -> Flips | None:
    """What the switches --flips, --no-flips, --half-turn and --when-unsure ask for; None leaves it to the run.

    Raises:
        InputError: they contradict each other.
    """
    if half_turn + when_unsure + (flips is not None) > 1:
        raise InputError("expected one of --flips, --no-flips, --half-turn and --when-unsure, which exclude each other")
    if half_turn:
        return HALF_TURN
    return WHEN_UNSURE if when_unsure else flips
