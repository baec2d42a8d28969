"""The study's three models as reported, as reproduced, and with one thing changed at a time.

    python experiments/original_study/explain.py "as it was=SWEEP" "on HC18's outlines=SWEEP" "cross-entropy=SWEEP" ...

Prints a Markdown table with a row for each branch of each sweep and draws `explained.png`. `explained.csv` keeps the
rows: sweeps that are given replace those of their names or are added, so that one more needs no folder of another.
Errors are in px of the frame squashed to 256 x 256, misses charged:
    mean, median    order-free: a half turn of the whole head is forgiven
    raw             names as they are
    any names       which pair is called OFD is forgiven too, and the order of each pair's ends
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple

import numpy as np
import pandas as pd
import typer

from fetal_lm.atomic import write_text
from fetal_lm.audit.distance import distances_px
from fetal_lm.errors import InputError
from fetal_lm.landmarks import NAMES
from fetal_lm.report.canvas import grid, legend_below, save
from fetal_lm.report.charges import image_measures
from fetal_lm.report.comparison import compare
from fetal_lm.report.kept import named_folders, replaced
from fetal_lm.report.markdown import table_lines
from fetal_lm.report.pictures import MODEL_COLOURS
from fetal_lm.report.statistics import interval_of_mean
from fetal_lm.report.sweep import read_sweep

OUTPUT = Path(__file__).with_name("explained.png")

REPORTED: Final = {
    ("H1", "heatmap"): ((24, 24), (4, 4)),
    ("H2", "coordinate"): ((35, 40), (25, 27)),
    ("H3", "heatmap"): ((80, 120), (80, 90)),
}
"""Lowest and highest mean and median px that the study gives for each model; of H2 for its coordinates."""

HEADERS: Final = ("What", "Model", "Images", "Mean px", "Median px", "Raw mean / median px", "Mean px, any names")


class Found(NamedTuple):
    """A branch of a sweep; px of 256, means with the ends of their intervals."""

    what: str
    hypothesis: str
    branch: str
    images: int
    mean: float
    mean_low: float
    mean_high: float
    median: float
    raw_mean: float
    raw_median: float
    any_names: float
    any_names_low: float
    any_names_high: float


def main(
    sweeps: Annotated[list[str] | None, typer.Argument(help="NAME=FOLDER of finished sweeps.")] = None,
    output: Path = OUTPUT,
) -> None:
    """Prints the table, keeps its rows and draws the picture."""
    kept = output.with_suffix(".csv")
    found = [Found(*row) for row in pd.read_csv(kept).itertuples(index=False)] if kept.exists() else []
    try:
        folders = named_folders(sweeps or [])
    except InputError as error:
        raise typer.BadParameter(str(error)) from None
    for what, folder in folders.items():
        found = replaced(found, what, _found(what, folder), name_of=lambda one: one.what)
    if not found:
        raise typer.BadParameter(f"expected NAME=FOLDER of at least one finished sweep, as {kept} is not there")
    reported = [
        ["reported", _model(hypothesis, branch), "", _range(mean), _range(median), "", ""]
        for (hypothesis, branch), (mean, median) in REPORTED.items()
    ]
    typer.echo("\n".join(table_lines(HEADERS, [*reported, *map(_cells, found)], texts=2)))
    write_text(kept, pd.DataFrame(found).round(1).to_csv(index=False))
    _picture(found, output)
    typer.echo(f"\nwrote {kept} and {output}")


def _found(what: str, folder: Path) -> list[Found]:
    comparison = compare(read_sweep(folder))
    rows = []
    for _, row in comparison.table.iterrows():
        (entry,) = (entry for entry in comparison.entries if entry.model == row["model"])
        tables = list(entry.tables(row["branch"]).values())
        lengths = [_any_names_px(table) for table in tables]
        examinations = tables[0]["examination"].tolist()
        any_names = np.mean(lengths, axis=0)
        rows.append(
            Found(
                what, row["hypothesis"], row["branch"], len(any_names),
                row["mean_px"], row["mean_px_low"], row["mean_px_high"], row["median_px"],
                row["raw_mean_px"], row["raw_median_px"],
                float(any_names.mean()), *interval_of_mean(any_names, examinations),
            )
        )  # fmt: skip
    return rows


def _any_names_px(table: pd.DataFrame) -> np.ndarray:
    """Each image's mean error under the best of all namings; what is not decoded is charged as elsewhere."""
    truth, predicted = (
        table[[f"{prefix}{name}_{axis}" for name in NAMES for axis in "xy"]]
        .to_numpy(dtype=np.float64)
        .reshape(-1, 4, 2)
        for prefix in ("true_", "")
    )
    sizes = table[["height", "width"]].to_numpy(dtype=int)
    best = np.array(
        [
            min(distances_px(ours, theirs, (size[0], size[1])))
            for ours, theirs, size in zip(predicted, truth, sizes, strict=True)
        ]
    )
    return np.where(np.isnan(best), image_measures(table)["mean_px"], best)


