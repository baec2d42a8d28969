"""`row.json`: what a run says about itself, written by training and read by the report."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from fetal_lm.atomic import write_text
from fetal_lm.errors import InputError

FILE_NAME: Final = "row.json"

_TEXT, _WHOLE, _NUMBER, _LIST, _OBJECT = (str,), (int,), (int, float, type(None)), (list,), (dict,)
_WHOLE_OR_NULL, _TEXT_OR_NULL = (int, type(None)), (str, type(None))
_KIND_NAMES: Final[dict[tuple[type, ...], str]] = {
    _TEXT: "text",
    _WHOLE: "a whole number",
    _NUMBER: "a number or null",
    _LIST: "a list",
    _OBJECT: "an object",
    _WHOLE_OR_NULL: "a whole number or null",
    _TEXT_OR_NULL: "text or null",
}
_EXPECTED: Final[dict[str, tuple[type, ...]]] = {
    "model": _TEXT,
    "hypothesis": _TEXT,
    "seed": _WHOLE,
    "fold": _WHOLE_OR_NULL,
    "split_digest": _TEXT,
    "parameters": _WHOLE,
    "ms_per_image": _NUMBER,
    "train_seconds": _NUMBER,
    "epochs": _WHOLE,
    "primary_branch": _TEXT,
    "overrides": _LIST,
    "package_version": _TEXT_OR_NULL,
    "code_version": _TEXT_OR_NULL,
    "metrics": _OBJECT,
    "test_images_seen": _WHOLE_OR_NULL,
}


@dataclass(frozen=True)
class RunRow:
    """One finished run.

    Attributes:
        model: the config's name, for example `single_hourglass`.
        hypothesis: its short label, for example `H1`.
        seed: of weights and batches.
        fold: which part of the examinations is tested; None for a split without folds.
        data: what was trained and tested on, any JSON value; compared for equality between runs.
        split: how it was split, any JSON value; compared for equality between runs.
        split_digest: of the images of train, val and test.
        parameters: how many weights are trained.
        ms_per_image: forward pass and decoding in milliseconds per image.
        train_seconds: wall time of the fit in seconds.
        epochs: how many were finished.
        primary_branch: the branch that stands for the model in a ranking.
        overrides: the Hydra overrides of the job.
        package_version: of fetal_lm.
        code_version: of the working copy (a git revision), or None.
        metrics: for each branch, the figures of `predictions.summarise`; NaN where unknown (null in the file).
        test_images_seen: how many test images show an examination that the weights were trained or selected on; None
            in files of versions before it was counted.
    """

    model: str
    hypothesis: str
    seed: int
    fold: int | None
    data: Any
    split: Any
    split_digest: str
    parameters: int
    ms_per_image: float
    train_seconds: float
    epochs: int
    primary_branch: str
    overrides: list[str]
    package_version: str | None
    code_version: str | None
    metrics: Mapping[str, Mapping[str, float]]
    test_images_seen: int | None = None


def write_row(row: RunRow, path: Path) -> None:
    """Writes `row.json` atomically as standard JSON: what is not finite becomes null."""
    write_text(path, json.dumps(_without_nan(asdict(row)), indent=2, allow_nan=False) + "\n")


def read_row(path: Path) -> RunRow:
    """Reads a `row.json`; keys it does not know are ignored.

    Raises:
        InputError: the file cannot be read, is not JSON, lacks a key or the primary branch's figures, or has a value of
            another type.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}); restore it or train this run") from error
    except ValueError as error:
        raise InputError(f"{path}: not readable as JSON ({error}); train this run again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a JSON object, got {type(content).__name__}")
    content.setdefault("test_images_seen", None)
    missing = [field.name for field in fields(RunRow) if field.name not in content]
    if missing:
        raise InputError(f"{path}: expected the key {missing[0]!r}; train this run again")
    for key, kinds in _EXPECTED.items():
        # bool is an int to Python, not to anybody who reads a seed.
        if not isinstance(content[key], kinds) or isinstance(content[key], bool):
            raise InputError(f"{path}: expected {_KIND_NAMES[kinds]} in {key!r}, got {content[key]!r}")
    if not all(isinstance(override, str) for override in content["overrides"]):
        raise InputError(f"{path}: expected a list of strings in 'overrides', got {content['overrides']!r}")
    for branch, figures in content["metrics"].items():
        if not isinstance(figures, dict):
            raise InputError(f"{path}: expected an object in metrics.{branch}, got {figures!r}")
        for name, value in figures.items():
            if not isinstance(value, _NUMBER) or isinstance(value, bool):
                raise InputError(f"{path}: expected a number or null in metrics.{branch}.{name}, got {value!r}")
        content["metrics"][branch] = {
            name: math.nan if value is None else float(value) for name, value in figures.items()
        }
    if not content["metrics"].get(content["primary_branch"]):
        raise InputError(
            f"{path}: expected figures of the primary branch {content['primary_branch']!r} in 'metrics', got "
            f"{sorted(content['metrics'])}; train this run again"
        )
    for key in ("ms_per_image", "train_seconds"):
        content[key] = math.nan if content[key] is None else float(content[key])
    return RunRow(**{field.name: content[field.name] for field in fields(RunRow)})


def _without_nan(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(inner) for inner in value]
    return value
