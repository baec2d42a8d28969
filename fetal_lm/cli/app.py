"""`fetal-lm`: everything that is not an experiment.

Heavy imports stay inside the commands, so that `--help` is immediate.
"""

from __future__ import annotations

import shlex
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import typer

from fetal_lm.choices import EngineName, Images, Seen, flips_of
from fetal_lm.cli import handing_on
from fetal_lm.cli.group import Group
from fetal_lm.errors import InputError

SourceRoot = Annotated[Path | None, typer.Option(help="The source's folder; a phantom has none.", show_default=False)]
SourceOptions = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE for data.source.KEY of run.py; may be repeated.", show_default=False),
]


app = typer.Typer(
    cls=Group,
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
    " --html report.html"
)
def report(
    sweep_dir: Annotated[Path, typer.Argument(help="Folder of a sweep, or of a single run.", show_default=False)],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the report.", show_default="SWEEP_DIR/report")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Also write one self-contained page to look at.", show_default=False)
    ] = None,
) -> None:
    """Compare the models of a finished sweep, from disk alone.

    Prints the table and writes comparison.md, comparison.csv, comparison.tex, comparison_pairs.csv, agreement.csv,
    agreement.tex, differences.png, learning_curves.png, error_distribution.png and predictions.png; of a search, whose
    table has the best trial by validation alone, also trials.csv and search.png. The page of --html has the table,
    plots whose points show their images, and a gallery; it needs no network.

    Exit code: 0 if every job is there; 1 if one is missing or damaged (it is named, the others are shown);
    2 if the folder holds no run.
    """
    from fetal_lm.report.command import report_sweep

    raise typer.Exit(report_sweep(sweep_dir, output, html=html))


@app.command(
    epilog="Examples:\n\n  fetal-lm evaluate outputs/original_study/SWEEP --data hc18 --root DIR --seen allow\n\n"
    "  fetal-lm evaluate RUN --data folder --root DIR --images all --output elsewhere\n\n"
    "  fetal-lm evaluate SWEEP --data hc18 --root DIR --no-flips --output one_look"
)
def evaluate(
    run: Annotated[Path, typer.Argument(help="Folder of a sweep, or of a single run.", show_default=False)],
    data: Annotated[str, typer.Option(help="What to test on: a name in conf/data.", show_default=False)],
    root: SourceRoot = None,
    options: SourceOptions = None,
    images: Annotated[
        Images, typer.Option(help="The run's own test images, looked up by name, or all of the source.")
    ] = Images.test,
    seen: Annotated[
        Seen, typer.Option(help="What to do with examinations that the weights were trained or selected on.")
    ] = Seen.refuse,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for results.", show_default="RUN/evaluated_on_DATA")
    ] = None,
    flips: Annotated[
        bool | None,
        typer.Option(
            "--flips/--no-flips", help="Whether to look at mirror images too.", show_default="as the run was tested"
        ),
    ] = None,
    half_turn: Annotated[
        bool, typer.Option("--half-turn", help="Of the mirror images, look at half a turn alone.")
    ] = False,
    when_unsure: Annotated[
        bool, typer.Option("--when-unsure", help="Look at half a turn of images that leave doubts.")
    ] = False,
    rotations: Annotated[
        str | None,
        typer.Option(
            metavar="DEGREES",
            help="Angles to turn images by besides, for example -10,10; empty for none.",
            show_default="as the run was tested",
        ),
    ] = None,
) -> None:
    """Test a finished run's weights, or a sweep's, on other labels or other images, and compare them.

    Examinations that the weights were trained or selected on are refused; with --seen allow they are tested and the
    table says how many there are, with --seen leave-out they are left out and counted.

    Exit code: 0 if all were tested; 1 if the comparison lacks something; 2 if something is refused or cannot be read.
    """
    from fetal_lm.data.sources import made, parsed_options, source_settings
    from fetal_lm.evaluate import evaluate as test
    from fetal_lm.measure import silence_lightning
    from fetal_lm.report.command import report_sweep
    from fetal_lm.report.sweep import read_sweep

    silence_lightning()
    looks = flips_of(flips, half_turn=half_turn, when_unsure=when_unsure)
    sweep = read_sweep(run)  # Before the source: who mistypes the first argument hears of that first.
    given = parsed_options(options or []) | ({"root": root} if root else {})
    output = output or run / f"evaluated_on_{data}"
    settings = source_settings(data, **given)
    test(
        sweep, made(settings), images=images, seen=seen, output=output, settings=settings, flips=looks,
        rotations=None if rotations is None else _degrees(rotations),
    )  # fmt: skip
    raise typer.Exit(report_sweep(output))


