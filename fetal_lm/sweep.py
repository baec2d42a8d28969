"""The list of a sweep's jobs, written before the first one starts, so that a job that never ran is missed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fetal_lm.atomic import write_text
from fetal_lm.report.sweep import SWEEP_FILE


class SweepManifest(Callback):
    """Writes `sweep.json` into the sweep's folder: number, name and overrides of every job."""

    folder: ClassVar[Path | None] = None
    """The sweep that this process has started, if any: Hydra returns nothing to the caller of a multirun."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra with the composed configuration of the sweep."""
        folder = Path(config.hydra.sweep.dir)
        SweepManifest.folder = folder
        parameters = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
        choices = {"model": config.hydra.runtime.choices.model, "seed": str(config.seed)}
        jobs = expand([*parameters, *config.hydra.overrides.task], defaults=choices)
        write_text(folder / SWEEP_FILE, json.dumps({"jobs": jobs}, indent=2) + "\n")


def expand(overrides: Sequence[str], *, defaults: dict[str, str]) -> list[dict[str, Any]]:
    """The jobs of a grid, in the order and numbering of Hydra's basic sweeper.

    Args:
        overrides: as on the command line; a later one of the same key replaces an earlier one in its place.
        defaults: model and seed of jobs that name none.

    Returns:
        For each job its number, a name `model-seed` (followed by what else is swept) and its overrides.

    Example:
        >>> [job["name"] for job in expand(["model=a,b", "optim.lr=1,2"], defaults={"model": "a", "seed": "0"})]
        ['a-0-optim.lr=1', 'a-0-optim.lr=2', 'b-0-optim.lr=1', 'b-0-optim.lr=2']
    """
    axes: dict[str, list[str]] = {}
    swept: set[str] = set()
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        if override.is_sweep_override():
            swept.add(key)
            axes[key] = list(override.sweep_string_iterator())
        else:
            swept.discard(key)
            axes[key] = [override.get_value_element_as_str()]
    jobs = []
    for number, values in enumerate(itertools.product(*axes.values())):
        chosen = dict(zip(axes, values, strict=True))
        extras = [f"{key}={chosen[key]}" for key in axes if key in swept - set(defaults)]
        named = [chosen.get(key, default) for key, default in defaults.items()]
        jobs.append(
            {
                "number": number,
                "name": "-".join([*named, *extras]),
                "overrides": [f"{key}={value}" for key, value in chosen.items()],
            }
        )
    return jobs
