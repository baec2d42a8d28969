"""Data sources by name, for commands that are no experiment: what `data=NAME` means in `run.py`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, cast

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fetal_lm.data.records import Source
from fetal_lm.errors import InputError

CONF: Final = Path(__file__).resolve().parents[2] / "conf" / "data"


def source_by_name(name: str, **options: Any) -> Source:
    """Makes the source that `conf/data/NAME.yaml` describes.

    Args:
        name: of the file.
        options: what differs from it: `root` and the options below `source`.

    Raises:
        InputError: there is no such source or option, `root` is missing, or the source does not like an option's value.

    Example:
        >>> source_by_name("phantom", images=3).name
        'phantom'
    """
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
        arguments = cast(dict[str, Any], OmegaConf.to_container(chosen, resolve=True, throw_on_missing=True))
    except OmegaConfBaseException as error:
        raise InputError(f"source {name}: its folder is not given; add --root DIR") from error
    module, _, function = arguments.pop("_target_").rpartition(".")
    source: Source = getattr(importlib.import_module(module), function)(**arguments)
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
