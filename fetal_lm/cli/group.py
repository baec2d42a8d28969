"""What the command does with an error that its user can mend."""

from __future__ import annotations

import os
from typing import Any, Final

import typer
from typer.core import TyperGroup

from fetal_lm.errors import InputError

BAD_INPUT: Final = 2


class Group(TyperGroup):
    """Turns what a user can mend into its message and an exit code, for every command."""

    # Typer brings its own copy of click in some versions; Any fits both.
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (InputError, OSError) as error:
            # Hydra's own switch, so that the project has one. Whoever stops reading (`| head`) needs no message.
            if os.environ.get("HYDRA_FULL_ERROR") == "1" or isinstance(error, BrokenPipeError):
                raise
            typer.echo(f"fetal-lm: {_message(error)}", err=True)
            raise typer.Exit(BAD_INPUT) from None


def _message(error: Exception) -> str:
    """As `run.py` says it: of a file that may not be read, or whose name is too long, Python knows the name."""
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror or error}"
    return str(error)
