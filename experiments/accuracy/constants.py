"""How much the heatmaps should say of what is read off an ellipse, on validation images.

    python experiments/accuracy/constants.py direction SWEEP --root DIR [--part train] [--images 160]
    python experiments/accuracy/constants.py lengths SWEEP --root DIR

Of the head's direction: `codecs.outline.LEANING`; inf is the ellipse's own. Of the lengths of its diameters:
`hypotheses.rim_hourglass.HEATMAPS_SAY`; 0 is the ellipse's own. SWEEP holds trained runs of a model that has such an
ellipse, on HC18. Each looks once at its own validation images, or at others that --part names, as it looks at test
images, and their landmarks are read with each value of the constant. Prints a table.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum, auto
from pathlib import Path
from types import ModuleType
from typing import Annotated, Final, NamedTuple

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
from fetal_lm.hypotheses import rim_hourglass
from fetal_lm.report.markdown import table_lines
from fetal_lm.report.predictions import prediction_table, summarise
from fetal_lm.report.row import FILE_NAME as ROW_FILE
from fetal_lm.trained import TrainedRun, load_run

HEADERS: Final = (
    "Value", "Images", "Mean mm", "Median mm", "No gross error", "HC mm", "HC / true HC", "BPD mm", "OFD mm",
)  # fmt: skip


class Say(StrEnum):
    """In what the heatmaps have a say."""

    direction = auto()
    lengths = auto()


class Constant(NamedTuple):
    """A module's constant, the values to try, and the branch that is read with it."""

    module: ModuleType
    name: str
    values: tuple[float, ...]
    branch: str


CONSTANTS: Final = {
    Say.direction: Constant(outline, "LEANING", (math.inf, 32.0, 16.0, 8.0, 0.0), "outline"),
    Say.lengths: Constant(rim_hourglass, "HEATMAPS_SAY", (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0), "rim"),
}


class Part(StrEnum):
    """Of a run's split."""

    train = auto()
    val = auto()
    test = auto()


def main(
    say: Annotated[Say, typer.Argument(help="In what.")],
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
        source, constant = Hc18(root=root), CONSTANTS[say]
        tables: dict[float, list[pd.DataFrame]] = {value: [] for value in constant.values}
        for folder in track(folders, "looking"):
            for value, table in _tables(load_run(folder), constant, source, part, images):
                tables[value].append(table)
    rows = [_row(value, pd.concat(found, ignore_index=True)) for value, found in tables.items()]
    Console().print("\n".join(table_lines(HEADERS, rows)), markup=False, soft_wrap=True)


def _tables(
    run: TrainedRun, constant: Constant, source: Hc18, part: Part, most: int | None
) -> Iterator[tuple[float, pd.DataFrame]]:
    """For each value of the constant the run's predictions of a part's images."""
    if constant.branch not in run.model.branches:
        raise InputError(f"{run.row.model}: expected a model with a branch {constant.branch!r}")
    records = source.records()
    numbers = [number for number, record in enumerate(records) if record.image in run.manifest.parts[part]]
    if most is not None:
        numbers = [numbers[round(place)] for place in np.linspace(0, len(numbers) - 1, min(most, len(numbers)))]
    data = run.data(source, records, numbers)
    points: dict[float, list[torch.Tensor]] = {value: [] for value in constant.values}
    with torch.inference_mode():
        for batch in data.predict_dataloader():
            views = run.model.views(batch.image, flips=run.model.test_flips)
            for value in constant.values:
                # What this study is about, and a constant elsewhere.
                setattr(constant.module, constant.name, value)
                points[value].append(to_original(run.model.located(views)[constant.branch], batch.to_orig))
    for value, found in points.items():
        yield value, prediction_table(data.tested(), {constant.branch: torch.cat(found).double().numpy()})


def _row(value: float, table: pd.DataFrame) -> list[str]:
    figures = summarise(table)
    relative = ((table["hc_mm"] - table["true_hc_mm"]).abs() / table["true_hc_mm"]).mean()
    return [
        f"{value:g}", f"{figures['images']:.0f}", f"{figures['mean_mm']:.3f}", f"{figures['median_mm']:.3f}",
        f"{measures(table)[FOUND].mean():.4f}", f"{figures['hc_mae_mm']:.2f}", f"{100 * relative:.2f} %",
        f"{figures['bpd_mae_mm']:.3f}", f"{figures['ofd_mae_mm']:.3f}",
    ]  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
