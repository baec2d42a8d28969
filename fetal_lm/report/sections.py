"""The sections of the report's page below its table, and the sentences of the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import pandas as pd

from fetal_lm.report import wording
from fetal_lm.report.comparison import COMPONENT_FIGURES
from fetal_lm.report.markdown import escape, table_lines
from fetal_lm.report.pairs import Pairs
from fetal_lm.report.spread import Components

FIGURE_NAMES: Final = {
    "mean_px": ("Mean error", "px"),
    "mean_mm": ("Mean error", "mm"),
    "bpd_mae_mm": ("BPD", "mm"),
    "ofd_mae_mm": ("OFD", "mm"),
    "hc_mae_mm": ("HC", "mm"),
}
"""How each figure of `Pairs.table` is called, and its unit."""

TERMINAL_FIGURES: Final = ("mean_px", "bpd_mae_mm")

PAIR_NOTES: Final = (
    "Difference: the model's error minus the other's on the same image, seeds averaged, mean over the images "
    "[95 % bootstrap interval, by examination]; negative is better.",
    "p: Wilcoxon's signed-rank test on one mean difference per examination, as frames of one examination are not "
    "independent; Holm's correction over all rows of a figure.",
    "Rank-biserial: from -1 (better in every examination) to +1 (worse in every one), by the ranks of the test. "
    "Nearer on: share of images on which the model's error is the smaller, equal ones counted half.",
    "Better or worse is said only where Holm's p is below 0.05 and the interval leaves 0 out, both in one direction. "
    "Each interval is that of one comparison alone.",
    "All of it is about further images with these trained weights; what another training would change is the spread "
    "over seeds.",
)

NAMING_NOTE: Final = (
    "As named: the names of the ends as the model gives them; order-free: after the half turn of the whole head that "
    "brings it nearer to the truth. The difference is what the names cost, [95 % bootstrap interval over images, by "
    "examination], with its share of the mean error as named. Half turned: share of images that needed the turn; a "
    "prediction far from the head may gain by it as well."
)

FOLD_NOTE: Final = (
    "± a / ± b: standard deviation over seeds, each pooled over its folds, and over folds, each averaged over its "
    "seeds. Each image is tested in exactly one fold, so that the spread over folds holds the difference between the "
    "images themselves."
)

COMPONENT_NOTE: Final = (
    "Seed, fold, rest: standard deviations of one run's figure by source (two-way random effects, method of moments). "
    "Rest: what another training would change, of another seed in another fold. Known only for a model whose every "
    "seed has every fold, at least two of each; rough for a few."
)

_FROM: Final[Mapping[str, str]] = {
    "second better": "better than {}",
    "second worse": "worse than {}",
    "no clear difference": "no clear difference from {}",
    "no difference in any examination": "no difference from {} in any examination",
    "too few examinations": "too few examinations to tell it from {}",
    "no image with a pixel spacing": "not to be compared with {}: no image with a pixel spacing",
}
"""Each `pairs.Verdict` about the second of a pair, to be said of the first."""


def pair_names(row: Mapping[str, Any]) -> tuple[str, str]:
    """What to call the first and the second of a pair; the branch is named where only that tells them apart.

    Args:
        row: of `Pairs.table`.
    """
    if row["first"] != row["second"]:
        return row["first"], row["second"]
    return f"{row['first']} ({row['first_branch']})", f"{row['second']} ({row['second_branch']})"


def pair_section(pairs: Pairs) -> list[str]:
    """The lines of the section about pairs; none where there is no pair."""
    if not len(pairs.table) and not pairs.not_compared:
        return []
    lines = ["", "## Pairs", ""]
    if len(pairs.table):
        headers = ["Figure", "Model", "Against", "Verdict", "Difference [95 %]", "p (Holm)", "Rank-biserial"]
        lines += table_lines([*headers, "Nearer on, %"], map(_pair_cells, _rows(pairs.table)), texts=4)
        lines += [""]
    lines += [f"- {escape(reason)}." for reason in pairs.not_compared]
    if len(pairs.table):
        lines += [f"- {note}" for note in PAIR_NOTES]
    return lines


def pair_sentences(pairs: Pairs) -> list[str]:
    """What the pairs differ by in mean px and BPD, in words."""
    sentences = []
    for row in _rows(pairs.table):
        if row["figure"] not in TERMINAL_FIGURES:
            continue
        name, unit = FIGURE_NAMES[row["figure"]]
        first, second = pair_names(row)
        known = [f"{wording.signed(row['difference'])} {unit}"] if row["images"] else []
        known += [wording.signed_interval(row["low"], row["high"])]
        test = f"p (Holm) {wording.p_value(row['p_holm'])}" if math.isfinite(row["p_holm"]) else ""
        parts = [" ".join(part for part in known if part), test, _FROM[row["verdict"]].format(first)]
        sentences.append(f"{name}, {second}: {', '.join(part for part in parts if part)}")
    return [*sentences, *pairs.not_compared]


def naming_section(table: pd.DataFrame) -> list[str]:
    """How much of each model's error is the naming of the ends.

    Args:
        table: of a `Comparison`, at least one row.
    """
    headers = ["Model", "Mean px order-free", "as named", "difference [95 %]", "Median px order-free", "as named"]
    headers += ["difference", "Half turned, %"]
    return [
        *("", "## How much of the error is naming", ""),
        *table_lines(headers, map(_naming_cells, _rows(table))),
        *("", f"- {NAMING_NOTE}"),
    ]


def fold_section(table: pd.DataFrame) -> list[str]:
    """How seeds and folds share the spread of each model; no line where no model has several folds.

    Args:
        table: of a `Comparison`.
    """
    if not len(table) or table["folds"].max() < 2:
        return []
    lines = ["", "## Seeds and folds", ""]
    cells = []
    for figure in COMPONENT_FIGURES:
        for row in _rows(table):
            parts = [float(row[f"{figure}_sd_by_{source}"]) for source in Components._fields]
            if all(map(math.isfinite, parts)):
                cells.append([", ".join(FIGURE_NAMES[figure]), _model(row), *map(wording.number, parts)])
    if cells:
        lines += [*table_lines(["Figure of one run", "Model", "Seed ±", "Fold ±", "Rest ±"], cells, texts=2), ""]
    return [*lines, f"- {FOLD_NOTE}", f"- {COMPONENT_NOTE}"]


def _pair_cells(row: Mapping[str, Any]) -> list[str]:
    first, second = pair_names(row)
    interval = wording.signed_interval(row["low"], row["high"])
    verdict = row["verdict"].removeprefix("second ")
    return [
        ", ".join(FIGURE_NAMES[row["figure"]]),
        escape(second),
        escape(first),
        f"**{verdict}**" if verdict in ("better", "worse") else verdict,
        f"{wording.signed(row['difference'])} {interval}".rstrip(),
        wording.p_value(row["p_holm"]),
        wording.signed(row["rank_biserial"]),
        wording.percent(row["superiority"]),
    ]


def _naming_cells(row: Mapping[str, Any]) -> list[str]:
    share = row["naming_px"] / row["raw_mean_px"] if row["raw_mean_px"] > 0 else 0.0
    interval = wording.signed_interval(row["naming_px_low"], row["naming_px_high"])
    return [
        _model(row),
        wording.number(row["mean_px"]),
        wording.number(row["raw_mean_px"]),
        " ".join(filter(None, (wording.signed(row["naming_px"]), interval, f"({wording.percent(share)} %)"))),
        wording.number(row["median_px"]),
        wording.number(row["raw_median_px"]),
        wording.signed(row["raw_median_px"] - row["median_px"]),
        wording.percent(row["half_turned"]),
    ]


def _model(row: Mapping[str, Any]) -> str:
    parts = (row["hypothesis"], row["model"], row["variant"], f"({row['branch']})")
    return escape(" ".join(part for part in parts if part))


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
