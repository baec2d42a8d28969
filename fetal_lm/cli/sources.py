"""Data sources by name, for commands that are no experiment: `conf/data/NAME.yaml` says which class it is."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fetal_lm.data.rows import Auditable
from fetal_lm.errors import InputError

CONF: Final = Path(__file__).resolve().parents[2] / "conf" / "data"


def auditable_source(name: str, root: Path | None, csv: Path | None) -> Auditable:
    """Opens a source whose rows can be audited.

    Args:
        name: of a file in `conf/data`, without `.yaml`.
        root: the folder that a source with files needs.
        csv: its labels, if it takes a CSV and not the usual one is meant.

    Raises:
        InputError: there is no such source, it cannot be audited, or it needs a root or takes no such option.
    """
    known = {path.stem: path for path in sorted(CONF.glob("*.yaml"))}
    if name not in known:
        listed = ", ".join(known) if known else f"none: {CONF} is missing, run from a copy of the project's repository"
        raise InputError(f"SOURCE: expected one of the known sources, got {name!r}; known are {listed}")
    config = cast(DictConfig, OmegaConf.load(known[name]))
    for option, value, key, at in (("--root", root, "root", config), ("--csv", csv, "csv", config.source)):
        if value is None:
            continue
        # `key in at` is false where the value is ???.
        if key not in set(at):
            raise InputError(f"{option}: the source {name!r} takes none; leave the option out")
        at[key] = str(value)
    if OmegaConf.is_missing(config, "root"):
        raise InputError(f"--root: expected the folder of the source {name!r}, got nothing; add --root DIR")
    try:
        options = cast(dict[str, Any], OmegaConf.to_container(config.source, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise InputError(f"{known[name]}: the source {name!r} needs an option that is not set: {error}") from error
    module, _, class_name = options.pop("_target_").rpartition(".")
    source = getattr(importlib.import_module(module), class_name)(**options)
    if not isinstance(source, Auditable):
        raise InputError(f"SOURCE: {name!r} cannot be audited: {class_name} gives no rows; choose another source")
    return source
