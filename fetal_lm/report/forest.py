"""The forest plot of a report: every pair's mean difference with its interval, a panel per figure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from fetal_lm.report.canvas import grid, legend_below, save
from fetal_lm.report.pairs import PAIR_COLUMNS, Pairs
from fetal_lm.report.sections import FIGURE_NAMES, pair_names

MOST_PAIRS: Final = 60
"""More rows than this are no picture any more; the tables hold them all."""

LABEL_WIDTH: Final = 44

_STYLES: Final[dict[str, dict[str, Any]]] = {
    "second better": {"color": "#0072B2", "marker": "s", "label": "better"},
    "second worse": {"color": "#D55E00", "marker": "D", "label": "worse"},
}
_UNCLEAR: Final[dict[str, Any]] = {"color": "0.45", "marker": "o", "mfc": "white", "label": "no clear difference"}


def forest_picture(pairs: Pairs, path: Path) -> bool:
    """Mean differences of all pairs with their 95 % intervals; left of the line the model is better than the other.

    Colour and shape tell what the verdict says, which asks for the test as well as for the interval.

    Returns:
        False, and nothing is written, if there is no pair.
    """
    table = pairs.table
    if not len(table):
        return False
    figures = list(table["figure"].unique())
    couples = table[list(PAIR_COLUMNS)].drop_duplicates()
    shown = [tuple(couple) for couple in couples.head(MOST_PAIRS).to_numpy()]
    title = "Mean difference on the same images, 95 % intervals by examination"
    if len(shown) < len(couples):
        title += f" (the first {len(shown)} of {len(couples)} pairs)"
    labels = [_label(dict(zip(PAIR_COLUMNS, couple, strict=True))) for couple in shown]
    lines = max(label.count("\n") + 1 for label in labels)
    figure, axes = grid(1, len(figures), (2.6, 0.8 + (0.2 + 0.17 * lines) * len(shown)), title)
    figure.set_figwidth(figure.get_figwidth() + 3.2)
    for axis, name in zip(axes, figures, strict=True):
        axis.axvline(0.0, color="black", lw=0.8, zorder=0)
        for row in table[table["figure"] == name].to_dict("records"):
            couple = tuple(row[column] for column in PAIR_COLUMNS)
            if couple not in shown or np.isnan(row["difference"]):
                continue
            height = shown.index(couple)
            style = _STYLES.get(row["verdict"], _UNCLEAR)
            axis.plot([row["low"], row["high"]], [height, height], color=style["color"], lw=1.6)
            axis.plot([row["difference"]], [height], ls="none", ms=6, zorder=3, **style)
        axis.set_yticks(
            range(len(shown)), labels if axis is axes[0] else [""] * len(shown), fontsize=8, parse_math=False
        )
        axis.set(ylim=(len(shown) - 0.5, -0.5), xlabel="← better   worse →", title=", ".join(FIGURE_NAMES[name]))
        # Zero stays in sight, and a panel of nothing but zeros has a width.
        reach = max(abs(bound) for bound in (*axis.get_xlim(), 1e-3))
        axis.set_xlim(min(axis.get_xlim()[0], -0.1 * reach), max(axis.get_xlim()[1], 0.1 * reach))
        axis.grid(alpha=0.3, axis="x")
    legend_below(figure, axes)
    save(figure, path)
    return True


def _label(pair: Mapping[str, str]) -> str:
    first, second = pair_names(pair)
    return "\n".join(textwrap.wrap(second, LABEL_WIDTH) + textwrap.wrap(f"against {first}", LABEL_WIDTH))
