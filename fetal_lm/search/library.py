"""Optuna, which proposes what to try next: an extra, imported only where something is searched."""

from __future__ import annotations

from types import ModuleType

from fetal_lm.errors import InputError


def load_optuna() -> ModuleType:
    """Imports it; its own messages are left out, as this package says the same in its own words.

    Raises:
        InputError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise InputError(f"a search needs optuna ({error}); install it with: pip install -e '.[search]'") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna
