"""A sweep's comparison as one HTML file that needs no network and no other file."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from fetal_lm.atomic import write_text
from fetal_lm.errors import some
from fetal_lm.landmarks import NAMES
from fetal_lm.report import wording
from fetal_lm.report.comparison import Comparison
from fetal_lm.report.page.cases import case_data, cases_of
from fetal_lm.report.page.curves import curve_data
from fetal_lm.report.page.headline import headline
from fetal_lm.report.page.heatmaps import GALLERY_EACH, GALLERY_MODELS, heatmap_data
from fetal_lm.report.page.selections import agreement_data, filters
from fetal_lm.report.page.series import series_of
from fetal_lm.report.page.thumbnails import thumbnails
from fetal_lm.report.pictures import MODEL_COLOURS
from fetal_lm.report.sweep import Sweep
from fetal_lm.report.trials import page_table

SCRIPTS: Final = ("cases.js", "table.js", "picture.js", "plots.js", "agreement.js", "gallery.js", "page.js")
NAMED_AT_MOST: Final = 6

LEGEND_LINES: Final = 28
"""A legend of more is longer than its plot, and slow to draw."""


def write_page(comparison: Comparison, sweep: Sweep, path: Path) -> None:
    """Writes `page` atomically."""
    write_text(path, page(comparison, sweep))


def page(comparison: Comparison, sweep: Sweep) -> str:
    """The whole page as HTML: Plotly, scripts, styles, data and images are inside."""
    environment = Environment(
        loader=PackageLoader("fetal_lm.report.page", "assets"),
        autoescape=select_autoescape(["html.j2"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    series = series_of(comparison.entries)
    data: dict[str, Any] = {
        "landmarks": NAMES,
        "galleryEach": GALLERY_EACH,
        "galleryModels": GALLERY_MODELS,
        "legendLines": LEGEND_LINES,
        "colours": MODEL_COLOURS,
        "entries": [entry.label for entry in comparison.entries],
        "series": [{"entry": one.entry, "label": one.label, "primary": one.primary} for one in series],
        "curves": curve_data(comparison.entries),
    }
    images: list[str | None] = []
    heatmaps: dict[str, Any] = {}
    notices: list[str] = []
    options: dict[str, list[dict[str, str]]] = {}
    if comparison.entries:
        cases = cases_of(comparison.entries, series)
        images, notices = thumbnails(cases)
        heatmaps, absent = heatmap_data(cases, series)
        notices += absent
        options = filters(cases)
        data |= case_data(cases) | {"agreement": agreement_data(cases)}
        if cases.left_out:
            notices.append(
                f"{len(cases.left_out)} of {len(cases.left_out) + len(cases.runs)} runs are in the table and the "
                "learning curves, but not in the other plots, the agreement and the gallery, which they would make "
                f"slow: {some(cases.left_out, NAMED_AT_MOST)}."
            )
        models = len(comparison.entries)
        if len(series) > LEGEND_LINES:
            notices.append(f"The plots of {len(series)} lines have no legend: point at a line to read whose it is.")
        if models > GALLERY_MODELS:
            notices.append(
                f"The gallery shows the first {GALLERY_MODELS} of {models} models, in the table's order; the other "
                f"{models - GALLERY_MODELS} would make it slow, and each is shown where the filter chooses it alone."
            )
    return environment.get_template("page.html.j2").render(
        name=sweep.folder.resolve().name,
        runs=len(sweep.runs),
        warnings=comparison.warnings,
        problems=sweep.problems,
        notices=notices,
        headline=headline(comparison),
        search=page_table(sweep.search) if sweep.search else None,
        notes=wording.NOTES,
        filters=options,
        series=data["series"],
        panels=data["curves"]["panels"],
        data=_json(data),
        images=_json(images),
        heatmaps=_json(heatmaps),
        style=Markup(_asset("style.css")),
        plotly=_script(get_plotlyjs()),
        script=_script("\n".join(_asset(name) for name in SCRIPTS)),
    )


def _asset(name: str) -> str:
    return resources.files("fetal_lm.report.page").joinpath("assets", name).read_text(encoding="utf-8")


def _json(value: Any) -> Markup:
    """JSON that stays inside its script element, whatever a label or a file is called."""
    return htmlsafe_json_dumps(value, separators=(",", ":"), allow_nan=False)


def _script(text: str) -> Markup:
    """JavaScript of ours or Plotly's, in which no string may end the script element."""
    return Markup(re.sub(r"</(script)", r"<\\/\1", text, flags=re.IGNORECASE))
