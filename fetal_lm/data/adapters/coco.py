"""COCO keypoints: one JSON file with `images`, `annotations` and `categories`.

Source of the format: https://cocodataset.org/#format-data, keypoint detection. Coordinates are passed on as they are:
pixel centres count as lying on integers. An annotation is used if its category has all four landmarks under their own
names (`ofd_1`, `ofd_2`, `bpd_1`, `bpd_2`) or those that `keypoints` gives. Beside what COCO knows, an image may have
`mm_per_px`, `examination` and `part`, which mean what they mean in `fetal_lm.data.adapters.folder`.

Left out, and counted in a warning, are annotations in which one of the four is not labelled (visibility 0), annotations
of other categories, and images without an annotation.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from fetal_lm import landmarks
from fetal_lm.data import images
from fetal_lm.data.adapters.points_csv import outside_is, points_outside, warn_of_unknown_examinations
from fetal_lm.data.records import PARTS, Record
from fetal_lm.data.rows import LabelRow
from fetal_lm.errors import InputError

ANNOTATIONS: Final = "annotations.json"
SPACING, EXAMINATION, PART = "mm_per_px", "examination", "part"

log = logging.getLogger(__name__)


class _Labelled(NamedTuple):
    """An annotation with its image; `points` is (x, y, visibility) of each of the four landmarks."""

    where: str
    image: dict[str, Any]
    points: Sequence[Sequence[float]]


class Coco:
    """COCO keypoints as a data source.

    Args:
        root: the folder that `file_name` of the images is relative to.
        csv: the JSON file, named as this option is in every source; by default `annotations.json` in `root`.
        keypoints: for each landmark of ours what the categories call it, where that differs.
        outside: what a labelled point outside its image is: an `error`, or something to `keep`.
        archive: as of `folder.Folder`.

    Raises:
        InputError: `outside` is something else, or `keypoints` names a landmark that there is not.
    """

    name = "coco"

    def __init__(
        self,
        root: str | Path,
        csv: str | Path | None = None,
        keypoints: Mapping[str, str] | None = None,
        *,
        outside: str = "error",
        archive: str = "coco",
    ) -> None:
        self.archive = archive
        self.root = Path(root).expanduser()
        self.csv = self.root / ANNOTATIONS if csv is None else Path(csv).expanduser()
        self.outside = outside_is(outside)
        renamed = dict(keypoints or {})
        if unknown := sorted(renamed.keys() - set(landmarks.NAMES)):
            raise InputError(f"keypoints: expected names among {_listed(landmarks.NAMES)}, got {_listed(unknown)}")
        self.keypoints = tuple(renamed.get(name, name) for name in landmarks.NAMES)

    def records(self) -> list[Record]:
        """Every labelled image in the order of the annotations; warns of what is left out.

        Raises:
            InputError: the file is not such a JSON, an image is missing, labelled twice or of another size than the
                JSON says, or a point is no number or outside its image.
        """
        labelled, left_out = self._read()
        records: dict[str, Record] = {}
        wrong = []
        for found in tqdm(labelled, desc="reading labels", unit="image", delay=5):
            if any(point[2] == 0 for point in found.points):
                left_out["annotations leave one of the four landmarks unlabelled"] += 1
                continue
            record = self._record(found)
            if record.image in records:
                raise InputError(f"{found.where}: expected one head for each image, but {record.image} has another one")
            records[record.image] = record
            if self.outside == "error" and (outside := points_outside(record)):
                wrong.append(f"{found.where} ({record.image}): {outside}")
        if wrong:
            raise InputError(
                f"{self.csv}: expected points inside their images, got {len(wrong)} annotations with points outside; "
                "correct them, or keep them with data.source.outside=keep:\n  " + "\n  ".join(wrong)
            )
        for what, count in left_out.items():
            if count:
                log.warning("%s: %d %s; they are left out", self.csv, count, what)
        if not records:
            raise InputError(f"{self.csv}: expected at least one annotation with all four landmarks, got none")
        warn_of_unknown_examinations(self.csv, records.values())
        return list(records.values())

    def rows(self) -> Iterator[LabelRow]:
        """Every annotation with our landmarks, unchecked; a landmark that is not labelled is NaN.

        Raises:
            InputError: the file is not such a JSON.
        """
        for found in self._read()[0]:
            image = str(found.image["file_name"])
            points = [point[:2] if point[2] else (math.nan, math.nan) for point in found.points]
            spacing = found.image.get(SPACING)
            unlabelled = [name for name, point in zip(landmarks.NAMES, found.points, strict=True) if not point[2]]
            yield LabelRow(
                image=image,
                line=0,
                examination=_examination(found.image),
                part=str(found.image.get(PART) or ""),
                path=self.root / image,
                points_orig=np.array(points, dtype=np.float64),
                mm_per_px=float(spacing) if spacing is not None and _is_number(spacing) else math.nan,
                problems=(f"not labelled: {', '.join(unlabelled)}",) if unlabelled else (),
            )

    def read(self, record: Record) -> UInt8[np.ndarray, "H W"]:
        """The grey image, 0 to 255, of `record.size_orig`."""
        return images.read_grey(self.path(record), size_orig=record.size_orig)

    def content_key(self, record: Record) -> str:
        """SHA-256 of the image file."""
        return images.digest(self.path(record))

    def path(self, record: Record) -> Path:
        """The image's file."""
        return self.root / record.image

    def _read(self) -> tuple[list[_Labelled], dict[str, int]]:
        """The annotations of our categories, and how many of what else there is."""
        content = _json(self.csv)
        places = _places(content["categories"], self.keypoints, self.csv)
        by_id: dict[str, dict[str, Any]] = {}
        for image in content["images"]:
            if not {"id", "file_name"} <= image.keys() or str(image["id"]) in by_id:
                raise InputError(
                    f"{self.csv}: expected an id of its own and a file_name in each image, got {image}; correct it"
                )
            by_id[str(image["id"])] = image
        labelled, others, annotated = [], 0, set()
        for number, annotation in enumerate(content["annotations"]):
            where = f"{self.csv}, annotation {annotation.get('id', f'at place {number}')}"
            image_id = str(annotation.get("image_id"))
            if image_id not in by_id:
                raise InputError(f"{where}: expected the id of an image in image_id, got {image_id}; correct it")
            annotated.add(image_id)
            if (place := places.get(str(annotation.get("category_id")))) is None:
                others += 1
                continue
            labelled.append(_Labelled(where, by_id[image_id], _triplets(annotation.get("keypoints"), place, where)))
        return labelled, {
            "annotations leave one of the four landmarks unlabelled": 0,
            "annotations are of categories without the four landmarks": others,
            "images have no annotation": len(by_id) - len(annotated),
        }

    def _record(self, found: _Labelled) -> Record:
        image, where = found.image, found.where
        name, spacing, part = str(image["file_name"]), image.get(SPACING), image.get(PART) or ""
        path = self.root / name
        if not images.is_there(path):
            raise InputError(f"{where}: expected an image at {path}; add the image, or give the folder that has it")
        size_orig = images.read_size(path)
        declared = image.get("height", size_orig[0]), image.get("width", size_orig[1])
        if declared != size_orig:
            raise InputError(
                f"{where}: expected {path} to have {declared[1]} x {declared[0]} px (width x height) as the JSON says, "
                f"got {size_orig[1]} x {size_orig[0]}; restore the image that was labelled"
            )
        if spacing is not None and not (_is_number(spacing) and spacing > 0):
            raise InputError(
                f"{where}: expected {SPACING} above 0 in image {name}, got {spacing!r}; correct or remove it"
            )
        if part and part not in PARTS:
            raise InputError(
                f"{where}: expected {PART} among {_listed(PARTS)} in image {name}, got {part!r}; correct it"
            )
        return Record(
            image=name,
            examination=_examination(image) or name,
            size_orig=size_orig,
            points_orig=np.array([point[:2] for point in found.points], dtype=np.float64),
            mm_per_px=math.nan if spacing is None else float(spacing),
            part=part,
        )


