"""Checkpoints: found, checked and loaded without running anything that is stored in them."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import safetensors
import safetensors.torch
import torch
from torch import nn

from fetal_lm.errors import InputError

IDENTITY_KEY: Final = "fetal_lm"
LAST: Final = "last"
BEST: Final = Path("checkpoints", "best.ckpt")
"""In a run's folder, the weights that were selected."""

PACKED_SUFFIX: Final = ".safetensors"
PACKED: Final = Path("weights").with_suffix(PACKED_SUFFIX)
"""In a packed run's folder, the same."""

_AVERAGE_KEY: Final = "averaging_state"
"""What Lightning's `WeightAveraging` adds to a checkpoint, beside the weights of the last step."""

HALVED: Final = 0.9
"""Share of the weights that half precision rounds."""

_NAMED_AT_MOST: Final = 3

log = logging.getLogger(__name__)


def resolve(choice: str | None, folder: Path) -> Path | None:
    """The checkpoint to go on from.

    Args:
        choice: a path; `last` for the run folder's own; None for none.
        folder: of the run.

    Raises:
        InputError: there is no such file.
    """
    if choice is None:
        return None
    path = folder / "checkpoints" / "last.ckpt" if choice == LAST else Path(choice)
    if not path.is_file():
        hint = (
            f"name the interrupted run's folder with hydra.run.dir=..., which is {folder} now" if choice == LAST else ""
        )
        raise InputError(
            f"{path}: no such checkpoint to go on from; {hint or 'give the path of a .ckpt file, or `last`'}"
        )
    return path


def run_of(path: Path) -> Path:
    """The folder of the run that wrote a checkpoint: above its folder `checkpoints`, or with packed weights in it."""
    folder = path.resolve().parent
    return folder if path.suffix == PACKED_SUFFIX else folder.parent


def unfinished(folder: Path) -> Path | None:
    """The checkpoint that a run in this folder left and can go on from; None if it has to begin anew.

    The best one has to be there too, whole: it is what is tested if no later epoch is better.
    """
    last, best = (folder / "checkpoints" / f"{name}.ckpt" for name in (LAST, "best"))
    if not last.is_file():
        return None
    try:
        read(last)
        read(best)
    except InputError as error:
        log.warning("the run cannot go on and begins anew: %s", error)
        return None
    return last


def read(path: Path) -> dict[str, Any]:
    """The checkpoint's content, on the CPU.

    Raises:
        InputError: the file is not a checkpoint, is damaged, or holds anything but tensors and plain values.
    """
    if path.suffix == PACKED_SUFFIX:
        return _read_packed(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{path}: not a readable checkpoint ({reason}); expected a .ckpt file that a run wrote"
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise InputError(f"{path}: holds no model weights; expected a .ckpt file that a run wrote")
    return content


def pack(path: Path, *, half: bool = False) -> bytes:
    """A checkpoint's weights and whose they are as a safetensors file, which can hold no code and nothing else.

    Args:
        path: of the checkpoint.
        half: whether the largest matrices and convolutions, which hold `HALVED` of all weights, are rounded to half
            precision (11 significant bits from 6e-5 on). What is small stays: it saves little, and first layers are
            small and move points the most.

    Raises:
        InputError: as `read`.
    """
    content = read(path)
    weights = dict(content["state_dict"])
    if half:
        weights |= {name: weights[name].half() for name in _largest(weights)}
    weights = {name: value.contiguous() for name, value in weights.items()}
    identity = content.get(IDENTITY_KEY) or {}
    return safetensors.torch.save(weights, {name: str(value) for name, value in identity.items()})


def _largest(weights: Mapping[str, torch.Tensor]) -> Iterator[str]:
    """Names of the largest matrices and convolutions, until they hold `HALVED` of all weights."""
    matrices = [name for name, value in weights.items() if value.is_floating_point() and value.ndim > 1]
    left = HALVED * sum(value.numel() for value in weights.values() if value.is_floating_point())
    for name in sorted(matrices, key=lambda name: weights[name].numel(), reverse=True):
        if left <= 0:
            return
        left -= weights[name].numel()
        yield name


def _read_packed(path: Path) -> dict[str, Any]:
    try:
        with safetensors.safe_open(path, framework="pt", device="cpu") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # it is no mapping
            identity = dict(file.metadata() or {})
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise InputError(
            f"{path}: not readable weights ({error}); expected a file that `fetal-lm package` wrote"
        ) from error
    return {"state_dict": weights, IDENTITY_KEY: identity}


def check(path: Path, identity: Mapping[str, str]) -> None:
    """Makes sure that a checkpoint belongs to the run that wants to go on from it.

    Args:
        path: of the checkpoint.
        identity: of the run: `model`, `split_digest`, and `before`, whom its first weights knew
            (`data.manifest.before_digest`; empty in checkpoints of versions before it was stored).

    Raises:
        InputError: it is of another model, or was trained on another split.
    """
    stored = read(path).get(IDENTITY_KEY) or {}
    if stored.get("model") != identity["model"]:
        raise InputError(
            f"{path}: a checkpoint of model={stored.get('model', 'unknown')}, but this run is "
            f"model={identity['model']}; choose the same model"
        )
    if stored.get("split_digest") != identity["split_digest"]:
        raise InputError(
            f"{path}: trained on another split than this run's (data, data.fold or split differ), so that test images "
            "might have been trained on; choose the options of the run that wrote it"
        )
    if stored.get("before", "") != identity["before"]:
        raise InputError(
            f"{path}: began with other weights (init_from) than its split.json says, so that test images might have "
            "been trained on; restore the run's folder"
        )


def check_average(path: Path, *, wanted: bool) -> None:
    """Makes sure that a run goes on with a moving average of its weights if and only if it has one so far.

    Otherwise a training would go on with the average in place of its weights, or an average begin in its midst.

    Args:
        path: of the checkpoint.
        wanted: whether the run that wants to go on averages.

    Raises:
        InputError: it does and the checkpoint holds no average, or the other way round.
    """
    if (_AVERAGE_KEY in read(path)) != wanted:
        raise InputError(
            f"{path}: its run was trained {'without' if wanted else 'with'} a moving average of the weights; "
            f"{'leave out' if wanted else 'add'} callbacks=ema"
        )


def load_weights(model: nn.Module, path: Path) -> None:
    """Loads the weights of a checkpoint into a model of the same architecture.

    Raises:
        InputError: as `read`, or the weights do not fit the model, in which nothing is changed then.
    """
    weights, own = read(path)["state_dict"], model.state_dict()
    missing = [name for name in own if name not in weights]
    unexpected = [str(name) for name in weights if name not in own]
    other = [
        f"{name} {_shape(weights[name])}, here {_shape(value)}"
        for name, value in own.items()
        if name in weights and _shape(weights[name]) != _shape(value)
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
    if reasons := [f"{len(names)} {kind} ({_first(names)})" for kind, names in kinds if names]:
        raise InputError(
            f"{path}: its weights do not fit this model: {'; '.join(reasons)}; choose the model and its options as the "
            "run had them that wrote it"
        )
    model.load_state_dict(weights)


def _shape(value: object) -> str:
    return "x".join(map(str, value.shape)) or "number" if isinstance(value, torch.Tensor) else type(value).__name__


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED_AT_MOST]) + (", ..." if len(names) > _NAMED_AT_MOST else "")
