"""A sweep's saved workspace view and its report on W&B."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import wandb

from fetal_lm.board import panels
from fetal_lm.board.library import Library, load_library
from fetal_lm.board.login import require_login
from fetal_lm.errors import InputError

_LONGEST_TITLE: Final = 128


@dataclass(frozen=True)
class Dashboard:
    """What is shown: the runs of one sweep.

    Attributes:
        project: W&B project.
        entity: its owner; empty for a description that no server has to understand.
        sweep: the runs' group, which is the name of the sweep's folder.
        table: the comparison as Markdown, or empty where the sweep's folder is not at hand.
    """

    project: str
    entity: str
    sweep: str
    table: str

    @property
    def title(self) -> str:
        """Of the view and of the report."""
        return f"fetal_lm {self.sweep}"[:_LONGEST_TITLE]


def dashboard(*, project: str, entity: str, sweep: str, dry_run: bool) -> str:
    """Saves a workspace view and a report of a sweep; every call makes new ones.

    Args:
        project: W&B project.
        entity: its owner; empty for the user's own.
        sweep: the sweep's folder, or the name of that folder where it lies elsewhere. From the folder comes the
            comparison's table with its intervals, which W&B cannot compute.
        dry_run: describe instead of save, without an account and without the network.

    Returns:
        The two links, or the description as JSON.

    Raises:
        InputError: wandb-workspaces is missing, no login, or W&B does not take it.
    """
    library = load_library()
    name, table = _read_sweep(sweep)
    if dry_run:
        return description(library, Dashboard(project, entity, name, table))
    require_login()
    try:
        shown = Dashboard(project, entity or wandb.Api().default_entity or "", name, table)
    except (wandb.errors.Error, ValueError, OSError) as error:
        raise _not_taken(entity, project, error) from error
    views = workspace(library, shown), report(library, shown, entity=shown.entity)
    try:
        links = [view.save().url for view in views]
    # Of the two libraries' errors some are ValueErrors and the API's own is a private class: they share no other base.
    except Exception as error:
        raise _not_taken(entity, project, error) from error
    return f"workspace: {links[0]}\nreport: {links[1]}"


def _not_taken(entity: str, project: str, error: Exception) -> InputError:
    return InputError(
        f"W&B did not take the dashboard of {entity or 'your own'}/{project}: {error}; is it reachable, does the "
        "project exist, and is it yours?"
    )


def description(library: Library, shown: Dashboard) -> str:
    """The specs of both as JSON, as they would be saved, but for the project's number, which only the server knows."""
    # The library has no public way to a spec without saving it.
    models = {
        "workspace": workspace(library, shown)._to_model(),
        "report": report(library, shown, entity="")._to_model(),
    }
    content = {
        kind: {
            "displayName": model.display_name,
            "project": shown.project,
            "entity": shown.entity,
            "spec": json.loads(model.spec.model_dump_json(by_alias=True, exclude_none=True)),
        }
        for kind, model in models.items()
    }
    return json.dumps(content, indent=2)


def workspace(library: Library, shown: Dashboard) -> Any:
    """The saved view: the sweep's runs grouped by model, and a section for each question."""
    workspaces = library.workspaces
    return workspaces.Workspace(
        entity=shown.entity,
        project=shown.project,
        name=shown.title,
        sections=[
            workspaces.Section(name=name, panels=section, is_open=True, pinned=number == 0)
            for number, (name, section) in enumerate(_sections(library).items())
        ],
        runset_settings=workspaces.RunsetSettings(
            filters=_only(library, shown.sweep),
            groupby=[library.expr.Metric(panels.MODEL)],
            order=[library.expr.Ordering(library.expr.Metric(panels.MODEL), ascending=True)],
            pinned_columns=panels.table_columns(),
        ),
    )


def report(library: Library, shown: Dashboard, *, entity: str) -> Any:
    """The report: the comparison's table, then the same questions as the view.

    Args:
        library: wandb-workspaces.
        shown: what is shown.
        entity: owner of the runs; with a name the library asks the server for the project's number.
    """
    reports = library.reports
    blocks: list[Any] = [reports.TableOfContents()]
    if shown.table:
        blocks.append(reports.MarkdownBlock(text=shown.table))
    for name, section in _sections(library).items():
        runs = reports.Runset(
            entity=entity,
            project=shown.project,
            name=shown.sweep,
            filters=_only(library, shown.sweep),
            groupby=[panels.MODEL],
            order=[reports.OrderBy(panels.MODEL, ascending=True)],
            pinned_columns=["run:displayName"],
            visible_columns=panels.table_columns(),
            lock_columns=True,
        )
        blocks += [reports.H1(text=name), reports.PanelGrid(runsets=[runs], panels=section)]
    return reports.Report(
        project=shown.project,
        entity=shown.entity,
        title=shown.title,
        description=f"The models of the sweep {shown.sweep}, on the same test images.",
        blocks=blocks,
        width="fluid",
    )


def _sections(library: Library) -> dict[str, list[Any]]:
    return {
        "The models compared": panels.comparison_panels(library.reports),
        "Learning curves": panels.learning_panels(library.reports),
        "Error distribution": panels.distribution_panels(library.reports),
        "Images": panels.image_panels(library.reports),
    }


def _only(library: Library, sweep: str) -> Any:
    return library.expr.And(library.expr.Metric("Group") == sweep)


def _read_sweep(sweep: str) -> tuple[str, str]:
    """The group of a sweep's runs, and its comparison where the sweep's folder is here."""
    folder = Path(sweep)
    is_here = folder.is_dir()
    if not is_here and folder.name != sweep:
        raise InputError(f"{sweep}: no such folder; give the sweep's folder, or the name of its runs' group in W&B")
    name = folder.resolve().name if is_here else sweep
    if not name or set(name) & set("'\\"):
        # wandb-workspaces writes the name into a filter without escaping it.
        raise InputError(f"--sweep: W&B cannot be asked for a group called {name!r}; rename it, without ' and \\")
    if not is_here:
        return name, ""
    # The statistics of a comparison take a moment that a name alone does not need.
    from fetal_lm.report.comparison import compare
    from fetal_lm.report.sweep import read_sweep
    from fetal_lm.report.tables import markdown

    found = read_sweep(folder)
    return name, markdown(compare(found), found.problems, found.search)
