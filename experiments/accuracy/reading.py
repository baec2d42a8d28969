"""What the commands of this study begin with: a sweep, and what its circumferences are held against."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import typer

from fetal_lm.data.adapters.hc18 import SPACING_CSV, read_circumferences
from fetal_lm.errors import InputError
from fetal_lm.report.pooling import with_circumferences
from fetal_lm.report.sweep import Sweep, read_sweep

OFFICIAL: Final = "HC18's CSV"
BY_POINTS: Final = "the true points"
"""What a circumference is held against: the official one, or Ramanujan's of the four true points."""

HC_NOTES: Final = {
    OFFICIAL: "the head circumference of HC18's CSV.",
    BY_POINTS: "Ramanujan's circumference of the true points, which is 0.12 mm off that of HC18's CSV on average. "
    "The target is about the CSV's: give --root.",
}

Root = Annotated[Path | None, typer.Option(help=f"HC18, whose {SPACING_CSV} has the true head circumferences.")]


def read(folder: Path, root: Path | None) -> Sweep:
    """Reads a sweep, with the circumferences of HC18's CSV for truth where its folder is given."""
    sweep = read_sweep(folder)
    return sweep if root is None else with_circumferences(sweep, read_circumferences(root / SPACING_CSV))


def held_against(root: Path | None) -> str:
    """What `read` takes for the true circumference, in words."""
    return BY_POINTS if root is None else OFFICIAL


@contextmanager
def plain_errors() -> Iterator[None]:
    """Ends the command with the message of bad input alone."""
    try:
        yield
    except InputError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
