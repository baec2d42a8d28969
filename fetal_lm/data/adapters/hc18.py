"""HC18 in its official layout: images with the sonographer's ellipse drawn as a ring, and their pixel spacing.

Source: van den Heuvel et al., "Automated measurement of fetal head circumference using 2D ultrasound images", PLoS ONE
13 (2018) e0200412; data doi 10.5281/zenodo.1322001.

    root/training_set/000_HC.png, 010_2HC.png, ...      images; the number names the examination
    root/training_set/000_HC_Annotation.png, ...        outlines
    root/training_set_pixel_size_and_HC.csv             filename, pixel size(mm), head circumference (mm)

The landmarks are the ends of the ellipse's axes. Reading 802 outlines takes 2 s on one core, half of it for decoding,
so that nothing is kept between runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from tqdm import tqdm

from fetal_lm.data import images
from fetal_lm.data.adapters.csv_rows import count_rows, read_rows, stream_rows
from fetal_lm.data.records import Record
from fetal_lm.data.rows import LabelRow
from fetal_lm.errors import InputError, some
from fetal_lm.landmarks import canonical_order

IMAGE_FOLDER: Final = "training_set"
SPACING_CSV: Final = "training_set_pixel_size_and_HC.csv"
_NAME, _SPACING, _CIRCUMFERENCE = "filename", "pixel size(mm)", "head circumference (mm)"
_OUTLINE_SUFFIX: Final = "_Annotation"

_LARGEST_RESIDUAL_PX: Final = 6.0
"""How far a ring's pixel may lie from the ellipse. At most 3.3 px in 802 outlines, which are 3 px wide; the farthest
pixels are those of a line along the frame, where the head is larger than the image."""

_SMALLEST_HOLE_PX: Final = 2.0
"""How far from the centre a ring has to stay, so that a line or a dot is none."""


class Hc18:
    """The HC18 training set as a data source.

    Args:
        root: the folder that holds `training_set` and its CSV.
        only: a CSV whose column `image_name` names the images to use, as the challenge's labels do; None for all.
    """

    name = "hc18"
    archive = "hc18"

    def __init__(self, root: str | Path, *, only: str | Path | None = None) -> None:
        self.root = Path(root).expanduser()
        self.only = None if only is None else Path(only).expanduser()

    def records(self) -> list[Record]:
        """Every image in the CSV's order, its landmarks in canonical order.

        Raises:
            InputError: an image, outline or CSV row is missing or not what it should be, or `only` names others.
        """
        mm_per_px = read_spacing(self.root / SPACING_CSV)
        folder = self._folder()
        found = self._found()
        where = f"{folder} and {SPACING_CSV}"
        if missing := sorted(mm_per_px.keys() - found):
            raise InputError(
                f"{where}: expected an image for each row, got none for {some(missing)}; add or remove them"
            )
        if missing := sorted(found - mm_per_px.keys()):
            raise InputError(
                f"{where}: expected a row for each image, got none for {some(missing)}; add or remove them"
            )
        wanted = mm_per_px if self.only is None else self._wanted(self.only, mm_per_px)
        return [
            self._record(image, spacing)
            for image, spacing in tqdm(wanted.items(), desc="reading outlines", unit="outline", delay=5)
        ]

    def rows(self) -> Iterator[LabelRow]:
        """Every row of the CSV, then every image that it lacks; what is wrong with an outline is a row's problem."""
        found = self._found()
        for row in stream_rows(self.root / SPACING_CSV, (_NAME, _SPACING)):
            image = row.cells[_NAME]
            mm_per_px, wrong = row.number_or_problem(_SPACING)
            problems = row.problems + wrong + (() if image else (f"{_NAME}: expected a name, got nothing",))
            found.discard(image)
            yield self._row(image, row.line, mm_per_px, problems)
        for image in sorted(found):
            yield self._row(image, 0, math.nan, (f"the image has no row in {SPACING_CSV}",))

    def row_count(self) -> int:
        """Lines of the CSV."""
        return count_rows(self.root / SPACING_CSV)

    def read(self, record: Record) -> UInt8[np.ndarray, "H W"]:
        """The grey image, 0 to 255, of `record.size_orig`."""
        return images.read_grey(self.path(record), size_orig=record.size_orig)

    def content_key(self, record: Record) -> str:
        """SHA-256 of the image file."""
        return images.digest(self.path(record))

    def path(self, record: Record) -> Path:
        """The image's file."""
        return self._folder() / record.image

    def _folder(self) -> Path:
        return self.root / IMAGE_FOLDER

    def _wanted(self, only: Path, mm_per_px: dict[str, float]) -> dict[str, float]:
        names = read_rows(only, ("image_name",), key="image_name").keys()
        if missing := sorted(names - mm_per_px.keys()):
            raise InputError(
                f"{only}: expected names of images in {self.root / SPACING_CSV}, but it lacks {some(missing)}; give "
                "a CSV about the same images"
            )
        return {image: spacing for image, spacing in mm_per_px.items() if image in names}

    def _found(self) -> set[str]:
        """Names of the images in the folder, outlines left out."""
        return {
            path.name
            for path in self._folder().glob("*.png")
            if not path.name.startswith(".") and not path.stem.endswith(_OUTLINE_SUFFIX)
        }

    def _row(self, image: str, line: int, mm_per_px: float, problems: tuple[str, ...]) -> LabelRow:
        path = self._folder() / image if image else None
        points_orig = np.full((4, 2), math.nan)
        if path is not None and images.is_there(path):
            outline = _outline(path)
            try:
                points_orig = axis_ends(images.read_grey(outline))
            except NoEllipseError as error:
                problems += (f"{outline.name}: expected one ellipse drawn as a ring on black, but {error}",)
            except InputError as error:
                problems += (str(error),)
        return LabelRow(image, line, examination(image), "", path, points_orig, mm_per_px, problems)

    def _record(self, image: str, mm_per_px: float) -> Record:
        path = self._folder() / image
        size_orig = images.read_size(path)
        outline = _outline(path)
        try:
            points_orig = axis_ends(images.read_grey(outline, size_orig=size_orig))
        except NoEllipseError as error:
            raise InputError(
                f"{outline}: expected one ellipse drawn as a ring on black, but {error}; restore the archive's outline"
            ) from error
        return Record(
            image=image,
            examination=examination(image),
            size_orig=size_orig,
            points_orig=points_orig,
            mm_per_px=mm_per_px,
        )


