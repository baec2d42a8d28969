"""What a user may choose when a finished run is tested again; without torch, so that `--help` is immediate."""

from __future__ import annotations

from enum import StrEnum


class Images(StrEnum):
    """Which images of a source are tested."""

    test = "test"
    """Those that the run tested, looked up by name: the same images under other labels."""
    all = "all"
    """Every image of the source."""


class Seen(StrEnum):
    """What becomes of images whose examination the weights were trained or selected on."""

    refuse = "refuse"
    leave_out = "leave-out"
    allow = "allow"
