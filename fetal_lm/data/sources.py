"""Data sources by name, for commands that are no experiment: what `data=NAME` means in `run.py`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fetal_lm.configuration import read_configuration
from fetal_lm.data.records import Source
from fetal_lm.errors import InputError
from fetal_lm.trusted import is_class_of

ADAPTERS: Final = "fetal_lm.data.adapters"
CONF: Final = Path(__file__).resolve().parents[2] / "conf" / "data"


def source_by_name(name: str, **options: Any) -> Source:
    """Makes the source that `conf/data/NAME.yaml` describes; see `source_settings`.

    Example:
        >>> source_by_name("phantom", images=3).name
        'phantom'
    """
    return made(source_settings(name, **options))


def source_settings(name: str, **options: Any) -> dict[str, Any]:
    """What a run's configuration says under `data.source` for the source that `conf/data/NAME.yaml` describes.

    Args:
        name: of the file.
        options: what differs from it: `root` and the options below `source`.

    Raises:
        InputError: there is no such source or option, `root` is missing, or the package was installed without the
            repository's configurations.
    """
    if not CONF.is_dir():
        raise InputError(
            f"source {name}: the configurations are not installed with the package, only `fetal-lm predict`, `export`, "
            "`package` and `report` work without them; install it from a clone with `pip install -e .`"
        )
    path = CONF / f"{name}.yaml"
    known = sorted(file.stem for file in CONF.glob("*.yaml"))
    if name not in known:
        raise InputError(f"source: expected one of {', '.join(known)}, got {name!r}")
    config = OmegaConf.load(path)
    accepted = [key for key in config.source if key != "_target_"]
    if unknown := sorted(options.keys() - set(accepted)):
        raise InputError(f"source {name}: expected options among {', '.join(accepted)}, got {', '.join(unknown)}")
    # The root stands above the source, where an experiment sets it.
    if "root" in options:
        config.root = str(options.pop("root"))
    try:
        chosen = OmegaConf.merge(config, {"source": options}).source
        return cast(dict[str, Any], OmegaConf.to_container(chosen, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise InputError(f"source {name}: its folder is not given; add --root DIR") from error


def source_of_run(path: Path) -> Source:
    """Makes the source that a run's `config.yaml` describes, the judge's if it had one, to read its test images again.

    Args:
        path: of the file.

    Raises:
        InputError: the file is missing or damaged, its source is none of this package's (a report runs no code that a
            folder names), or the source does not like an option's value.
    """
    cfg = read_configuration(path)
    try:
        source = cfg.data.get("judge") or cfg.data.source
        arguments = OmegaConf.to_container(source, resolve=True, throw_on_missing=True)
    except (OmegaConfBaseException, AttributeError, ValueError) as error:
        raise InputError(f"{path}: expected a data source under data.source, got {error}") from error
    target = arguments.get("_target_") if isinstance(arguments, dict) else None
    if not isinstance(arguments, dict) or not is_class_of(target, (ADAPTERS,)):
        raise InputError(f"{path}: expected a data source of {ADAPTERS}, got {target!r}; its images are not read")
    try:
        return made(cast(dict[str, Any], arguments))
    except (ImportError, AttributeError, TypeError) as error:
        raise InputError(
            f"{path}: this version of fetal_lm has no such data source ({error}); use the version that trained the run"
        ) from error


def made(settings: Mapping[str, Any]) -> Source:
    """The source of `source_settings`.

    Raises:
        InputError: it does not like an option's value.
    """
    module, _, function = str(settings["_target_"]).rpartition(".")
    options = {key: value for key, value in settings.items() if key != "_target_"}
    source: Source = getattr(importlib.import_module(module), function)(**options)
    return source


def parsed_options(texts: Sequence[str]) -> dict[str, Any]:
    """Options as a command line gives them; values are read as YAML, which `run.py` does too.

    Raises:
        InputError: a text is not KEY=VALUE.

    Example:
        >>> parsed_options(["images=3", "outside=keep"])
        {'images': 3, 'outside': 'keep'}
    """
    for text in texts:
        key, equals, _ = text.partition("=")
        if not (key.isidentifier() and equals):
            raise InputError(f"expected an option as KEY=VALUE, got {text!r}")
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.from_dotlist([*texts])))