class NoEllipseError(ValueError):
    """An outline is not one ring; the message says why."""


def axis_ends(outline: UInt8[np.ndarray, "H W"]) -> Float[np.ndarray, "4 2"]:
    """Ends of the axes of the ellipse that a ring draws: long axis OFD, short axis BPD, in canonical order.

    Direct least-squares fit through the ring's pixels (Fitzgibbon, Pilu, Fisher, IEEE TPAMI 21 (1999) 476-480). Pixel
    centres lie on integers and a ring is as wide inside as outside, so that the fit follows its centre line.

    Args:
        outline: a ring, 1 to several px wide, brighter than half the maximum; may be cut by the frame.

    Returns:
        (x, y) in pixels of the outline; outside the frame where the ellipse is.

    Raises:
        NoEllipseError: nothing is drawn, or what is drawn is filled or more than one ring.
    """
    brightest = int(outline.max(initial=0))
    drawn = cv2.findNonZero((outline > brightest / 2).astype(np.uint8))
    if brightest == 0 or drawn is None:
        raise NoEllipseError("the image is black")
    pixels = drawn.reshape(-1, 2).astype(np.float64)
    if len(pixels) < 5:
        raise NoEllipseError(f"only {len(pixels)} pixels are drawn")
    (centre_x, centre_y), diameters, degrees = cv2.fitEllipseDirect(pixels.astype(np.float32))
    centre, radii = np.array([centre_x, centre_y]), np.array(diameters) / 2
    if not (np.isfinite([*centre, *radii, degrees]).all() and radii.min() > 0):
        raise NoEllipseError("what is drawn lies on no ellipse")
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    axes = np.array([[cos, sin], [-sin, cos]])
    if np.hypot(*(pixels - centre).T).min() < max(radii.min() / 2, _SMALLEST_HOLE_PX):
        raise NoEllipseError("what is drawn is filled, or no ring")
    residual = _distance_along_ray((pixels - centre) @ axes.T, radii)
    if residual.max() > _LARGEST_RESIDUAL_PX:
        x, y = pixels[residual.argmax()]
        raise NoEllipseError(
            f"the pixel at x {x:.0f}, y {y:.0f} lies {residual.max():.0f} px from the ellipse that fits best (at most "
            f"{_LARGEST_RESIDUAL_PX:.0f} px are accepted): there are two rings, a stray mark or something filled"
        )
    long, short = (axes * radii[:, None])[np.argsort(-radii, kind="stable")]
    return canonical_order(np.stack([centre - long, centre + long, centre - short, centre + short]))


def examination(image: str) -> str:
    """The number before the first underscore: `010_2HC.png` is a further frame of examination 010.

    Example:
        >>> examination("010_2HC.png")
        '010'
    """
    return image.split("_", 1)[0]


def read_spacing(path: Path) -> dict[str, float]:
    """Millimetres per pixel by image name, in the order of HC18's CSV.

    Raises:
        InputError: the CSV is missing or empty, lacks a column, or has a name twice or a spacing that is not above 0.
    """
    return _read_positive(path, _SPACING, "millimetres per pixel above 0")


def read_circumferences(path: Path) -> dict[str, float]:
    """The head circumference in mm by image name that HC18's CSV gives, which its challenge is judged by.

    It is that of the sonographer's ellipse before that was drawn: the ellipse through an outline's pixels only comes
    near it.

    Raises:
        InputError: the CSV is missing or empty, lacks a column, or has a name twice or a length that is not above 0.
    """
    return _read_positive(path, _CIRCUMFERENCE, "millimetres above 0")


def spacing_as_given(path: Path) -> dict[str, float]:
    """Millimetres per pixel by image name, plausible or not; NaN where a cell is no number.

    Raises:
        InputError: the CSV is missing or empty or lacks a column.
    """
    rows = stream_rows(path, (_NAME, _SPACING))
    return {row.cells[_NAME]: row.number_or_problem(_SPACING)[0] for row in rows}


def _read_positive(path: Path, column: str, expected: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for image, row in read_rows(path, (_NAME, column), key=_NAME).items():
        found[image] = row.number(column)
        if found[image] <= 0:
            raise row.error(column, expected, row.text(column), "correct the cell")
    return found


def _outline(path: Path) -> Path:
    return path.with_name(f"{path.stem}{_OUTLINE_SUFFIX}{path.suffix}")


def _distance_along_ray(offsets: Float[np.ndarray, "N 2"], radii: Float[np.ndarray, " 2"]) -> Float[np.ndarray, " N"]:
    """Distance in px of points from an ellipse, along the ray from its centre; offsets are along its axes."""
    return np.asarray(np.abs(1 - 1 / np.hypot(*(offsets / radii).T)) * np.hypot(*offsets.T))
