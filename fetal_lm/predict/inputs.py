"""Paths as a user gives them -> image files, in a fixed order, each once."""

from __future__ import annotations

import glob
import itertools
import os
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NoReturn

from fetal_lm.errors import InputError
from fetal_lm.predict.dicom import is_dicom
from fetal_lm.predict.overlay import OVERLAYS
from fetal_lm.predict.table import MADE_WITH_NAME

SUFFIXES: Final = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")

_DIRECTORY: Final = "DICOMDIR"
"""The list of the files of a medium, which is DICOM and no image."""


def image_files(paths: Sequence[str], *, overlays: Path) -> list[Path]:
    """The files to measure.

    A folder stands for all images below it, sorted: files with one of `SUFFIXES`, and DICOM whatever it is called.
    Hidden files are no images (a Mac leaves `._a.png` beside `a.png`), nor are a DICOMDIR and the overlays of an
    earlier call. A file that is named itself is taken as it is, and one that is found twice is taken once.

    Args:
        paths: files, folders and patterns (`scans/**/*.png`).
        overlays: the folder of the pictures of the results, which are no input even if it lies in one that is searched.

    Raises:
        InputError: a path is empty or does not exist, a pattern matches nothing, a folder cannot be searched, or there
            is no image at all.
    """
    if not all(paths):
        raise InputError("expected files, folders or patterns, got an empty path; give '.' for the folder you are in")
    results = overlays.resolve()
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


def common_folder(paths: Sequence[str]) -> Path:
    """The folder that holds all that is given, whichever images are there now: absolute, its links as they are.

    Args:
        paths: as for `image_files`, each of whose files lies below it.
    """
    return Path(os.path.commonpath([_folder(Path(text).expanduser()) for text in paths]))


def _folder(path: Path) -> str:
    if path.is_dir():
        return os.path.abspath(path)  # noqa: PTH100  # Path.resolve would follow links.
    if path.exists():
        return os.path.abspath(path.parent)  # noqa: PTH100
    return os.path.abspath(Path(*itertools.takewhile(lambda part: not glob.has_magic(part), path.parts)))  # noqa: PTH100


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
            if _is_image(match) and not any(map(_holds_overlays, match.resolve().parents)):
                yield match
    else:
        raise InputError(f"{text}: expected a file, a folder or a pattern, but it does not exist; check the path")


def _below(folder: Path) -> Iterator[Path]:
    """The images below a folder, those of linked folders too."""
    found: list[Path] = []
    entered: set[Path] = set()
    # Links last: what is there twice is named by its own folder.
    waiting = deque([folder])
    while waiting:
        for name, folders, files in os.walk(waiting.popleft(), onerror=_refuse):
            inside = Path(name)
            if (real := inside.resolve()) in entered or _holds_overlays(real):
                folders.clear()
                continue
            entered.add(real)
            folders[:] = [one for one in folders if not one.startswith(".")]
            waiting.extend(inside / one for one in folders if (inside / one).is_symlink())
            found += [inside / one for one in files if not one.startswith(".")]
    yield from (path for path in sorted(found) if path.is_file() and _is_image(path))


def _refuse(error: OSError) -> NoReturn:
    raise InputError(
        f"{error.filename}: cannot be searched ({error.strerror or error}); check who may read it, or name its images"
    ) from error


def _holds_overlays(folder: Path) -> bool:
    """Whether an earlier call, into whatever folder, drew its pictures there."""
    return folder.name == OVERLAYS and (folder.parent / MADE_WITH_NAME).is_file()


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES or (is_dicom(path) and path.name.upper() != _DIRECTORY)
