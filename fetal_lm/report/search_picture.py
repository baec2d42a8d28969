"""The picture of a search: how its best value fell, each option against the value, and what mattered."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from fetal_lm.job import State
from fetal_lm.report.canvas import grid, legend_below, plain_number, save
from fetal_lm.report.search import Search, Trial

MOST_OPTIONS: Final = 6
COLUMNS: Final = 3
LOG_FROM: Final = 4
"""Values are drawn on a logarithmic axis where the highest is more than so many times the lowest."""

_STYLES: Final[dict[State, dict[str, Any]]] = {
    State.DONE: {"color": "#0072B2", "marker": "o", "label": "done"},
    State.PRUNED: {"color": "#E69F00", "marker": "x", "label": "pruned"},
}
_BEST: Final[dict[str, Any]] = {"color": "#D55E00", "marker": "*", "ms": 14, "label": "the best", "zorder": 4}


def search_picture(search: Search, path: Path) -> bool:
    """Values of all trials in their order with the best so far, against every option, and the options' importances.

    Returns:
        False, and nothing is written, if no trial has a value.
    """
    shown = [trial for trial in search.trials if trial.value is not None and trial.state in _STYLES]
    if not shown:
        return False
    options = list(search.space)[:MOST_OPTIONS]
    panels = 1 + len(options) + bool(search.importances)
    columns = min(COLUMNS, panels)
    figure, axes = grid(-(-panels // columns), columns, (4.4, 3.4), f"Search for the lowest {search.monitor}")
    for axis in axes[panels:]:
        axis.set_axis_off()
    _points(axes[0], search, [(trial, trial.number) for trial in shown])
    done = [trial for trial in shown if trial.state is State.DONE]
    lowest = list(itertools.accumulate((trial.value or 0.0 for trial in done), min))
    axes[0].step([trial.number for trial in done], lowest, where="post", color="0.4", lw=1.2, label="best so far")
    axes[0].set(xlabel="trial", ylabel=search.monitor)
    axes[0].xaxis.set_major_locator(MaxNLocator(integer=True))
    for axis, option in zip(axes[1:], options, strict=False):
        _points(axis, search, [(trial, trial.parameters[option]) for trial in shown if option in trial.parameters])
        if "logarithmic" in search.space[option]:
            axis.set_xscale("log")
            axis.xaxis.set_major_formatter(plain_number)
            axis.xaxis.set_minor_formatter(plain_number)
        axis.set(ylabel=search.monitor)
        axis.set_xlabel(option, parse_math=False)
    if search.importances:
        axis = axes[1 + len(options)]
        names = sorted(search.importances, key=lambda name: search.importances[name])
        axis.barh(range(len(names)), [100 * search.importances[name] for name in names], color="#009E73")
        axis.set_yticks(range(len(names)), names, fontsize=8, parse_math=False)
        axis.set(xlabel="share of what makes trials differ, %")
    legend_below(figure, axes[:1])
    save(figure, path)
    return True


def _points(axis: Axes, search: Search, places: list[tuple[Trial, Any]]) -> None:
    for state, style in _STYLES.items():
        of_state = [(x, trial.value) for trial, x in places if trial.state is state]
        if of_state:
            axis.plot(*zip(*of_state, strict=True), ls="none", **style)
    for trial, x in places:
        if trial is search.best:
            axis.plot([x], [trial.value or 0.0], ls="none", **_BEST)
    values = [trial.value or 0.0 for trial, _ in places]
    if min(values, default=0.0) > 0 and max(values) > LOG_FROM * min(values):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(plain_number)
        axis.yaxis.set_minor_formatter(plain_number)
    axis.grid(alpha=0.3)
