"""Heatmaps for the page: those of the gallery first, then as many as fit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Int, UInt8

from fetal_lm.errors import InputError
from fetal_lm.report.heatmaps import FILE_NAME, Heatmaps, read_heatmaps
from fetal_lm.report.page.cases import Cases
from fetal_lm.report.page.selections import Selection, chosen_rows, selections
from fetal_lm.report.page.series import Series
from fetal_lm.report.page.webp import data_uri

BUDGET_BYTES: Final = 1_200_000
"""Of all heatmaps together, as text; see `thumbnails.BUDGET_BYTES`."""

GALLERY_EACH: Final = 3
"""How many best, median and worst images the gallery shows of a series."""

GALLERY_MODELS: Final = 20
"""How many models the gallery shows at once, the table's first: each adds some pictures, which a browser lays out."""

BRANCH: Final = "heatmap"
COLOUR_BGR: Final = (64, 64, 255)
WEBP_QUALITY: Final = 50


def heatmap_data(
    cases: Cases, series: Sequence[Series], budget_bytes: int = BUDGET_BYTES
) -> tuple[dict[str, Any], list[str]]:
    """The four maps of a prediction as one picture to lay over its image.

    Returns:
        By the number of the prediction: `uri`, `size` (width and height of the maps' frame in network px) and `matrix`
        (network px to original px, as SVG's `matrix(...)` takes it); and sentences for the page about what is missing.
    """
    found: dict[str, Any] = {}
    read: dict[int, tuple[Heatmaps, dict[str, int]] | None] = {}
    reasons: list[str] = []
    numbers = cases.predictions["series"].to_numpy()
    wanted = [row for row in _in_order(cases, series) if series[int(numbers[row])].branch == BRANCH]
    runs, images = cases.predictions["run"].to_numpy(), cases.predictions["image"].to_numpy()
    total, left_out, unread = 0, 0, 0
    for row in wanted:
        run = int(runs[row])
        if run not in read:
            read[run] = None
            try:
                heatmaps = read_heatmaps(cases.runs[run].folder / FILE_NAME)
                read[run] = heatmaps, {image: place for place, image in enumerate(heatmaps.images)}
            except InputError as error:
                reasons.append(str(error))
        known = read[run]
        if known is None or images[row] not in known[1]:
            unread += 1
            continue
        heatmaps, places = known
        place = places[images[row]]
        uri = _encoded(heatmaps.maps[place])
        if total + len(uri) > budget_bytes:
            left_out += 1
            continue
        total += len(uri)
        height, width = heatmaps.size_net
        matrix = [float(f"{value:.7g}") for value in heatmaps.to_orig[place].T.ravel()]
        found[str(row)] = {"uri": uri, "size": [width, height], "matrix": matrix}
    notices = []
    if unread:
        reason = f" The first reason: {reasons[0]}." if reasons else ""
        notices.append(f"{unread} of {len(wanted)} predictions have no heatmaps to show.{reason}")
    if left_out:
        notices.append(
            f"Heatmaps are shown for {len(found)} of {len(wanted)} predictions, the gallery's first; the others do "
            "not fit."
        )
    return found, notices


def _in_order(cases: Cases, series: Sequence[Series]) -> list[int]:
    """Every prediction once: what the gallery shows with the filters as they open, then with others, then the rest."""
    order = _ranked(cases, np.arange(len(cases.predictions)))[::-1]
    return list(dict.fromkeys([*_gallery(cases, series), *(int(row) for row in order)]))


def _gallery(cases: Cases, series: Sequence[Series]) -> Iterator[int]:
    numbers = cases.predictions["series"].to_numpy()
    shown = [int(number) for number in np.unique(numbers) if series[int(number)].entry < GALLERY_MODELS]
    for selection in sorted(selections(cases), key=_filters_set):
        chosen = chosen_rows(cases, selection)
        for number in shown:
            ranked = _ranked(cases, np.flatnonzero(chosen & (numbers == number)))
            middle = max(0, (len(ranked) - GALLERY_EACH) // 2)
            for part in (ranked[-GALLERY_EACH:], ranked[:GALLERY_EACH], ranked[middle : middle + GALLERY_EACH]):
                yield from (int(row) for row in part)


def _ranked(cases: Cases, rows: Int[np.ndarray, "_"]) -> Int[np.ndarray, "_"]:
    """Rows by their error as the page's script sees it, the smallest first; of equal ones the earlier."""
    errors = cases.predictions["mean_px"].to_numpy()[rows].round(2)
    return rows[np.argsort(errors, kind="stable")]


def _filters_set(selection: Selection) -> int:
    return sum(part is not None for part in selection)


def _encoded(maps: UInt8[np.ndarray, "4 h w"]) -> str:
    """One picture whose opacity is the highest of the four maps."""
    opacity = maps.max(axis=0)
    picture = np.dstack([*(np.full_like(opacity, level) for level in COLOUR_BGR), opacity])
    return data_uri(picture, WEBP_QUALITY)
