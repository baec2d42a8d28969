"""Paths as a user gives them -> image files, in a fixed order, each once."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from fetal_lm.errors import InputError
from fetal_lm.predict.dicom import is_dicom

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def image_files(paths: Sequence[str], *, output: Path) -> list[Path]:
    """The files to measure.

    A folder stands for all images below it, sorted: files with one of `SUFFIXES`, and DICOM whatever it is called.
    Hidden files are no images (a Mac leaves `._a.png` beside `a.png`). A file that is named itself is taken as it is,
    and one that is found twice is taken once.

    Args:
        paths: files, folders and patterns (`scans/**/*.png`).
        output: the folder of the results, whose overlays are no input even if it lies in a folder that is searched.

    Raises:
        InputError: a path does not exist, a pattern matches nothing, or there is no image at all.
    """
    results = output.resolve()
    found: dict[Path, Path] = {}
    for text in paths:
        for path in _expanded(text):
            resolved = path.resolve()
            if results not in resolved.parents:
                found.setdefault(resolved, path)
    if not found:
        raise InputError(
            f"{', '.join(paths)}: expected at least one image ({', '.join(SUFFIXES)} or DICOM), found none; check the "
            "path"
        )
    return list(found.values())


def _expanded(text: str) -> Iterator[Path]:
    path = Path(text).expanduser()
    if path.is_dir():
        yield from _below(path)
    elif path.exists():
        yield path
    elif glob.has_magic(text):
        # Path.glob takes no absolute pattern.
        matches = sorted(map(Path, glob.glob(str(path), recursive=True)))  # noqa: PTH207
        if not matches:
            raise InputError(f"{text}: expected a pattern that matches files, but nothing matches; check the path")
        for match in matches:
            if match.is_dir():
                # `**` matches folders as well as what is in them.
                continue
            if _is_image(match):
                yield match
    else:
        raise InputError(f"{text}: expected a file, a folder or a pattern, but it does not exist; check the path")


def _below(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and _is_image(path):
            yield path


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or is_dicom(path)
