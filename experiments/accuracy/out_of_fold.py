"""Every image predicted by the fold that did not see it, held against the targets, by head size and by seed.

    python experiments/accuracy/out_of_fold.py SWEEP --root DIR [--output DIR]

Prints a Markdown table for each branch of each model; writes `out_of_fold.csv`, a row per model, seed, head size and
figure, and `out_of_fold.png`. A sweep without all of its folds, or with an image twice, is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import numpy as np
import pandas as pd
import typer
from matplotlib.axes import Axes
from reading import HC_NOTES, OFFICIAL, Root, held_against, plain_errors, read
from targets import TARGETS, Target, measured, shown

from fetal_lm.atomic import write_text
from fetal_lm.biometry import head_circumference
from fetal_lm.report.agreement import agreement
from fetal_lm.report.canvas import grid, legend_below, plain_number, save
from fetal_lm.report.charges import charged_errors
from fetal_lm.report.fairness import unfairness
from fetal_lm.report.markdown import escape, table_lines
from fetal_lm.report.pictures import MODEL_COLOURS, SMALLEST_ERROR
from fetal_lm.report.pooling import HEAD_SIZES, OutOfFold, out_of_fold, terciles
from fetal_lm.report.statistics import Interval

ALL: Final = "all"
MEAN: Final = "mean"
"""In place of a seed: the mean over all of them."""


def main(
    sweep: Annotated[Path, typer.Argument(help="Folder of a sweep of every fold.")],
    root: Root = None,
    output: Annotated[Path, typer.Option(help="Folder of the table and the picture.")] = Path(__file__).parent,
) -> None:
    """Prints the tables, writes the rows and draws the picture."""
    with plain_errors():
        found = read(sweep, root)
        pooled = out_of_fold(found)
        for problem in (problem for problem in found.problems if problem.fatal):
            typer.echo(f"> **Missing:** {escape(f'{problem.name} ({problem.folder}): {problem.reason}')}\n")
        for warning in unfairness(list(dict.fromkeys(one.entry for one in pooled))):
            typer.echo(f"> **Not a fair comparison:** {escape(warning)}\n")
        table = pd.concat([rows(one) for one in pooled], ignore_index=True)
        for one in pooled:
            typer.echo("\n".join([*_markdown(one, table[table["model"] == one.label]), ""]))
        typer.echo("\n".join(_notes(pooled, root)))
        write_text(output / "out_of_fold.csv", table.assign(hc_truth=held_against(root)).to_csv(index=False))
        picture(pooled, output / "out_of_fold.png")
    typer.echo(f"\nwrote {output / 'out_of_fold.csv'} and {output / 'out_of_fold.png'}")


def rows(pooled: OutOfFold) -> pd.DataFrame:
    """A row per figure of all images and of each third of the head sizes, mean over seeds, and of each seed alone.

    Columns: model (its label), seed (or `MEAN`), heads (`ALL` or one of `HEAD_SIZES`), largest_hc_mm, images,
    examinations, figure, value, low, high (the 95 % interval), target, verdict. Of one seed there is no mean beside it.
    """
    tables = list(pooled.tables.values())
    third = terciles(tables[0]["true_hc_mm"]).to_numpy()
    masks = {ALL: np.ones(len(third), dtype=bool)} | {name: third == name for name in HEAD_SIZES}
    mean = MEAN if len(tables) > 1 else str(next(iter(pooled.tables)))
    wanted = [(mean, heads, tables, mask) for heads, mask in masks.items() if mask.any()]
    if len(tables) > 1:
        wanted += [(str(seed), ALL, [table], masks[ALL]) for seed, table in pooled.tables.items()]
    found: list[dict[str, Any]] = []
    for seed, heads, of_seeds, mask in wanted:
        chosen = [table[mask] for table in of_seeds]
        about = {
            "model": pooled.label,
            "seed": seed,
            "heads": heads,
            "largest_hc_mm": chosen[0]["true_hc_mm"].max(),
            "images": len(chosen[0]),
            "examinations": chosen[0]["examination"].nunique(),
        }
        for one in measured(chosen):
            found.append(
                about
                | {"figure": one.target.figure, "value": one.value, **one.interval._asdict()}
                | {"target": one.target.limit, "verdict": one.verdict}
            )
    return pd.DataFrame(found).astype({"target": np.float64})


def picture(pooled: Sequence[OutOfFold], path: Path) -> None:
    """For each branch: Bland and Altman's plot of HC, and the share of landmarks within so many mm, by head size.

    HC is plotted over the truth, which is a reference and no second measurement. An undecoded one counts as measured 0,
    as in `report.agreement`.
    """
    figure, axes = grid(len(pooled), 2, (5.6, 4.0), "Out of fold, by head size")
    for place, one in enumerate(pooled):
        table = pd.concat(one.tables.values(), ignore_index=True)
        third = np.tile(terciles(next(iter(one.tables.values()))["true_hc_mm"]).to_numpy(), len(one.tables))
        _bland_altman(axes[2 * place], table, third, one.label)
        _distribution(axes[2 * place + 1], table, third, one.label)
    legend_below(figure, axes)
    save(figure, path)


def _bland_altman(axis: Axes, table: pd.DataFrame, third: np.ndarray, title: str) -> None:
    true_mm = table["true_hc_mm"].to_numpy(dtype=np.float64)
    measured_mm = table["hc_mm"].to_numpy(dtype=np.float64)
    found = agreement(true_mm, measured_mm, table["examination"].tolist())
    off_mm = np.where(np.isnan(measured_mm), 0.0, measured_mm) - true_mm
    for place, name in enumerate(HEAD_SIZES):
        chosen = third == name
        axis.plot(true_mm[chosen], off_mm[chosen], ".", ms=4, alpha=0.6, color=MODEL_COLOURS[place], label=name)
    for level, text, dash in (
        (found.bias, "bias", "-"),
        (found.lower, "limits of agreement, 95 %", "--"),
        (found.upper, "limits of agreement, 95 %", "--"),
    ):
        axis.axhline(level, color="black", lw=1.0, ls=dash, label=text)
    axis.set_title(f"{title}\nbias {found.bias:+.2f}, limits {found.lower:+.2f} to {found.upper:+.2f} mm", fontsize=9)
    axis.set(xlabel="true HC, mm", ylabel="measured - true HC, mm")
    axis.grid(alpha=0.3)


def _distribution(axis: Axes, table: pd.DataFrame, third: np.ndarray, title: str) -> None:
    errors_mm = charged_errors(table).error_mm
    for place, name in enumerate(HEAD_SIZES):
        known = errors_mm[third == name].ravel()
        known = known[~np.isnan(known)]
        if known.size:
            # What is smaller than the axis begins is counted at its left end.
            axis.ecdf(np.maximum(known, SMALLEST_ERROR), color=MODEL_COLOURS[place], label=name)
    for target in TARGETS:
        if target.figure == "median_mm" and target.limit is not None:
            axis.plot([target.limit], [0.5], "k*", ms=11, ls="none", label="target of the median")
    axis.set_title(title, fontsize=9)
    axis.set(xscale="log", xlabel="order-free landmark error, mm (log scale)", ylabel="share of landmarks")
    axis.set(ylim=(0, 1.01))
    axis.set_xlim(left=SMALLEST_ERROR)
    axis.xaxis.set_major_formatter(plain_number)
    axis.grid(alpha=0.3)


def _markdown(pooled: OutOfFold, table: pd.DataFrame) -> list[str]:
    """A row per figure, a column per group of heads and per seed."""
    groups = table.drop_duplicates(["seed", "heads"])[["seed", "heads", "largest_hc_mm"]]
    several = len(pooled.tables) > 1
    headers = ["Figure", "Target"]
    for seed, heads, largest_mm in groups.itertuples(index=False):
        if heads == ALL:
            headers.append("all heads" if seed == groups["seed"].iloc[0] else f"seed {seed}")
        else:
            headers.append(f"{heads}, HC to {largest_mm:.0f} mm")
    cells = []
    for target in TARGETS:
        of_figure = table[table["figure"] == target.figure]
        cells.append([target.label, _limit(target), *(_cell(row, target) for row in of_figure.to_dict("records"))])
    first = table.iloc[0]
    what = f"{first['images']} images, {first['examinations']} examinations, " + (
        f"mean of {len(pooled.tables)} seeds" if several else f"seed {first['seed']}"
    )
    return [f"## {escape(pooled.label)}", "", what, "", *table_lines(headers, cells)]


def _limit(target: Target) -> str:
    if target.limit is None:
        return ""
    return f"{'at most' if target.better == 'low' else 'at least'} {target.limit:.{target.decimals}f}"


def _cell(row: dict[Any, Any], target: Target) -> str:
    verdict = row["verdict"]
    return shown(row["value"], Interval(row["low"], row["high"]), target.decimals) + (
        f" {f'**{verdict}**' if verdict.startswith('met') else verdict}" * bool(verdict)
    )


def _notes(pooled: Sequence[OutOfFold], root: Path | None) -> list[str]:
    lines = [
        "- [95 % bootstrap interval over images, by examination, seeds averaged]; of a share of 1 Clopper and "
        "Pearson's. Met or missed is said of the value; the interval may reach beyond the target.",
        "- Landmark errors are order-free; what is not decoded is charged (`report.charges`). Thirds by true HC.",
        f"- HC is held against {HC_NOTES[held_against(root)]}",
    ]
    if held_against(root) == OFFICIAL:
        table = next(iter(pooled[0].tables.values()))
        by_points = head_circumference(table["true_bpd_mm"].to_numpy(), table["true_ofd_mm"].to_numpy())
        off_mm = np.nanmean(np.abs(by_points - table["true_hc_mm"].to_numpy()))
        lines.append(f"- Ramanujan's circumference of the true points is {off_mm:.2f} mm off the CSV's on average.")
    return lines


if __name__ == "__main__":
    typer.run(main)
