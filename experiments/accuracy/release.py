"""Weights trained on every image, packed with what the same options reach out of fold: what the package brings along.

    python experiments/accuracy/release.py RUN SWEEP --root DIR [--half] [--when-unsure] [--output FOLDER]

RUN is of `split=everything`, SWEEP of every fold with the same options otherwise, which is checked. The folder that is
written takes a run's place (`predict --model FOLDER`) and holds an exported file and a model card besides; `row.json`
has the figures out of fold, which the card repeats with their intervals.
"""

from __future__ import annotations

import shlex
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final, cast

import jinja2
import numpy as np
import pandas as pd
import typer
from omegaconf import OmegaConf
from out_of_fold import ALL, rows
from reading import HC_NOTES, Root, held_against, plain_errors, read
from targets import TARGETS, Target

from fetal_lm.atomic import write_text
from fetal_lm.choices import WHEN_UNSURE, Flips
from fetal_lm.configuration import names_a_place
from fetal_lm.errors import InputError
from fetal_lm.export.command import CHECKED_IMAGES, LOOKED_AT, WRITTEN, export
from fetal_lm.export.package import package
from fetal_lm.export.parity import parity
from fetal_lm.predict.onnx_engine import open_exported
from fetal_lm.predict.released import CARD, EXPORTED, FOLDER
from fetal_lm.report.markdown import table_lines
from fetal_lm.report.pooling import HEAD_SIZES, OutOfFold, out_of_fold
from fetal_lm.report.predictions import summarise
from fetal_lm.report.row import FILE_NAME as ROW_FILE
from fetal_lm.report.row import RunRow, write_row
from fetal_lm.resume import check_same_recipe
from fetal_lm.trained import TrainedRun, load_run

TEMPLATE: Final = Path(__file__).with_name("model_card.md.j2")
SPLIT: Final = "everything"
LARGEST_BYTES: Final = 8_000_000
"""Of the weights and of the exported file, which come with every installation."""

MOVED_AT_MOST_PX: Final = 0.25
"""What half precision may move a point by, in pixels of the network's frame."""

NOT_COPIED: Final = "predictions.csv"
"""Of images that were trained on: says nothing, and holds the labels of somebody else's data."""


def main(
    run: Annotated[Path, typer.Argument(help="Folder of the run with split=everything.")],
    sweep: Annotated[Path, typer.Argument(help="Folder of the sweep over all folds.")],
    root: Root = None,
    half: Annotated[bool, typer.Option("--half", help="Round the weights to half precision.")] = False,
    when_unsure: Annotated[
        bool,
        typer.Option("--when-unsure", help="Look at half a turn of images that leave doubts, whatever the run did."),
    ] = False,
    output: Annotated[Path, typer.Option(help="The folder to write; what is there is replaced.")] = FOLDER,
) -> None:
    """Packs the run, exports it, and writes what it can be expected to do beside it."""
    with plain_errors():
        flips: Flips | None = WHEN_UNSURE if when_unsure else None
        trained = load_run(run, flips=flips)
        if trained.row.split != SPLIT:
            raise InputError(f"{run}: expected a run with split={SPLIT}, got split={trained.row.split}")
        pooled = pooled_like(trained, out_of_fold(read(sweep, root)))
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}-") as name:
            folder = Path(name) / output.name
            package(run, folder, half=half, flips=flips)
            (folder / NOT_COPIED).unlink()
            row = expected_row(trained.row, pooled)
            write_row(replace(row, overrides=load_run(folder).row.overrides), folder / ROW_FILE)
            if export(folder, folder / EXPORTED) != WRITTEN:
                raise InputError(f"{run}: cannot be exported, see above")
            moved_px = parity(trained, open_exported(folder / EXPORTED), images=CHECKED_IMAGES).points_px
            if not moved_px <= MOVED_AT_MOST_PX:
                raise InputError(f"{run}: half precision moves a point by {moved_px:.2g} px, release without --half")
            write_text(folder / CARD, card(trained, pooled, held_against(root), moved_px if half else None))
            sizes = [path.stat().st_size for path in folder.iterdir() if path.suffix in (".safetensors", ".onnx")]
            if max(sizes) > LARGEST_BYTES:
                raise InputError(f"{run}: a file of {max(sizes)} bytes, expected at most {LARGEST_BYTES}; try --half")
            if output.exists():
                shutil.rmtree(output)
            folder.rename(output)
    typer.echo(f"wrote {output}, {sum(sizes) / 1e6:.1f} MB of weights; read {output / CARD}")


