"""Tables that several calls of a command fill: rows named by what they are of, kept until that is given again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from fetal_lm.errors import InputError

Row = TypeVar("Row")


def named_folders(given: Iterable[str]) -> dict[str, Path]:
    """Folders by name from arguments `NAME=FOLDER`, in their order.

    Raises:
        InputError: an argument has no name or no folder, or a name comes twice.

    Example:
        >>> named_folders(["cross-entropy=outputs/a=b"])
        {'cross-entropy': PosixPath('outputs/a=b')}
    """
    folders: dict[str, Path] = {}
    for argument in given:
        name, _, folder = argument.partition("=")
        if not name or not folder:
            raise InputError(f"expected NAME=FOLDER, got {argument!r}")
        if name in folders:
            raise InputError(f"expected each name once, got {name!r} for {folders[name]} and for {folder}")
        folders[name] = Path(folder)
    return folders


def replaced(kept: Sequence[Row], name: str, new: Sequence[Row], name_of: Callable[[Row], str]) -> list[Row]:
    """The rows with those of one name replaced in their place, or added at the end.

    Example:
        >>> replaced(["a1", "a2", "b1"], "a", ["a3"], name_of=lambda row: row[0])
        ['a3', 'b1']
    """
    others = [row for row in kept if name_of(row) != name]
    first = next((place for place, row in enumerate(kept) if name_of(row) == name), len(others))
    return [*others[:first], *new, *others[first:]]