def _json(path: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror or error}); check the folder that you gave"
        ) from error
    except ValueError as error:
        raise InputError(f"{path}: expected COCO keypoints in JSON, but {error}; export them again") from error
    for key in ("images", "annotations", "categories"):
        listed = content.get(key) if isinstance(content, dict) else None
        if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
            raise InputError(f"{path}: expected COCO keypoints, a list of objects under {key!r}; export them again")
    return cast(dict[str, list[dict[str, Any]]], content)


def _places(categories: Sequence[dict[str, Any]], names: Sequence[str], path: Path) -> dict[str, list[int]]:
    """For each category with all four landmarks, at which places of its keypoints they stand."""
    keypoints = {str(category.get("id")): [*map(str, category.get("keypoints") or ())] for category in categories}
    places = {
        identity: [listed.index(name) for name in names]
        for identity, listed in keypoints.items()
        if set(names) <= set(listed)
    }
    if not places:
        found = "; ".join(_listed(listed) for listed in keypoints.values()) or "no category"
        raise InputError(
            f"{path}: expected a category with the keypoints {_listed(names)}, got {found}; say what they are called "
            "there with the option keypoints"
        )
    return places


def _triplets(keypoints: Any, places: Sequence[int], where: str) -> list[list[float]]:
    if not isinstance(keypoints, list) or len(keypoints) < 3 * (max(places) + 1) or not all(map(_is_number, keypoints)):
        raise InputError(
            f"{where}: expected x, y and visibility of each keypoint as finite numbers, got {keypoints!r}; correct it"
        )
    return [[float(value) for value in keypoints[3 * place : 3 * place + 3]] for place in places]


def _examination(image: Mapping[str, Any]) -> str:
    """Empty where the JSON does not say; a number is a name too, 0 among them."""
    examination = image.get(EXAMINATION)
    return "" if examination is None else str(examination)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(str, names)) if names else "none"
