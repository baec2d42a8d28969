"""How much the heatmaps should say of a head's direction: `codecs.outline.LEANING`, on validation images.

    python experiments/accuracy/leaning.py SWEEP --root DIR [--part train] [--images 160]

SWEEP holds trained runs of an outline model on HC18. Each looks once at its own validation images, or at others that
--part names, and their landmarks are read with each leaning; inf is the ellipse's own direction. Prints a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum, auto
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import pandas as pd
import torch
import typer
from reading import plain_errors
from rich.console import Console
from rich.progress import track
from targets import FOUND, measures

from fetal_lm.codecs import outline
from fetal_lm.data.adapters.hc18 import Hc18
from fetal_lm.data.batch import to_original
from fetal_lm.errors import InputError
from fetal_lm.report.markdown import table_lines
from fetal_lm.report.predictions import prediction_table, summarise
from fetal_lm.report.row import FILE_NAME as ROW_FILE
from fetal_lm.trained import TrainedRun, load_run

LEANINGS: Final = (math.inf, 32.0, 16.0, 8.0, 0.0)
BRANCH: Final = "outline"
HEADERS: Final = ("Leaning", "Images", "Mean mm", "Median mm", "No gross error", "HC mm", "HC / true HC")


class Part(StrEnum):
    """Of a run's split."""

    train = auto()
    val = auto()
    test = auto()


def main(
    sweep: Annotated[Path, typer.Argument(help="Folder of trained runs.")],
    root: Annotated[Path, typer.Option(help="HC18.")],
    part: Annotated[Part, typer.Option(help="Which of each run's images.")] = Part.val,
    images: Annotated[int | None, typer.Option(min=1, help="At most so many of each run, evenly over all.")] = None,
) -> None:
    """Prints the table."""
    with plain_errors():
        folders = sorted(path.parent for path in sweep.glob(f"*/{ROW_FILE}"))
        if not folders:
            raise InputError(f"{sweep}: no finished run in it; expected SWEEP/0/{ROW_FILE}")
        source = Hc18(root=root)
        tables: dict[float, list[pd.DataFrame]] = {leaning: [] for leaning in LEANINGS}
        for folder in track(folders, "looking"):
            for leaning, table in _tables(load_run(folder), source, part, images):
                tables[leaning].append(table)
    rows = [_row(leaning, pd.concat(found, ignore_index=True)) for leaning, found in tables.items()]
    Console().print("\n".join(table_lines(HEADERS, rows)), markup=False, soft_wrap=True)


def _tables(run: TrainedRun, source: Hc18, part: Part, most: int | None) -> Iterator[tuple[float, pd.DataFrame]]:
    """For each leaning the run's predictions of a part's images."""
    if run.model.branches[0] != BRANCH:
        raise InputError(f"{run.row.model}: expected a model whose landmarks are read off an outline")
    records = source.records()
    numbers = [number for number, record in enumerate(records) if record.image in run.manifest.parts[part]]
    if most is not None:
        numbers = [numbers[round(place)] for place in np.linspace(0, len(numbers) - 1, min(most, len(numbers)))]
    data = run.data(source, records, numbers)
    points: dict[float, list[torch.Tensor]] = {leaning: [] for leaning in LEANINGS}
    with torch.inference_mode():
        for batch in data.predict_dataloader():
            views = run.model.views(batch.image, flips=True)
            for leaning in LEANINGS:
                outline.LEANING = leaning  # type: ignore[misc]  # What this study is about, and a constant elsewhere.
                points[leaning].append(to_original(run.model.located(views)[BRANCH], batch.to_orig))
    for leaning, found in points.items():
        yield leaning, prediction_table(data.tested(), {BRANCH: torch.cat(found).double().numpy()})


def _row(leaning: float, table: pd.DataFrame) -> list[str]:
    figures = summarise(table)
    relative = ((table["hc_mm"] - table["true_hc_mm"]).abs() / table["true_hc_mm"]).mean()
    return [
        f"{leaning:g}", f"{figures['images']:.0f}", f"{figures['mean_mm']:.3f}", f"{figures['median_mm']:.3f}",
        f"{measures(table)[FOUND].mean():.4f}", f"{figures['hc_mae_mm']:.2f}", f"{100 * relative:.2f} %",
    ]  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
