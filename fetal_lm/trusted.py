"""What a run's configuration may name: a folder from elsewhere is read, and must not choose what code runs.

Hydra's `instantiate` calls whatever a `_target_` names with whatever stands beside it, and refuses little of that:
`pandas.read_pickle` and a path would do.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from fetal_lm.errors import InputError

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("fetal_lm.hypotheses", "fetal_lm.networks"),
    "loss": ("fetal_lm.losses",),
    "codec": ("fetal_lm.codecs",),
}
"""Parts of a configuration that make a model to predict with, and the modules of which it may name classes."""


def check_targets(parts: Mapping[str, Any], path: Path) -> None:
    """Refuses a configuration whose model, loss or codec is made of anything but this package's own classes.

    Args:
        parts: of a finished run's configuration, those of `PARTS`, resolved.
        path: where it was read, for the message.

    Raises:
        InputError: it names something else, or a class that this version lacks.
    """
    for part, modules in PARTS.items():
        for target in _targets(parts[part]):
            if not is_class_of(target, modules):
                raise InputError(
                    f"{path}: {part} names {target!r}, which is no class of this version's {' or '.join(modules)}; a "
                    "run's folder may name nothing else, as that could run any code; use the version of fetal_lm that "
                    "trained the run"
                )


def is_class_of(target: Any, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is that of a class that is defined in one of these packages.

    Example:
        >>> [is_class_of(f"fetal_lm.losses.{name}", ("fetal_lm.losses",)) for name in ("CrossEntropy", "Tensor", "_")]
        [True, False, False]
    """
    module, _, name = str(target).rpartition(".")
    if not _is_of(module, packages):
        return False
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return False
    # A module also has the names that it imports.
    return isinstance(found, type) and found.__module__ == module


def _is_of(module: str, packages: tuple[str, ...]) -> bool:
    """Whether a module is one of these packages or lies in one."""
    return any(module == package or module.startswith(f"{package}.") for package in packages)


def _targets(value: Any) -> Iterator[Any]:
    """Every `_target_` in it, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "_target_":
                yield inner
            else:
                yield from _targets(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _targets(inner)
