"""How sharp and how sure the heatmaps of a finished sweep are: `python experiments/stability/maps.py SWEEP`.

For every test image and landmark, of the selected weights without mirror images, per model and seed:
    entropy     of the map normalised to sum 1, in nats; a Gaussian of the target's sigma has 1 + ln(2 pi sigma^2)
    width       standard deviation around the highest pixel within 4 sigma of the target, in network px
    peaks       local maxima of at least half the map's height
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import pandas as pd
import torch
import typer
from scipy.stats import chi2
from torch import Tensor
from torch.nn.functional import max_pool2d
from tqdm import tqdm

from fetal_lm.atomic import write_text
from fetal_lm.data.records import Source
from fetal_lm.data.sources import source_of_run
from fetal_lm.landmarks import NAMES
from fetal_lm.report.canvas import grid, legend_below, save
from fetal_lm.report.charges import image_measures
from fetal_lm.report.predictions import summarise
from fetal_lm.report.sweep import Run, read_sweep
from fetal_lm.trained import TrainedRun, load_run

OUTPUT = Path(__file__).with_name("maps.csv")
WINDOW_SIGMAS = 4
PANELS = {
    "mean_px": ("mean error, px of 256", None),
    "entropy_nats": ("entropy of the maps, nats", "entropy_of_target_nats"),
    "width_px": ("width of the highest peak, px of 256", "target_width_px"),
    "maps_with_two_peaks_percent": ("maps with two peaks, %", None),
}


def main(sweep: Annotated[Path, typer.Argument(help="Folder of a finished sweep.")], output: Path = OUTPUT) -> None:
    """Prints each model's mean and, after +-, standard deviation over seeds; writes every run's row and a picture."""
    rows = []
    for run in tqdm(read_sweep(sweep).runs, desc="reading maps", unit="run"):
        rows.append({"model": run.row.hypothesis, "seed": run.row.seed, **_figures(run)})
    table = pd.DataFrame(rows)
    write_text(output, table.round(4).to_csv(index=False))
    groups = table.drop(columns="seed").groupby("model")
    shown = groups.mean().round(2).astype(str) + " +- " + groups.std().round(2).astype(str)
    typer.echo(shown.T.to_string())
    for model, values in table.groupby("model")["mean_px"]:
        low, high = deviation_interval(values)
        typer.echo(f"{model}: standard deviation of mean_px {values.std():.3f}, 95 % interval {low:.2f} to {high:.2f}")
    picture(table, output.with_suffix(".png"))
    typer.echo(f"wrote {output} and {output.with_suffix('.png')}")


def deviation_interval(values: pd.Series[float]) -> tuple[float, float]:
    """95 % interval of a normal distribution's standard deviation, by chi-square; NaN for a single value."""
    free = len(values) - 1
    low, high = values.std() * (free / chi2.ppf([0.975, 0.025], free)) ** 0.5
    return float(low), float(high)


def picture(table: pd.DataFrame, path: Path) -> None:
    """A dot for each run, and a line where a figure has a value that its target has."""
    models = sorted(table["model"].unique())
    figure, axes = grid(1, len(PANELS), (3.0, 2.8), "")
    for axis, (column, (title, target)) in zip(axes, PANELS.items(), strict=True):
        for place, model in enumerate(models):
            values = table.loc[table["model"] == model, column]
            axis.plot([place] * len(values), values, ls="none", marker="o", mfc="none", ms=8, color="#0072B2")
        if target is not None:
            axis.axhline(table[target].iloc[0], ls="--", color="#D55E00", label="of the training target")
        axis.set_xticks(range(len(models)), models)
        axis.set_xlim(-0.5, len(models) - 0.5)
        axis.margins(y=0.2)
        axis.set_title(title, fontsize=10)
        axis.grid(alpha=0.3, axis="y")
    legend_below(figure, axes)
    save(figure, path)


def _figures(run: Run) -> dict[str, float]:
    trained = load_run(run.folder)
    source = source_of_run(run.folder / "config.yaml")
    maps = _heatmaps(trained, source)
    sigma = trained.model.codec.sigma_px / trained.model.network.stride
    primary = run.predictions[run.predictions["branch"] == run.row.primary_branch]
    errors = image_measures(primary)["mean_px"]
    return {
        "mean_px": summarise(primary)["mean_px"],
        "median_px": summarise(primary)["median_px"],
        "images_off_by_more_than_20_px_percent": 100 * float((errors > 20).mean()),
        "entropy_nats": float(_entropy(maps).mean()),
        "entropy_of_target_nats": 1 + math.log(2 * math.pi * sigma**2),
        "width_px": float(_width(maps, math.ceil(WINDOW_SIGMAS * sigma)).mean()) * trained.model.network.stride,
        "target_width_px": trained.model.codec.sigma_px,
        "maps_with_two_peaks_percent": 100 * float((_peaks(maps) > 1).float().mean()),
    }


def _heatmaps(trained: TrainedRun, source: Source) -> Tensor:
    """Maps `[N x 4, h, w]` of the test images, each with sum 1."""
    records = source.records()
    tested = [index for index, record in enumerate(records) if record.image in trained.manifest.parts["test"]]
    with torch.inference_mode():
        maps = torch.cat(
            [
                trained.model.read(batch.image.to(memory_format=torch.channels_last)).heatmaps
                for batch in trained.data(source, records, tested).predict_dataloader()
            ]
        )
    if maps.shape[:2] != (len(tested), len(NAMES)):
        raise RuntimeError(f"{len(tested)} images gave maps of {tuple(maps.shape)}")
    maps = maps.flatten(0, 1)
    normalised: Tensor = maps / maps.sum((-2, -1), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    return normalised


def _entropy(maps: Tensor) -> Tensor:
    entropy: Tensor = torch.special.entr(maps).sum((-2, -1))
    return entropy


def _width(maps: Tensor, radius: int) -> Tensor:
    width = maps.shape[-1]
    index = maps.flatten(-2).argmax(-1)
    rows, columns = torch.arange(maps.shape[-2]), torch.arange(width)
    down = (rows - (index // width)[:, None])[:, :, None].expand_as(maps)
    across = (columns - (index % width)[:, None])[:, None, :].expand_as(maps)
    near = maps * ((down.abs() <= radius) & (across.abs() <= radius))
    mass = near.sum((-2, -1))
    mean_down, mean_across = ((near * away).sum((-2, -1)) / mass for away in (down, across))
    squared = (near * (down**2 + across**2)).sum((-2, -1)) / mass
    return ((squared - mean_down**2 - mean_across**2) / 2).clamp_min(0).sqrt()


def _peaks(maps: Tensor) -> Tensor:
    around = max_pool2d(maps[:, None], 3, stride=1, padding=1)[:, 0]
    high = maps >= maps.amax((-2, -1), keepdim=True) / 2
    return ((maps == around) & high).sum((-2, -1))


if __name__ == "__main__":
    typer.run(main)
