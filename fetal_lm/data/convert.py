"""Any source -> the layout of `fetal_lm.data.adapters.folder`, which reads what this writes."""

from __future__ import annotations

import csv
import math
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

import cv2
from tqdm import tqdm

from fetal_lm import landmarks
from fetal_lm.atomic import atomic_path
from fetal_lm.data.adapters.folder import COLUMNS, LABEL_CSV
from fetal_lm.data.adapters.points_csv import points_outside
from fetal_lm.data.records import Record, Source
from fetal_lm.errors import InputError

IMAGE_FOLDER: Final = "images"


class Converted(NamedTuple):
    """What was written.

    Attributes:
        labels: the CSV.
        records: how many rows.
        outside: how many of them have a point outside the image; `folder` reads those with `outside=keep` alone.
        without_spacing: how many of them have no spacing.
    """

    labels: Path
    records: int
    outside: int
    without_spacing: int


def convert(source: Source, output: Path, *, copy_images: bool = False, force: bool = False) -> Converted:
    """Writes `labels.csv`, last of all, and the images that it needs.

    Images stay where they are and the CSV refers to them relative to its folder; with `copy_images` they are copied
    byte for byte into `images` beside it, under their names; names that would meet get a number. Images that are drawn,
    not read, are written there as PNG either way.

    Args:
        source: what to write; it is only read.
        output: the folder, made if missing.
        copy_images: whether the result stands alone.
        force: whether an existing `labels.csv`, and images of other content, are overwritten.

    Raises:
        InputError: `labels.csv` exists, an image of another content is in the way, one of the source's own files would
            be overwritten, or nothing can be written there.
    """
    output = output.expanduser()
    labels = output / LABEL_CSV
    if (read := getattr(source, "csv", None)) is not None and labels.resolve() == Path(read).resolve():
        raise InputError(f"{labels}: are the labels to convert; choose another folder to write to")
    if labels.exists() and not force:
        raise InputError(f"{labels}: is there already; choose another folder, or overwrite it with --force")
    records = source.records()
    files = [source.path(record) for record in records]
    own = {file.resolve() for file in files if file is not None}
    try:
        names = _image_names(source, records, files, output, copy_images=copy_images)
        wanted = zip(tqdm(records, desc="writing images", unit="image", delay=5), files, names, strict=True)
        for record, file, name in wanted:
            if copy_images or file is None:
                _write_image(source, record, file, output / name, own=own, force=force)
        with atomic_path(labels) as temporary, temporary.open("w", encoding="utf-8", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(COLUMNS)
            of_examination = Counter(record.examination for record in records)
            writer.writerows(
                _cells(record, name, alone=of_examination[record.examination] == 1)
                for record, name in zip(records, names, strict=True)
            )
    except UnicodeEncodeError as error:
        raise InputError(f"{labels}: expected names in UTF-8, but {error}; rename the image") from error
    except OSError as error:
        raise InputError(
            f"{error.filename or output}: cannot be written ({error.strerror or error}); choose another folder"
        ) from error
    return Converted(
        labels=labels,
        records=len(records),
        outside=sum(bool(points_outside(record)) for record in records),
        without_spacing=sum(math.isnan(record.mm_per_px) for record in records),
    )


def _image_names(
    source: Source, records: Sequence[Record], files: Sequence[Path | None], output: Path, *, copy_images: bool
) -> list[str]:
    """What the CSV calls each image: its path from the CSV's folder."""
    names: list[str] = []
    taken: set[str] = set()
    for record, file in zip(records, files, strict=True):
        if file is None or copy_images:
            name = _free_name(record.image, taken, png=file is None)
        else:
            try:
                # Of the real folders: `..` leaves the real one, whatever links lead there.
                name = Path(os.path.relpath(file.resolve(), output.resolve())).as_posix()
            except ValueError as error:  # Another drive of Windows.
                raise InputError(
                    f"{source.name}: there is no path from {output} to {file}; copy the images with --copy-images"
                ) from error
        if name != name.strip():
            raise InputError(
                f"{file}: the name begins or ends with a space, which a CSV does not keep; rename the image"
            )
        names.append(name)
    return names


def _free_name(image: str, taken: set[str], *, png: bool) -> str:
    """A path below `images` that no other image has, also where a file system ignores case."""
    parts = [part for part in PurePosixPath(image).parts if part not in ("..", "/")]
    path = PurePosixPath(IMAGE_FOLDER, *parts)
    if png and path.suffix.lower() != ".png":
        path = path.with_name(path.name + ".png")
    free, number = path, 2
    while str(free).lower() in taken:
        free, number = path.with_stem(f"{path.stem}-{number}"), number + 1
    taken.add(str(free).lower())
    return str(free)


def _write_image(
    source: Source, record: Record, file: Path | None, target: Path, *, own: set[Path], force: bool
) -> None:
    content = _png(source, record) if file is None else file.read_bytes()
    if target.exists():
        if target.read_bytes() == content:
            return
        if target.resolve() in own:
            raise InputError(f"{target}: is one of the images to convert; choose another folder to write to")
        if not force:
            raise InputError(f"{target}: another image is there already; choose another folder, or use --force")
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def _png(source: Source, record: Record) -> bytes:
    encoded, content = cv2.imencode(".png", source.read(record))
    if not encoded:
        raise InputError(f"{source.name}: {record.image} cannot be written as PNG")
    return bytes(content)


def _cells(record: Record, name: str, *, alone: bool) -> list[str]:
    points = [repr(float(value)) for value in record.points_orig.reshape(2 * landmarks.COUNT)]
    spacing = repr(float(record.mm_per_px)) if math.isfinite(record.mm_per_px) else ""
    # Where the examination is not known, a source takes the image for one; the CSV leaves that to its reader.
    examination = "" if alone and record.examination == record.image else record.examination
    return [name, *points, spacing, examination, record.part]
