"""What a command says, line by line."""

from __future__ import annotations

from rich.console import Console


def say(console: Console, text: str, style: str | None = None) -> None:
    """Prints a line with names and paths as they are: no markup, and no break inside a path that is to be copied."""
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
