"""Whether a run that goes on, or a job that is done, is the one that is asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, cast

from omegaconf import OmegaConf

from fetal_lm.configuration import read_configuration
from fetal_lm.errors import InputError
from fetal_lm.incidental import INCIDENTAL
from fetal_lm.job import read_job
from fetal_lm.tracking import flatten

# What a result depends on. How long to train, on which machine and what to write may change when a run goes on.
_FIXED: Final = (
    "seed", "image_size", "monitor", "test_flips", "test_rotations", "init_from", "data.", "split.", "augment.",
    "model.", "loss.", "codec.", "optim.", "callbacks.ema.",
)  # fmt: skip
# A source may have moved; the length that a data set asks for is read as `epochs` alone.
_FREE: Final = (*INCIDENTAL, "data.source.root", "data.default_epochs")

# A schedule that is as long as the run cannot be made longer or shorter on the way.
_LENGTH: Final = ("epochs", "trainer.max_")

# The rows of a sweep are compared: nothing may differ but where files lie and what is shown.
_FIXED_IN_SWEEP: Final = (*_FIXED, "epochs", "trainer.", "callbacks.")

# What may differ between the trainings of one recipe.
_WHO: Final = ("seed", "split.", "data.fold")


def check_same_configuration(path: Path, config: Mapping[str, Any]) -> None:
    """Compares a run's options with those it began with.

    Args:
        path: the run's `config.yaml`; a folder that has none is not compared.
        config: resolved, of the command that wants to go on.

    Raises:
        InputError: an option that the result depends on differs, or the file cannot be read.
    """
    schedule = str(flatten(config).get("optim.schedule._target_"))
    fixed = (*_FIXED, *(_LENGTH if schedule.endswith(".one_cycle") else ()))
    if different := _different(path, config, fixed=fixed, free=_FREE):
        raise InputError(
            f"{path}: the run of this folder began with other options: {different}. Go on with the options that it "
            "had, or start a new run in another folder (init_from=... begins with its weights)"
        )


def check_same_recipe(path: Path, config: Mapping[str, Any]) -> None:
    """Makes sure that two runs differ in nothing but in whom they train on and in their seed.

    Args:
        path: the `config.yaml` of one.
        config: resolved, of the other.

    Raises:
        InputError: they do.
    """
    if different := _different(path, config, fixed=_FIXED_IN_SWEEP, free=(*_FREE, *_WHO)):
        raise InputError(f"{path}: expected the options of the other run, but {different}; train both alike")


def check_same_job(folder: Path, config: Mapping[str, Any]) -> None:
    """Makes sure that what lies in the folder of a sweep's job is of the same configuration, done or not.

    Args:
        folder: of the job; one without a result and without a checkpoint is of any configuration.
        config: resolved, as the job is asked for now.

    Raises:
        InputError: an option that the job's row depends on differs, or the folder does not say what it was.
    """
    path = folder / "config.yaml"
    ways = (
        "Give the options that it had, name another folder with hydra.sweep.dir=..., or add --fresh, which discards "
        "every job of the sweep and starts all over"
    )
    if different := _different(path, config, fixed=_FIXED_IN_SWEEP, free=_FREE):
        raise InputError(f"{path}: the job in this folder has other options: {different}. {ways}")
    kept = [name for name in ("row.json", "checkpoints/last.ckpt") if (folder / name).is_file()]
    if kept and not path.is_file() and read_job(folder).config_hash != config_hash(config):
        raise InputError(f"{path} is missing, so that nobody knows what {kept[0]} beside it is of. Restore it. {ways}")


def config_hash(config: Mapping[str, Any]) -> str:
    """A short digest of what a job's row depends on.

    Args:
        config: resolved.
    """
    kept = _chosen(flatten(config), fixed=_FIXED_IN_SWEEP, free=_FREE)
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _different(path: Path, config: Mapping[str, Any], *, fixed: tuple[str, ...], free: tuple[str, ...]) -> str:
    if not path.is_file():
        return ""
    written = cast(dict[str, Any], OmegaConf.to_container(read_configuration(path)))
    before, now = (_chosen(flatten(options), fixed=fixed, free=free) for options in (written, config))
    return "; ".join(
        f"{key} was {before.get(key, 'not there')} and is {now.get(key, 'not there')}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    )


def _chosen(flat: Mapping[str, Any], *, fixed: tuple[str, ...], free: tuple[str, ...]) -> dict[str, Any]:
    root = flat.get("data.root")
    return {
        key: _without_root(value, root)
        for key, value in flat.items()
        if key.startswith(fixed) and not key.startswith(free)
    }


def _without_root(value: Any, root: Any) -> Any:
    """An option without the folder of the data, in which sources name their files."""
    if isinstance(value, str) and isinstance(root, str) and value.startswith(f"{root.rstrip('/')}/"):
        return "data.root" + value.removeprefix(root.rstrip("/"))
    return value
