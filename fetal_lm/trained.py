"""A finished run's folder -> its model with the selected weights, and everything needed to show it images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fetal_lm import checkpoints
from fetal_lm.choices import Flips
from fetal_lm.configuration import read_configuration
from fetal_lm.data.datamodule import LandmarkDataModule
from fetal_lm.data.images import digest
from fetal_lm.data.manifest import FILE_NAME as MANIFEST_FILE
from fetal_lm.data.manifest import Manifest, before_digest, read_manifest
from fetal_lm.data.records import Record, Source
from fetal_lm.data.splits import Split
from fetal_lm.data.transforms import Augmentation
from fetal_lm.errors import InputError
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.precision import accelerator_here, cpu_precision
from fetal_lm.predict.engine import EXPORTED_SUFFIX
from fetal_lm.report.row import FILE_NAME as ROW_FILE
from fetal_lm.report.row import RunRow, read_row
from fetal_lm.train import options_of_model
from fetal_lm.trusted import ForeignCodeError, made


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """A run that can predict.

    Attributes:
        row: what it says about itself.
        manifest: whom it trained, selected and tested on.
        cfg: its resolved configuration.
        model: on the CPU, with the weights that were asked for, in evaluation mode.
        digest: SHA-256 of the weights' file.
        config_digest: SHA-256 of the configuration's file.
    """

    row: RunRow
    manifest: Manifest
    cfg: DictConfig
    model: Hypothesis
    digest: str
    config_digest: str

    @property
    def bfloat16(self) -> bool:
        """Whether its network computes in bfloat16 on this CPU."""
        return self.precision == "bf16-mixed"

    @property
    def precision(self) -> str:
        """Lightning's `precision` that it was trained in, or this CPU's where the run left it to the machine."""
        wanted: str = self.cfg.trainer.precision
        return cpu_precision() if wanted == "auto" else wanted

    @property
    def accelerator(self) -> str:
        """Lightning's `accelerator` that it was trained on, or the CPU where this machine has no GPU."""
        return accelerator_here(self.cfg.trainer.accelerator)

    def data(self, source: Source, records: Sequence[Record], tested: Sequence[int]) -> LandmarkDataModule:
        """Images of a source as the run saw its own; `tested` are numbers of `records`."""
        height, width = self.cfg.image_size
        return LandmarkDataModule(
            source=source,
            records=records,
            split=Split((), (), tuple(tested)),
            augmentation=Augmentation([]),
            size_net=(height, width),
            fit=self.cfg.data.fit,
            order=self.cfg.data.order,
            batch_size=self.cfg.data.batch_size,
            workers=self.cfg.data.workers,
            cache_dir=Path(self.cfg.paths.cache) if self.cfg.data.cache else None,
            seed=self.cfg.seed,
        )


def load_run(path: Path, *, flips: Flips | None = None, rotations: Sequence[float] | None = None) -> TrainedRun:
    """Loads a run.

    Args:
        path: the run's folder, also a packed one or its weights.safetensors, for its selected weights; or another
            checkpoint in its folder `checkpoints`.
        flips: whether it is to look at mirror images too, or at which; None leaves its own `test_flips`.
        rotations: degrees by which it is to turn images too; None leaves its own `test_rotations`.

    Raises:
        InputError: a file is missing or damaged, the manifest is not the one that the checkpoint was trained with, or
            the configuration is of a version of fetal_lm with other options or names code that is not this package's.
    """
    try:
        folder, checkpoint = _places(path)
    except OSError as error:
        raise InputError(
            f"{path}: expected a finished run's folder, but it cannot be read ({error.strerror or error}); check the "
            "path"
        ) from error
    row, manifest = read_row(folder / ROW_FILE), read_manifest(folder / MANIFEST_FILE)
    config = folder / "config.yaml"
    # A manifest of another run would let trained images pass.
    checkpoints.check(
        checkpoint,
        {"model": row.model, "split_digest": manifest.digest, "before": before_digest(manifest.before)},
    )
    cfg = read_configuration(config)
    if flips is not None:
        cfg.test_flips = flips
    if rotations is not None:
        cfg.test_rotations = list(rotations) or None
    model = _model(cfg, config)
    checkpoints.load_weights(model, checkpoint)
    return TrainedRun(row, manifest, cfg, model.eval(), digest(checkpoint), digest(config))


def _model(cfg: DictConfig, path: Path) -> Hypothesis:
    """What a configuration describes, to predict with: without an optimiser, and without code that it might choose."""
    try:
        plain = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
        loss, codec = (made(part, plain.get(part), path) for part in ("loss", "codec"))
        model: Hypothesis = made(
            "model", plain.get("model"), path, loss=loss, codec=codec, optimizer=_no_optimizer, schedule=_no_optimizer,
            **options_of_model(plain),
        )  # fmt: skip
    except ForeignCodeError:
        raise
    except (OmegaConfBaseException, LookupError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: this version of fetal_lm makes no model of it ({error}); use the version that trained the run"
        ) from error
    return model.to(memory_format=torch.channels_last)


def _no_optimizer(*_: Any, **__: Any) -> Any:
    raise RuntimeError("this model was made to predict: it has no optimiser")


def _places(path: Path) -> tuple[Path, Path]:
    """The run's folder and its checkpoint."""
    packed = path / checkpoints.PACKED
    if path.is_file() or path.suffix == ".ckpt":
        return _folder_of(path), path
    if not (path / ROW_FILE).is_file():
        what = f"it holds no {ROW_FILE}, so that no run finished in it" if path.is_dir() else "there is no such folder"
        raise InputError(
            f"{path}: expected a finished run's folder, but {what}; `python run.py` prints where its runs are"
        )
    return path, packed if packed.is_file() else path / checkpoints.BEST


def _folder_of(file: Path) -> Path:
    """The folder of the run whose weights a file holds."""
    if file.suffix.lower() == EXPORTED_SUFFIX:
        raise InputError(
            f"{file}: expected a finished run's folder or a checkpoint in it, got a file that is exported already; "
            "give the folder of its run, or measure with the file (fetal-lm predict --model)"
        )
    if (file.parent / ROW_FILE).is_file() and file.suffix != checkpoints.PACKED_SUFFIX:
        raise InputError(
            f"{file}: expected a finished run's folder or a checkpoint in it, got another file of a run; give its "
            f"folder, {file.parent}"
        )
    folder = checkpoints.run_of(file)
    if not (folder / ROW_FILE).is_file():
        raise InputError(
            f"{file}: expected a finished run's folder or a checkpoint in it (RUN/checkpoints/best.ckpt), but "
            f"{folder} holds no {ROW_FILE}; weights alone do not say what network they are of"
        )
    return folder


def with_views(overrides: Sequence[str], *, flips: Flips | None, rotations: Sequence[float] | None = None) -> list[str]:
    """A run's overrides as they would be of a run that is tested on these views of an image; None leaves its own.

    Example:
        >>> with_views(["epochs=2", "test_flips=false"], flips="half_turn", rotations=[-5.0, 5.0])
        ['epochs=2', 'test_flips=half_turn', 'test_rotations=[-5,5]']
    """
    views: dict[str, str] = {}
    if flips is not None:
        views["test_flips"] = str(flips).lower()
    if rotations is not None:
        views["test_rotations"] = f"[{','.join(f'{degrees:g}' for degrees in rotations)}]" if rotations else "null"
    others = [override for override in overrides if override.partition("=")[0] not in views]
    return [*others, *(f"{key}={value}" for key, value in views.items())]