@app.command(
    epilog="Examples:\n\n  fetal-lm convert hc18 --root DIR --output mine\n\n"
    "  fetal-lm convert coco --root DIR --csv annotations.json --keypoints ofd_1=front,ofd_2=back --output mine\n\n"
    "  fetal-lm convert phantom --set images=20 --output phantoms"
)
def convert(
    source: Annotated[str, typer.Argument(help="What to read: a name in conf/data.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for labels.csv and images.", show_default=False)
    ],
    root: SourceRoot = None,
    labels: Annotated[
        Path | None, typer.Option("--csv", help="The source's labels (of coco the JSON).", show_default="its own name")
    ] = None,
    keypoints: Annotated[
        str, typer.Option(help="What coco calls a landmark, as ofd_1=NAME,ofd_2=NAME,...", show_default="as we do")
    ] = "",
    options: SourceOptions = None,
    copy_images: Annotated[
        bool, typer.Option("--copy-images", help="Copy the images; else the CSV refers to where they are.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is in the output folder.")] = False,
) -> None:
    """Write the labels and images of any source as a folder that data=folder reads.

    Exit code: 0 if it was written; 2 if something is wrong with the source, the options or the output folder.
    """
    from fetal_lm.data.adapters.folder import ARCHIVE
    from fetal_lm.data.convert import convert as write
    from fetal_lm.data.sources import parsed_options, source_by_name

    chosen: dict[str, Any] = {"root": root, "csv": labels, "keypoints": _pairs(keypoints)}
    given = parsed_options(options or []) | {key: value for key, value in chosen.items() if value}
    found = source_by_name(source, **given)
    written = write(found, output, copy_images=copy_images, force=force)
    typer.echo(f"{written.labels}: {written.records} images, {written.without_spacing} without a pixel spacing")
    keep = ""
    if written.outside:
        typer.echo(f"{written.outside} of them have points outside the image, which are kept")
        keep = " data.source.outside=keep"
    if found.archive != ARCHIVE:
        # Else a run would take these heads for others than the source's.
        keep += f" {shlex.quote(f'data.source.archive={found.archive}')}"
    typer.echo(f"Next: python run.py data=folder data.root={output}{keep}")


