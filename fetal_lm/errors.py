"""What a user can mend is an `InputError`; anything else that is raised is a fault of this package."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(ValueError):
    """Bad input: the message names the file and row, what was expected, what came, and what to do about it.

    Commands print the message alone, without a traceback, and exit with a code that is not 0.
    """


def some(names: Sequence[str], at_most: int = 5) -> str:
    """The first few names for a message, and how many more there are.

    Example:
        >>> some(list("abcdefg"))
        'a, b, c, d, e and 2 more'
    """
    return ", ".join(names[:at_most]) + (f" and {len(names) - at_most} more" if len(names) > at_most else "")
