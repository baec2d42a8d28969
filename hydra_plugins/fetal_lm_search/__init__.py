"""Where Hydra looks for sweepers: it takes none from another package.

Hydra imports this at every start, also of other programs: what searches is imported where it is asked for.
"""

from __future__ import annotations

from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class Search(Sweeper):
    """`override /hydra/sweeper: search`; see `fetal_lm.search.sweeper.SearchSweeper`, whose options it takes."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Called by Hydra before `sweep`."""
        from fetal_lm.search.sweeper import SearchSweeper

        self._sweeper = SearchSweeper(**self._options)
        self._sweeper.setup(hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments: list[str]) -> Any:
        """Called by Hydra with the overrides of the command line."""
        return self._sweeper.sweep(arguments)
