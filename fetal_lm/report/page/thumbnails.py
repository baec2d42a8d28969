"""Test images, small enough that a page can carry all of them."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

from fetal_lm.data.records import Record, Source
from fetal_lm.data.sources import source_of_run
from fetal_lm.errors import InputError
from fetal_lm.landmarks import NAMES
from fetal_lm.report.page.cases import Cases
from fetal_lm.report.page.webp import data_uri

BUDGET_BYTES: Final = 11_000_000
"""Of all images together, as text: with Plotly (5 MB) and 800 images' predictions a page stays below 20 MB."""

SIDES_PX: Final = (512, 384, 320, 256, 192, 128, 96)
"""Longer sides to try, the largest first; the first with which all images fit is taken."""

WEBP_QUALITY: Final = 60


def thumbnails(cases: Cases, budget_bytes: int = BUDGET_BYTES) -> tuple[list[str | None], list[str]]:
    """The images of the cases as data URIs, read again from where the runs' configurations say.

    Returns:
        For each row of `cases.images` its URI, None where it cannot be read; and sentences for the page about what
        could not be read or did not fit.
    """
    images, notices = _read(cases)
    for side_px in SIDES_PX:
        encoded = [None if image is None else data_uri(_shrunk(image, side_px), WEBP_QUALITY) for image in images]
        if sum(len(uri) for uri in encoded if uri) <= budget_bytes:
            return encoded, notices
    # So many images that not even the smallest fit: as many as do, and the rest is counted.
    kept, total = 0, 0
    for number, uri in enumerate(encoded):
        total += len(uri or "")
        if uri and total > budget_bytes:
            encoded[number] = None
        kept += encoded[number] is not None
    notices.append(f"The page carries {kept} of {len(encoded)} images; the others do not fit. Their points are shown.")
    return encoded, notices


def _read(cases: Cases) -> tuple[list[UInt8[np.ndarray, "_ _"] | None], list[str]]:
    sources: dict[int, Source | None] = {}
    reasons: list[str] = []
    images: list[np.ndarray | None] = []
    failed = 0
    rows = [{str(name): value for name, value in row.items()} for row in cases.images.to_dict("records")]
    for row in rows:
        number = int(row["run"])
        if number not in sources:
            sources[number] = None
            try:
                sources[number] = source_of_run(cases.runs[number].folder / "config.yaml")
            except InputError as error:
                reasons.append(str(error))
        source = sources[number]
        image = None
        if source is not None:
            try:
                # Kept as small as the largest thumbnail: 800 images in full are half a gigabyte.
                image = _shrunk(source.read(_record(row)), SIDES_PX[0])
            except InputError as error:
                reasons.append(str(error))
        failed += image is None
        images.append(image)
    if not failed:
        return images, []
    return images, [
        f"{failed} of {len(images)} images could not be read; their points are shown alone. The first reason: "
        f"{reasons[0]}"
    ]


def _record(row: dict[str, object]) -> Record:
    points = np.array([[row[f"true_{name}_{axis}"] for axis in "xy"] for name in NAMES], dtype=np.float64)
    size = int(float(str(row["height"]))), int(float(str(row["width"])))
    return Record(str(row["image"]), str(row["examination"]), size, points, float(str(row["mm_per_px"])))


def _shrunk(image: UInt8[np.ndarray, "_ _"], side_px: int) -> UInt8[np.ndarray, "_ _"]:
    """The image with its longer side at most so long; never enlarged."""
    height, width = image.shape
    scale = side_px / max(height, width)
    if scale >= 1:
        return image
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
