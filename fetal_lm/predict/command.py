"""From paths to measurements on disk: what `fetal-lm predict` does."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from rich.console import Console
from tqdm import tqdm

from fetal_lm.console import say
from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import Calibration
from fetal_lm.predict.frames import Frame, frames_of, may_hold_many
from fetal_lm.predict.inputs import common_folder, image_files
from fetal_lm.predict.overlay import OVERLAYS, write_overlay
from fetal_lm.predict.predictor import Predictor
from fetal_lm.predict.released import CARD_PATH
from fetal_lm.predict.spacing import Spacings, read_spacings
from fetal_lm.predict.table import FILE_NAME, JSON_NAME, Table, failed_row, measured_row, unwritable, write_json

MEASURED: Final = 0
BROKEN: Final = 1
BATCH: Final = 8
"""Frames in one pass of the network."""
BATCH_PX: Final = 16_000_000
"""Pixels after which a batch is not filled up further, so that large images do not wait in memory together."""
LONGEST_NAME: Final = 240
"""Bytes of a picture's name; file systems take 255, of which `atomic_path` needs some for itself."""


class _Pending(NamedTuple):
    file: Path
    frame: Frame
    calibration: Calibration


class _Pictures(NamedTuple):
    """Where pictures lie.

    Attributes:
        folder: of all of them.
        root: the folder that holds all files that are measured.
        wanted: whether there are to be any.
    """

    folder: Path
    root: Path
    wanted: bool

    def lack(self, file: Path, number: int, *, one_of_many: bool) -> bool:
        """Whether a frame is to have one and has none."""
        return self.wanted and not self.path(file, number, one_of_many=one_of_many).exists()

    def path(self, file: Path, number: int, *, one_of_many: bool) -> Path:
        """Of a frame: below the folder as the file below its own."""
        relative = Path(os.path.abspath(file)).relative_to(self.root)  # noqa: PTH100  # Links stay as they are.
        # No two images share one: neither a.png and a.jpg, nor a.jpg and a.jpg.png, nor a.png and a DICOM called a.
        if one_of_many or not relative.suffix:
            return self.folder / relative / f"{number:04d}.png"
        plain = relative.suffix == ".png" and "." not in relative.stem
        return self.folder / relative.with_name(_short(relative.name if plain else f"{relative.name}.png"))


class _Counts:
    """What the command says at its end."""

    def __init__(self) -> None:
        self.measured = self.flagged = self.without_mm = self.broken = self.undrawn = 0


def predict(
    paths: Sequence[str],
    *,
    spacing: str | None,
    output: Path,
    model: Path | None,
    engine: str | None = None,
    as_json: bool = False,
    overlays: bool = True,
    resume: bool = False,
    console: Console | None = None,
) -> int:
    """Measures images and writes measurements.csv, on request measurements.json, and an overlay for each frame.

    Rows are appended after each batch, so that memory does not grow with the number of images and a kill loses no more
    than a batch.

    Args:
        paths: files, folders and patterns; see `inputs.image_files`.
        spacing: see `spacing.read_spacings`.
        output: folder for the results.
        model: see `Predictor`.
        engine: see `Predictor`.
        as_json: whether JSON is wanted too; one that is there is kept in step with the table that is gone on with.
        overlays: whether pictures are wanted; of what had a row before they are not drawn later.
        resume: whether to go on with the table in `output`: what was measured stays, what could not be read is tried
            again.
        console: where to print.

    Returns:
        The exit code: 0, or 1 if a row says that a file could not be read.

    Raises:
        InputError: a path, the spacing or the model is wrong, or the results cannot be written.
    """
    console = console or Console()
    files, spacings = image_files(paths, overlays=output / OVERLAYS), read_spacings(spacing)
    spacings.check(files)
    root = common_folder(paths)
    predictor = Predictor(model, engine=engine)
    pictures = _Pictures(output / OVERLAYS, root, overlays)
    counts, written = _Counts(), [output / FILE_NAME]
    made_with = {
        "model": predictor.digest,
        "spacing": spacings.digest,
        # Overlays lie as the images do below their folder: those of another would overwrite them.
        "folder of images": str(root),
        # What is given by a relative path has a row of that name.
        "working folder": "" if all(Path(path).expanduser().is_absolute() for path in paths) else str(Path.cwd()),
    }
    with Table(output, resume=resume, made_with=made_with, again=files) as table:
        try:
            counts.broken = table.failed_before
            for batch in _batches(files, spacings, table, counts, pictures):
                heads = predictor.measure_batch([one.frame.image for one in batch], [one.calibration for one in batch])
                # The picture first: what has a row is not drawn again.
                for one, head in zip(batch, heads, strict=True):
                    if overlays:
                        picture = pictures.path(one.file, one.frame.number, one_of_many=one.frame.one_of_many)
                        write_overlay(one.frame.image, head, picture)
                table.append(
                    measured_row(str(one.file), one.frame.number, head) for one, head in zip(batch, heads, strict=True)
                )
                counts.measured += len(heads)
                counts.flagged += sum(not head.trusted for head in heads)
                counts.without_mm += sum(
                    not one.calibration.at(head.points_orig).known for one, head in zip(batch, heads, strict=True)
                )
            described = output / JSON_NAME
            if as_json or (resume and described.exists()):
                write_json(table.path, described)
                written.append(described)
        except OSError as error:
            raise unwritable(output, error) from error
        _print_summary(console, counts, spacings, written)
        if model is None:
            say(console, f"with the released weights, for research only; what to expect of them: {CARD_PATH}")
    return BROKEN if counts.broken else MEASURED