def _degrees(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InputError(f"--rotations: expected degrees, for example -10,10, got {text!r}") from None


def _pairs(text: str) -> dict[str, str]:
    """`ofd_1=front,ofd_2=back` as a mapping."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    if wrong := ["".join(pair) for pair in pairs if not all(map(str.strip, pair))]:
        raise InputError(f"--keypoints: expected OURS=THEIRS, got {wrong[0]!r}")
    return {ours.strip(): theirs.strip() for ours, _, theirs in pairs}


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
    labels: Annotated[
        Path | None,
        typer.Option("--csv", help="The labels, if the source takes a CSV.", show_default="the source's usual one"),
    ] = None,
    options: SourceOptions = None,
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
    from fetal_lm.data.rows import Auditable
    from fetal_lm.data.sources import parsed_options, source_by_name

    chosen = {key: value for key, value in (("root", root), ("csv", labels)) if value}
    found = source_by_name(source, **(parsed_options(options or []) | chosen))
    if not isinstance(found, Auditable):
        raise InputError(f"source {source}: it gives no rows to audit; audit what fetal-lm convert makes of it")
    raise typer.Exit(audit_source(found, output, clean=clean, models=models))


@app.command(
    epilog="Examples:\n\n  fetal-lm sync outputs/three_models/phantom_2026-01-31_12-00-00\n\n"
    "  fetal-lm sync outputs/single_hourglass/2026-01-31_12-00-00 --timeout 3600"
)
def sync(
    sweep_dir: Annotated[Path, typer.Argument(help="Folder of a sweep, or of a single run.", show_default=False)],
    timeout: Annotated[float, typer.Option(min=1, help="Seconds that one run may take.")] = 600,
) -> None:
    """Send a sweep's offline W&B runs, each once.

    A run that was sent before is left alone, also if `wandb sync` sent it, and so is one whose training goes on. What
    failed is tried again next time.

    Exit code: 0 if all that can be sent is sent; 1 if one failed; 2 without a login or without an offline run.
    """
    from fetal_lm.board.sync import sync as send

    raise typer.Exit(send(sweep_dir, timeout_s=timeout))


@app.command(
    epilog="Examples:\n\n"
    "  fetal-lm dashboard --project fetal_lm --sweep outputs/three_models/phantom_2026-01-31_12-00-00\n\n"
    "  fetal-lm dashboard --project fetal_lm --entity team --sweep phantom_2026-01-31_12-00-00 --dry-run"
)
def dashboard(
    project: Annotated[str, typer.Option(help="W&B project.", show_default=False)],
    sweep: Annotated[
        str,
        typer.Option(
            help="Folder of the sweep (its table goes into the report too), or that folder's name.", show_default=False
        ),
    ],
    entity: Annotated[str, typer.Option(help="Owner of the project.", show_default="you")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be saved, as JSON; needs neither account nor network.")
    ] = False,
) -> None:
    """Make a W&B workspace view and a report of a sweep whose runs are there, and print their links.

    Runs are grouped by model: the table, learning curves, error distribution and images. Each call makes new ones.

    Exit code: 0 if both were saved; 2 without a login, without wandb-workspaces or if W&B does not take them.
    """
    from fetal_lm.board.dashboard import dashboard as make

    typer.echo(make(project=project, entity=entity, sweep=sweep, dry_run=dry_run))


@app.command(
    epilog="Examples:\n\n  fetal-lm predict scans --spacing 0.12 --output measured\n\n"
    "  fetal-lm predict 'scans/**/*.png' more.dcm --spacing spacings.csv --output measured --json"
    "\n\n  fetal-lm predict scans --output measured --model outputs/RUN\n\n"
    "  fetal-lm predict scans --output measured --model model.onnx"
)
def predict(
    paths: Annotated[
        list[str], typer.Argument(help="Images, folders (searched to the bottom) or patterns.", show_default=False)
    ],
    output: Annotated[
        str, typer.Option("--output", "-o", metavar="PATH", help="Folder for the results.", show_default=False)
    ],
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Folder of a finished run (`python run.py` makes one), a checkpoint in it, or a file that `fetal-lm "
            "export` wrote.",
            show_default="the released weights, trained on HC18",
        ),
    ] = None,
    engine: Annotated[
        EngineName | None,
        typer.Option(
            help="What computes the network: torch a run, onnx an exported file, without torch.",
            show_default="what the model is for",
        ),
    ] = None,
    spacing: Annotated[
        str | None,
        typer.Option(
            metavar="MM|CSV",
            help="Millimetres per pixel, or a CSV with the columns image, mm_per_px (HC18's own works too). The CSV "
            "goes before what a DICOM says, a number behind it.",
            show_default="unknown: no millimetres",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Write measurements.json too.")] = False,
    overlays: Annotated[bool, typer.Option("--overlays/--no-overlays", help="Draw what was measured.")] = True,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with measurements.csv in the output folder, given the same paths: what was measured stays, "
            "what could not be read is tried again; a measurements.json beside it is kept in step.",
        ),
    ] = False,
) -> None:
    """Measure fetal heads in images: PNG, JPEG, BMP, TIFF, DICOM of one or many frames. For research only.

    Writes measurements.csv (landmarks in pixels of the image, BPD, OFD and circumference in mm, cephalic index,
    gestational age, confidences, a flag in words where a row is not to be trusted, an error where a file could not be
    read) and overlays/.

    Exit code: 0 if every file was measured; 1 if one could not be read (it has a row); 2 if a path, the spacing or the
    model is wrong or the results cannot be written.
    """
    from fetal_lm.predict.command import predict as measure

    if not output:  # As a path it would be the folder that one is in.
        raise InputError("--output: expected a folder, got an empty path; give '.' for the folder you are in")
    code = measure(
        paths,
        spacing=spacing,
        output=Path(output),
        model=model,
        engine=engine,
        as_json=as_json,
        overlays=overlays,
        resume=resume,
    )
    raise typer.Exit(code)


app.command(epilog=handing_on.EXPORT_EXAMPLES)(handing_on.export)
app.command(epilog=handing_on.PACKAGE_EXAMPLES)(handing_on.package)