def pooled_like(trained: TrainedRun, pooled: Sequence[OutOfFold]) -> list[OutOfFold]:
    """The branches of the sweep's one model that was trained with the run's options, the primary one first.

    Raises:
        InputError: there is none, there are several, or an option differs.
    """
    found = [one for one in pooled if one.entry.model == trained.row.model]
    labels = sorted({one.entry.label for one in found})
    if len(labels) != 1:
        raise InputError(f"expected one model {trained.row.model} in the sweep, got {labels or 'none'}")
    config = cast(dict[str, Any], OmegaConf.to_container(trained.cfg, resolve=True))
    for fold_run in found[0].entry.runs:
        check_same_recipe(fold_run.folder / "config.yaml", config)
    return found


def expected_row(row: RunRow, pooled: Sequence[OutOfFold]) -> RunRow:
    """The run's row with the figures out of fold, on average over seeds, in place of those of images that it knows.

    So is the time for an image, because the run itself may have looked at other mirror images.
    """
    runs = [run for one in pooled for run in one.entry.runs]
    return replace(
        row,
        ms_per_image=float(np.mean([run.row.ms_per_image for run in runs])),
        fold=None,
        split={"trained": SPLIT, "figures": "out of fold, by examination"},
        metrics={one.branch: _figures(one) for one in pooled},
        test_images_seen=0,
    )


def _figures(pooled: OutOfFold) -> dict[str, float]:
    of_seeds = pd.DataFrame([summarise(table) for table in pooled.tables.values()]).mean()
    targets = rows(pooled).query("heads == @ALL").drop_duplicates("figure").set_index("figure")["value"]
    return {str(name): float(value) for name, value in {**of_seeds, **targets}.items()}


def card(trained: TrainedRun, pooled: Sequence[OutOfFold], hc_truth: str, moved_px: float | None) -> str:
    """The model card, as Markdown; `moved_px` is what half precision moves a point by, None for full precision."""
    first = pooled[0]
    table = rows(first)
    images = next(iter(first.tables.values()))
    true_hc_mm = images["true_hc_mm"].to_numpy(dtype=np.float64)
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)
    return template.from_string(TEMPLATE.read_text(encoding="utf-8")).render(
        row=trained.row,
        size_net=trained.model.size_net,
        looked_at=LOOKED_AT[trained.model.test_flips],
        moved_px=None if moved_px is None else f"{moved_px:.2g}",
        checked=CHECKED_IMAGES,
        pretrained=getattr(trained.model.network, "pretrained", False),
        images=len(images),
        examinations=images["examination"].nunique(),
        smallest_mm=f"{np.nanmin(true_hc_mm):.0f}",
        largest_mm=f"{np.nanmax(true_hc_mm):.0f}",
        figures="\n".join(_figure_lines(table)),
        seeds=f"seed{'s' * (len(first.tables) > 1)} {', '.join(map(str, first.tables))}",
        hc=HC_NOTES[hc_truth],
        release=shlex.join(["python", "run.py", *_portable(trained)]),
        commit=trained.row.code_version or "unknown",
    )


def _figure_lines(table: pd.DataFrame) -> list[str]:
    cells = []
    for target in TARGETS:
        of_figure = table[table["figure"] == target.figure].drop_duplicates("heads").set_index("heads")
        cells.append([target.label, *(_cell(of_figure, heads, target) for heads in (ALL, *HEAD_SIZES))])
    return table_lines(["", "all heads", *(f"{name} heads" for name in HEAD_SIZES)], cells)


def _cell(of_figure: pd.DataFrame, heads: str, target: Target) -> str:
    if heads not in of_figure.index:
        return ""
    numbers = of_figure.loc[heads, ["value", "low", "high"]].to_numpy(dtype=np.float64)
    value, low, high = (f"{number:.{target.decimals}f}" for number in numbers)
    return f"{value} [{low}, {high}]"


def _portable(trained: TrainedRun) -> list[str]:
    own = [override for override in trained.row.overrides if not names_a_place(override)]
    return [*own, *(["data.root=DIR"] if trained.row.data == "hc18" else [])]


if __name__ == "__main__":
    typer.run(main)