def _batches(
    files: Sequence[Path], spacings: Spacings, table: Table, counts: _Counts, pictures: _Pictures
) -> Iterator[list[_Pending]]:
    """Frames that have no row yet, some at a time; files that cannot be read become rows here, in their place.

    Frames that have a row and lack a picture are counted.
    """
    pending: list[_Pending] = []
    for file in tqdm(files, desc="measuring", unit="file"):
        name = str(file)
        try:
            # A still image has one row, and need not be decoded again.
            if table.has(file, 1) and not may_hold_many(file):
                counts.undrawn += pictures.lack(file, 1, one_of_many=False)
                continue
            for frame in frames_of(file):
                if table.has(file, frame.number):
                    counts.undrawn += pictures.lack(file, frame.number, one_of_many=frame.one_of_many)
                    continue
                pending.append(_Pending(file, frame, spacings.of(file, frame.calibration)))
                if len(pending) == BATCH or sum(one.frame.image.size for one in pending) > BATCH_PX:
                    yield pending
                    pending = []
        except InputError as error:
            if pending:
                yield pending
                pending = []
            table.append([failed_row(name, str(error))])
            counts.broken += 1
    if pending:
        yield pending


def _short(name: str) -> str:
    """A picture's name, cut where a file system would refuse it, with a digest of the whole in place of what is cut.

    Example:
        >>> _short("a.png"), len(_short("a" * 250 + ".png")), _short("a" * 250 + ".png")[-24:]
        ('a.png', 240, 'aaa-cae8e57d53091319.png')
    """
    whole = os.fsencode(name)
    if len(whole) <= LONGEST_NAME:
        return name
    end = f"-{hashlib.sha256(whole).hexdigest()[:16]}.png"
    # Not in the middle of a letter, which some file systems refuse too.
    return whole[: LONGEST_NAME - len(end)].decode(errors="ignore") + end


def _print_summary(console: Console, counts: _Counts, spacings: Spacings, written: Sequence[Path]) -> None:
    lines = [f"{counts.measured} frames measured, {counts.flagged} of them flagged"]
    if counts.without_mm:
        where = "give --spacing" if spacings.csv is None else f"no spacing in {spacings.csv} for them"
        lines.append(f"{counts.without_mm} frames without a pixel spacing: millimetres are empty; {where}")
    if counts.undrawn:
        lines.append(
            f"{counts.undrawn} frames were measured before without a picture and are not drawn now; measure them into "
            "another folder for that"
        )
    if counts.broken:
        lines.append(f"{counts.broken} files could not be read; the column `error` says why")
    for line in [*lines, *(f"wrote {path}" for path in written)]:
        say(console, line)
