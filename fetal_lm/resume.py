"""Whether a run that goes on is still the run that began."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from omegaconf import OmegaConf

from fetal_lm.configuration import read_configuration
from fetal_lm.errors import InputError
from fetal_lm.tracking import flatten

# What a result depends on. How long to train, on which machine and what to write may change when a run goes on.
_FIXED: Final = (
    "seed", "image_size", "monitor", "test_flips", "data.", "split.", "augment.", "model.", "loss.", "codec.", "optim.",
)  # fmt: skip
_FREE: Final = (
    "data.root",
    "data.source.root",
    "data.workers",
    "data.cache",
    "data.default_epochs",
    "data.study_seeds",
)


def check_same_configuration(path: Path, config: Mapping[str, Any]) -> None:
    """Compares a run's options with those it began with.

    Args:
        path: the run's `config.yaml`; a folder that has none is not compared.
        config: resolved, of the command that wants to go on.

    Raises:
        InputError: an option that the result depends on differs, or the file cannot be read.
    """
    if not path.is_file():
        return
    before = flatten(cast(dict[str, Any], OmegaConf.to_container(read_configuration(path))))
    now = flatten(config)
    different = [
        f"{key} was {before.get(key, 'not there')} and is {now.get(key, 'not there')}"
        for key in sorted(before.keys() | now.keys())
        if key.startswith(_FIXED) and not key.startswith(_FREE) and before.get(key) != now.get(key)
    ]
    if different:
        raise InputError(
            f"{path}: the run in this folder began with other options: {'; '.join(different)}. Go on with the options "
            "that it had, or start a new run in another folder"
        )
