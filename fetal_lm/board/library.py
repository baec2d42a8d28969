"""wandb-workspaces, which describes W&B's saved views: an extra, imported only where a dashboard is made."""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

from fetal_lm.errors import InputError


class Library(NamedTuple):
    """Its modules.

    Attributes:
        workspaces: saved views of a project.
        reports: reports, and the panels of both.
        expr: filters.
    """

    workspaces: Any
    reports: Any
    expr: Any


def load_library() -> Library:
    """Imports it.

    Raises:
        InputError: it is not installed.
    """
    try:
        with warnings.catch_warnings():
            # It is written with validators of pydantic 1, which pydantic 2 warns about at every import.
            warnings.simplefilter("ignore", DeprecationWarning)
            import wandb_workspaces.reports.v2 as reports
            from wandb_workspaces import expr, workspaces
    except ImportError as error:
        raise InputError(
            f"a dashboard needs wandb-workspaces ({error}); install it with: pip install -e '.[wandb-dashboard]'"
        ) from error
    return Library(workspaces, reports, expr)
