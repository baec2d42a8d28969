"""What a user can mend is an `InputError`; anything else that is raised is a fault of this package."""


class InputError(ValueError):
    """Bad input: the message names the file and row, what was expected, what came, and what to do about it.

    Commands print the message alone, without a traceback, and exit with a code that is not 0.
    """
