"""`config.yaml`: the resolved configuration that a run wrote into its folder."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from fetal_lm.errors import InputError


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