def _cells(found: Found) -> list[str]:
    return [
        found.what,
        _model(found.hypothesis, found.branch),
        str(found.images),
        f"{found.mean:.1f} [{found.mean_low:.1f}, {found.mean_high:.1f}]",
        f"{found.median:.1f}",
        f"{found.raw_mean:.1f} / {found.raw_median:.1f}",
        f"{found.any_names:.1f} [{found.any_names_low:.1f}, {found.any_names_high:.1f}]",
    ]


def _model(hypothesis: str, branch: str) -> str:
    return f"{hypothesis}, {branch}s" if hypothesis == "H2" else hypothesis


def _range(values: tuple[int, int]) -> str:
    low, high = values
    return f"about {low}" if low == high else f"{low} to {high}"


def _picture(found: list[Found], output: Path) -> None:
    whats = list(dict.fromkeys(one.what for one in found))
    models = list(dict.fromkeys((one.hypothesis, one.branch) for one in found))
    figure, axes = grid(1, len(models), (3.3, 0.45 * len(whats) + 1.6), "")
    places = {what: -place for place, what in enumerate(whats)}
    for axis, model in zip(axes, models, strict=True):
        if model in REPORTED:
            for (low, high), colour in zip(REPORTED[model], MODEL_COLOURS[:2], strict=True):
                axis.axvspan(low * 0.97, high * 1.03, color=colour, alpha=0.25, lw=0)
        for one in (one for one in found if (one.hypothesis, one.branch) == model):
            at = places[one.what]
            kinds: list[tuple[str, float, str, str]] = [
                ("mean", one.mean, "o", MODEL_COLOURS[0]),
                ("median", one.median, "D", MODEL_COLOURS[1]),
                ("mean, any names", one.any_names, "x", MODEL_COLOURS[2]),
            ]
            for label, value, marker, colour in kinds:
                axis.plot(value, at, marker, ms=6, color=colour, label=label, ls="none")
            axis.hlines(at, one.mean_low, one.mean_high, color=MODEL_COLOURS[0], lw=1.5)
        _style(axis, model, places)
    axes[0].set_yticks(list(places.values()), list(places))
    for axis in axes[1:]:
        axis.set_yticks(list(places.values()), [])
    legend_below(figure, axes)
    save(figure, output)


def _style(axis: Any, model: tuple[str, str], places: dict[str, int]) -> None:
    axis.set(
        xscale="log", title=_model(*model), xlabel="px of 256; shaded: reported", ylim=(min(places.values()) - 0.6, 0.6)
    )
    axis.set_xticks([3, 5, 10, 20, 50, 100], ["3", "5", "10", "20", "50", "100"])
    axis.minorticks_off()
    axis.grid(alpha=0.3, axis="x")


if __name__ == "__main__":
    typer.run(main)
