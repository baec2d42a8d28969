"""What a run's configuration may name: a folder from elsewhere is read, and must not choose what code runs.

Hydra's `instantiate` calls whatever a `_target_` names with whatever stands beside it, refuses little of that
(`pandas.read_pickle` and a path would do), and looks for more of them in what interpolations make and in what it is
given besides. So it has no part here: objects are made of plain values, in which nothing is left to be looked up.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from fetal_lm.errors import InputError

PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "model": ("fetal_lm.hypotheses", "fetal_lm.networks"),
    "loss": ("fetal_lm.losses",),
    "codec": ("fetal_lm.codecs",),
}
"""Parts of a configuration that make a model to predict with, and the modules of which each may name classes."""


class ForeignCodeError(InputError):
    """A configuration names something else than this package's own classes."""


def made(part: str, value: Any, path: Path, **given: Any) -> Any:
    """The object that a part of a finished run's configuration describes, and those that it is made of.

    Args:
        part: one of `PARTS`.
        value: what stands there, resolved: mappings, lists and plain values.
        path: where it was read, for the message.
        **given: what else it is made with.

    Raises:
        ForeignCodeError: it describes no object, or it or one in it is of anything but a class that this version of the
            package defines there.
        Exception: the class does not take these options.
    """
    target = value.get("_target_") if isinstance(value, dict) else None
    found = _class_of(target, PARTS[part])
    if found is None:
        raise ForeignCodeError(
            f"{path}: {part} names {target!r}, which is no class of this version's {' or '.join(PARTS[part])}; a run's "
            "folder may name nothing else, as that could run any code; use the version of fetal_lm that trained the run"
        )
    options = {key: _built(part, inner, path) for key, inner in value.items() if key != "_target_"}
    return found(**options, **given)


def is_class_of(target: Any, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is that of a class that is defined in one of these packages.

    Example:
        >>> [is_class_of(f"fetal_lm.losses.{name}", ("fetal_lm.losses",)) for name in ("CrossEntropy", "Tensor", "_")]
        [True, False, False]
    """
    return _class_of(target, packages) is not None


def _built(part: str, value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        if "_target_" in value:
            return made(part, value, path)
        return {key: _built(part, inner, path) for key, inner in value.items()}
    return [_built(part, inner, path) for inner in value] if isinstance(value, list) else value


def _class_of(target: Any, packages: tuple[str, ...]) -> type | None:
    module, _, name = str(target).rpartition(".")
    if not any(module == package or module.startswith(f"{package}.") for package in packages):
        return None
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        return None
    # A module also has the names that it imports.
    return found if isinstance(found, type) and found.__module__ == module else None
