"""`split.json`: who trained, selected and tested a run. Its digest stands in each checkpoint of the run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from fetal_lm.atomic import write_text
from fetal_lm.data.records import Record
from fetal_lm.data.splits import Split, leaking_images
from fetal_lm.errors import InputError, some

FILE_NAME: Final = "split.json"

_PARTS: Final = Split._fields
_LEARNT: Final = ("train", "val")


@dataclass(frozen=True)
class Learnt:
    """Whom weights were trained or selected on.

    Attributes:
        archive: of the source (`records.Source.archive`); None where it is not known, which counts as every archive.
        images: the examination of each image.
        contents: the content digest of each image; empty where they are not known.
    """

    archive: str | None
    images: Mapping[str, str]
    contents: Mapping[str, str]

    def knows(self, record: Record, *, archive: str, content: str) -> bool:
        """As `Manifest.seen`."""
        same_archive = self.archive is None or self.archive == archive
        return (same_archive and record.examination in self._examinations) or content in self._digests

    def knows_by_name(self, image: str, examination: str) -> bool:
        """As `Manifest.seen_by_name`."""
        return examination in self._examinations or image in self.images

    @cached_property
    def _examinations(self) -> frozenset[str]:
        return frozenset(self.images.values())

    @cached_property
    def _digests(self) -> frozenset[str]:
        return frozenset(self.contents.values())


@dataclass(frozen=True)
class Manifest:
    """A split by name.

    Attributes:
        path: where it was read.
        digest: as `split_digest`.
        parts: for train, val and test the examination of each image.
        archive: of the source (`records.Source.archive`); None in files of versions before it was written.
        contents: the content digest of each image; empty in files of versions before it was written.
        labels: a digest of the labels of each image in a part; empty in files of versions before it was written.
        before: whom the run's first weights were trained or selected on, where it began with another run's.
    """

    path: Path
    digest: str
    parts: Mapping[str, Mapping[str, str]]
    archive: str | None
    contents: Mapping[str, str]
    labels: Mapping[str, str]
    before: tuple[Learnt, ...] = ()

    def check(self, split: Split, records: Sequence[Record], contents: Mapping[str, str]) -> None:
        """Makes sure that a run which goes on has the split, the images and the labels that it began with.

        A split may leave records out, which are not compared, and neither is what the file does not say.

        Args:
            split: of `records`, as the run is asked for now.
            records: of the source.
            contents: `Source.content_key` of each image.

        Raises:
            InputError: it has others.
        """
        if split_digest(split, records) != self.digest:
            raise self._another_split(records)
        for what, before, now in (
            ("image", self.contents, contents),
            ("labels", self.labels, _labels(split, records)),
        ):
            names = {image for part in self.parts.values() for image in part}
            if changed := sorted(image for image in names if before.get(image, now[image]) != now[image]):
                raise InputError(
                    f"{self.path}: the {what} of {some(changed)} changed since the run began, which would go on with "
                    "other data than its first epochs had; restore them, or start a new run in another folder "
                    "(init_from=... begins with its weights)"
                )

    def _another_split(self, records: Sequence[Record]) -> InputError:
        named = {image for part in self.parts.values() for image in part}
        if lost := named - {record.image for record in records}:
            return InputError(
                f"{self.path}: expected the images that the run began with, but the source lacks {len(lost)} of them, "
                f"for example {min(lost)}; restore the data or start a new run"
            )
        return InputError(
            f"{self.path}: the run in this folder has another split than these options give (data, data.fold or split "
            "differ, or images were added); go on with the options and the images that it had"
        )

    def seen(self, record: Record, *, archive: str, content: str) -> bool:
        """Whether the run, or one whose weights it began with, trained or selected on this head.

        It did if it knows the examination, in the same archive, or an image of the same content under whatever name.

        Args:
            record: of any source.
            archive: of that source.
            content: its `Source.content_key` of the record.
        """
        return any(one.knows(record, archive=archive, content=content) for one in self.learnt)

    def seen_by_name(self, image: str, examination: str) -> bool:
        """As `seen`, of the same archive and by name alone: the image itself, or another of its examination."""
        return any(one.knows_by_name(image, examination) for one in self.learnt if one.archive in {None, self.archive})

    @cached_property
    def learnt(self) -> tuple[Learnt, ...]:
        """Whom the run's weights were trained or selected on, then whom those that it began with were."""
        images = {image: of for part in _LEARNT for image, of in self.parts[part].items()}
        contents = {image: digest for image, digest in self.contents.items() if image in images}
        return Learnt(self.archive, images, contents), *self.before


def split_digest(split: Split, records: Sequence[Record]) -> str:
    """SHA-256 of which image is in which part, whatever the order of the records."""
    return _digest({part: [records[index].image for index in getattr(split, part)] for part in _PARTS})


def before_digest(before: Sequence[Learnt]) -> str:
    """SHA-256 of whom the first weights of a run knew; empty if they knew nobody."""
    content = [[one.archive, dict(one.images), dict(one.contents)] for one in before]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest() if before else ""


def write_manifest(
    path: Path,
    split: Split,
    records: Sequence[Record],
    *,
    archive: str,
    contents: Mapping[str, str],
    before: Sequence[Learnt] = (),
) -> None:
    """Writes a split as JSON, atomically, with what is unfair about it.

    Args:
        path: the file.
        split: of `records`.
        records: of the source.
        archive: of the source.
        contents: `Source.content_key` of each image.
        before: as in `Manifest`.
    """
    content: dict[str, Any] = {
        "digest": split_digest(split, records),
        "archive": archive,
        "leaking_images": leaking_images(split, records, contents),
        "test_images_that_select": len({*split.val} & {*split.test}),
    }
    for part in _PARTS:
        chosen = [records[index] for index in getattr(split, part)]
        content[part] = {record.image: record.examination for record in chosen}
    content |= {"contents": dict(contents), "labels": _labels(split, records)}
    if before:
        content["before"] = [
            {"archive": one.archive, "images": dict(one.images), "contents": dict(one.contents)} for one in before
        ]
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_manifest(path: Path) -> Manifest:
    """Reads what `write_manifest` wrote.

    Raises:
        InputError: the file is missing, damaged or edited.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = {part: _texts(content[part]) for part in _PARTS}
        contents, labels = (_texts(content.get(key, {})) for key in ("contents", "labels"))
        before = [
            Learnt(one["archive"], _texts(one["images"]), _texts(one["contents"])) for one in content.get("before", [])
        ]
        written, archive = content["digest"], content.get("archive")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); start a new run") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path}: expected a split as this program writes it, but {error!r}; start a new run"
        ) from error
    if written != _digest(parts):
        raise InputError(
            f"{path}: the digest does not fit the images: the file was changed; restore it or start a new run"
        )
    return Manifest(path, written, parts, archive, contents, labels, tuple(before))


def _labels(split: Split, records: Sequence[Record]) -> dict[str, str]:
    """A digest of points and spacing for each image; a thousandth of a pixel is what another machine may compute."""
    chosen = [records[index] for index in sorted({*split.train, *split.val, *split.test})]
    texts = {
        record.image: " ".join(f"{value:.3f}" for value in record.points_orig.ravel()) + f" {record.mm_per_px:.6f}"
        for record in chosen
    }
    return {image: hashlib.sha256(text.encode()).hexdigest()[:16] for image, text in texts.items()}


def _texts(content: Mapping[Any, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in content.items()}


def _digest(named: Mapping[str, Sequence[str] | Mapping[str, str]]) -> str:
    lines = sorted(f"{part}\t{image}" for part, images in named.items() for image in images)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
