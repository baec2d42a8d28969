"""What a configuration must be like, and how to read the one that a run wrote into its folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fetal_lm.atomic import write_text
from fetal_lm.errors import InputError

SWITCHES: Final = frozenset(
    {
        "codec.joint",
        "data.cache",
        "loss.swap_invariant",
        "model.network.pretrained",
        "split.allow_leak",
        "split.drop_leaking",
        "split.test_selects",
    }
)
"""Options of this package that are on or off."""

_WHOLE: Final = {"seed": 0, "split.seed": 0, "data.folds": 1, "data.batch_size": 1, "data.workers": 0}
"""Whole numbers, and the smallest that each may be."""

_LARGEST_SEED: Final = 2**32 - 1

_SHARES: Final = ("split.val_fraction", "split.train_fraction", "split.watched_fraction")
"""Numbers; the splits say of which size."""

_OF_THE_MACHINE: Final = ("hydra", "paths", "logger", "callbacks", "ckpt_path", "init_from")
"""Keys that say where things lay and what watched the training."""

_FILES: Final = ("root", "only", "csv")
"""Options of a source that name a file or a folder."""


def check_switches(flat: Mapping[str, Any]) -> None:
    """Refuses a switch that is neither on nor off: Python takes every word for true, `no` and `off` too.

    Args:
        flat: a resolved configuration with dotted keys.

    Raises:
        InputError: a switch is neither true (or 1) nor false (or 0).
    """
    for key, value in flat.items():
        if key in SWITCHES and value not in (True, False):
            raise InputError(f"{key}: expected true or false, got {value!r}")


def check_numbers(flat: Mapping[str, Any]) -> None:
    """Refuses what is no number where one is needed, which would end in the traceback of whatever computes with it.

    Args:
        flat: a resolved configuration with dotted keys.

    Raises:
        InputError: an option is no number, or one that there is no use for.
    """
    for key, least in _WHOLE.items():
        value = flat.get(key, least)
        if not _is_whole(value) or value < least:
            raise InputError(f"{key}: expected a whole number, at least {least}, got {value!r}")
    if (seed := flat.get("seed", 0)) > _LARGEST_SEED:
        raise InputError(f"seed: expected at most {_LARGEST_SEED}, got {seed}")
    for key in _SHARES:
        if not isinstance(value := flat.get(key, 0.5), int | float):
            raise InputError(f"{key}: expected a share, for example 0.1, got {value!r}")
    size = flat.get("image_size", [1, 1])
    if not (isinstance(size, list) and len(size) == 2 and all(_is_whole(side) and side > 0 for side in size)):
        raise InputError(f"image_size: expected height and width in pixels, for example [256,256], got {size!r}")


def _is_whole(value: Any) -> bool:
    # True and False are ints to Python; here they are mistakes.
    return isinstance(value, int) and not isinstance(value, bool)


def read_configuration(path: Path) -> DictConfig:
    """Reads it.

    Raises:
        InputError: the file is missing, damaged or no configuration.
    """
    try:
        cfg = OmegaConf.load(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); restore the run's folder") from error
    except (ValueError, YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"{path}: expected the configuration that the run wrote, but {error}") from error
    if not isinstance(cfg, DictConfig):
        raise InputError(f"{path}: expected the configuration that the run wrote, got no mapping")
    return cfg


def write_with_source(cfg: DictConfig, path: Path, *, name: str, settings: Mapping[str, Any]) -> None:
    """Writes a configuration whose images come from elsewhere, atomically.

    Args:
        cfg: of a run; it is not changed.
        path: of the file.
        name: of the other source.
        settings: what stands under `data.source` for it.
    """
    changed = OmegaConf.merge(cfg, {"data": {"name": name, "judge": None}})
    OmegaConf.update(changed, "data.source", dict(settings), merge=False)
    write_text(path, OmegaConf.to_yaml(changed))


def write_portable(cfg: DictConfig, path: Path) -> None:
    """Writes a run's configuration without the places of one machine, atomically.

    What says how the model is made and trained stays; images come from nowhere and are not cached.

    Args:
        cfg: of a run; it is not changed.
        path: of the file.
    """
    plain = OmegaConf.create({key: value for key, value in cfg.items() if key not in _OF_THE_MACHINE})
    for key in ("root", "source", "judge"):
        if key in plain.data:
            plain.data[key] = None
    plain.data.cache = False
    write_text(path, OmegaConf.to_yaml(plain))


def names_a_place(override: str) -> bool:
    """Whether a Hydra override says where something lies on one machine.

    Example:
        >>> [names_a_place(one) for one in ("data.root=/images", "hydra.run.dir=/run", "data=hc18", "seed=1")]
        [True, True, False, False]
    """
    key, _, value = override.partition("=")
    parts = key.lstrip("+~").split(".")
    return parts[0] in _OF_THE_MACHINE or parts[-1] in _FILES or "/" in value or "\\" in value
