"""`fetal-lm`: everything that is not an experiment.

Heavy imports stay inside the commands, so that `--help` is immediate.
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fetal_lm.errors import InputError

BAD_INPUT = 2


class _Group(TyperGroup):
    """Turns bad input into its message and an exit code, for every command."""

    # Typer brings its own copy of click in some versions; Any fits both.
    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except InputError as error:
            # Hydra's own switch, so that the project has one.
            if os.environ.get("HYDRA_FULL_ERROR") == "1":
                raise
            typer.echo(f"fetal-lm: {error}", err=True)
            raise typer.Exit(BAD_INPUT) from None


app = typer.Typer(
    cls=_Group,
    help="Fetal head landmarks: work with finished experiments. Experiments themselves are started with run.py.",
    epilog="Set HYDRA_FULL_ERROR=1 to see the traceback of an error.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> bool:
    if not wanted:
        return wanted
    try:
        version = metadata.version("fetal-lm")
    except metadata.PackageNotFoundError:
        version = "(not installed: run from its source folder)"
    typer.echo(f"fetal-lm {version}")
    raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Takes the options that belong to no command."""


@app.command(
    epilog="Examples:\n\n  fetal-lm report outputs/three_models/phantom_2026-01-31_12-00-00\n\n"
    "  fetal-lm report outputs/single_hourglass/2026-01-31_12-00-00 --output report"
)
def report(
    sweep_dir: Annotated[Path, typer.Argument(help="Folder of a sweep, or of a single run.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report.", show_default="SWEEP_DIR/report")
    ] = None,
) -> None:
    """Compare the models of a finished sweep, from disk alone.

    Prints the table and writes comparison.md, comparison.csv, learning_curves.png, error_distribution.png and
    predictions.png.

    Exit code: 0 if every job is there; 1 if one is missing or damaged (it is named, the others are shown);
    2 if the folder holds no run.
    """
    from fetal_lm.report.command import report_sweep

    raise typer.Exit(report_sweep(sweep_dir, output))


@app.command(
    epilog="Examples:\n\n  fetal-lm audit challenge --root DIR --output audit\n\n"
    "  fetal-lm audit challenge --root DIR --csv labels.csv --output audit --clean\n\n"
    "  python run.py -m data=challenge data.root=DIR data.source.outside=keep data.fold=0,1,2,3,4\n\n"
    "  fetal-lm audit challenge --root DIR --output audit --models outputs/FOLDER_OF_THAT_SWEEP"
)
def audit(
    source: Annotated[str, typer.Argument(help="A data source: the name of a file in conf/data.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.", show_default=False)],
    root: Annotated[Path | None, typer.Option(help="The source's folder.", show_default=False)] = None,
    csv: Annotated[
        Path | None, typer.Option(help="The labels, if the source takes a CSV.", show_default="the source's usual one")
    ] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="Write cleaned.csv too: names put right, suspect rows left out.")
    ] = False,
    models: Annotated[
        Path | None,
        typer.Option(
            metavar="SWEEP_DIR",
            help="A finished sweep over folds, whose predictions are asked too.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Find labels that are wrong: exchanged names, points off the head, impossible shapes, duplicates, leaks.

    Looks at the points and the images alone; needs no reference labels and changes no input. With --models it also asks
    how far trained models disagree, each only about heads that it was neither trained nor selected on.

    Writes findings.csv (image, row, check, severity, found, fix), rows.csv (image, suspicion from 0 to 1,
    names_swapped) and worst.png.

    Exit code: 0 if there is no finding but notes; 1 if there is a warning or an error; 2 if the source, its CSV or the
    sweep cannot be read. A row or an image that cannot be read is a finding.
    """
    from fetal_lm.audit.command import audit_source
    from fetal_lm.cli.sources import auditable_source

    raise typer.Exit(audit_source(auditable_source(source, root, csv), output, clean=clean, models=models))
