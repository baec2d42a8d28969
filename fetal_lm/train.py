"""One job: configuration in, a finished run folder out."""

from __future__ import annotations

import logging
import math
import sys
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytorch_lightning as pl
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import instantiate
from omegaconf import MISSING, DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from fetal_lm import __version__, checkpoints, pretrained, tracking
from fetal_lm.atomic import write_text
from fetal_lm.callbacks import AtomicCheckpoints, EpochLines, training_seconds
from fetal_lm.configuration import check_numbers, check_switches
from fetal_lm.data.datamodule import LandmarkDataModule
from fetal_lm.data.judge import relabelled
from fetal_lm.data.manifest import FILE_NAME as MANIFEST_FILE
from fetal_lm.data.manifest import Learnt, before_digest, read_manifest, split_digest, write_manifest
from fetal_lm.data.records import Record, Source
from fetal_lm.data.splits import Split, leaking_images, refuse_copies, seen_test_images
from fetal_lm.errors import InputError
from fetal_lm.hypotheses import mirror, turn
from fetal_lm.hypotheses.base import Hypothesis
from fetal_lm.job import Pruned
from fetal_lm.measure import measure
from fetal_lm.precision import cpu_precision
from fetal_lm.provenance import code_version
from fetal_lm.report.predictions import read_predictions
from fetal_lm.report.row import RunRow, write_row
from fetal_lm.resume import check_same_configuration
from fetal_lm.run_folder import make_room
from fetal_lm.sweep import listed

log = logging.getLogger(__name__)

INTERRUPTED = 130
"""The exit code of a process that Ctrl-C ended."""


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The configuration with every reference replaced, once it is complete.

    Raises:
        InputError: an option is not set, a switch is neither on nor off, or a number is none.
    """
    unresolved = cast(dict[str, Any], OmegaConf.to_container(cfg))
    for key, value in tracking.flatten(unresolved).items():
        if value == MISSING:
            raise InputError(f"{key} is not set; add {key}=... to the command (conf/ says what it means)")
    config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    flat = tracking.flatten(config)
    check_switches(flat)
    check_numbers(flat)
    return config


def train(cfg: DictConfig, folder: Path) -> RunRow | None:
    """Trains, selects, tests and writes one run.

    Args:
        cfg: the composed configuration.
        folder: of the run; gets config.yaml, split.json, history.csv, checkpoints/, predictions.csv, heatmaps.npz,
            overlay.png and, last of all, row.json.

    Returns:
        What went into row.json; None in the further processes of a distributed training, which measure nothing.

    Raises:
        InputError: the data, an option or a checkpoint is not what it should be.
        Pruned: a search stops the run, which is not tested then.
    """
    config = resolved(cfg)
    choices, name = HydraConfig.get().runtime.choices, job_name(cfg)
    pl.seed_everything(cfg.seed, workers=True, verbose=False)

    source, records, split = _split_records(cfg)
    contents = {record.image: source.content_key(record) for record in records}
    if not cfg.split.get("allow_leak", True):
        refuse_copies(split, records, contents)
    if leaked := leaking_images(split, records, contents):
        log.warning(
            "the split leaks: %d validation and test images show an examination, or are an image, that is also trained "
            "on", leaked,
        )  # fmt: skip
    _check_monitor(cfg.monitor, split, records)
    checkpoint_path = _checkpoint_path(cfg, folder)
    if checkpoint_path is not None:
        # Of another folder too: what its first epochs were trained on.
        for run in (folder, checkpoints.run_of(checkpoint_path)):
            if (run / MANIFEST_FILE).is_file():
                read_manifest(run / MANIFEST_FILE).check(split, records, contents)
        check_same_configuration(folder / "config.yaml", config)
    data = _data_module(cfg, source, records, split)
    model = build_model(cfg)
    before: tuple[Learnt, ...] = ()
    if checkpoint_path is not None:
        before = pretrained.learnt_before(checkpoint_path)
    elif cfg.init_from is not None:
        before = pretrained.learnt_by(Path(cfg.init_from))
    model.identity = {
        "model": choices["model"],
        "split_digest": split_digest(split, records),
        "before": before_digest(before),
    }
    if checkpoint_path is not None:
        checkpoints.check(checkpoint_path, model.identity)
        # Of another folder too: its optimiser and schedule would overrule the options given here.
        check_same_configuration(checkpoints.run_of(checkpoint_path) / "config.yaml", config)
        checkpoints.check_average(checkpoint_path, wanted="ema" in cfg.callbacks)
        log.info(
            "%s goes on after epoch %s of %s", name, checkpoints.read(checkpoint_path).get("epoch"), checkpoint_path
        )
    elif cfg.init_from is not None:
        first = Path(cfg.init_from)
        pretrained.refuse_known(first, before, split, records, archive=source.archive, contents=contents)
        checkpoints.load_weights(model, first)
        log.info("%s begins with the weights of %s", name, first)
    else:
        model.network.begin()
    data.setup()
    logger: Logger | None = None
    exit_code = 1
    try:
        in_sweep = listed(folder) if HydraConfig.get().mode == RunMode.MULTIRUN else None
        logger = instantiate(cfg.logger, _convert_="all")(
            run_folder=folder,
            name=in_sweep.name if in_sweep else name,
            group=_group(folder),
            model=" ".join(filter(None, (choices["model"], in_sweep and in_sweep.variant))),
            config={**config, "code_version": code_version()},
        )
        log.info("%s in %s; %s; threads: %d", name, folder, tracking.location(logger), torch.get_num_threads())
        trainer = _trainer(cfg, logger, folder)
        # Only now, when nothing was refused: an earlier result of this folder stands until its run really goes on.
        make_room(folder, goes_on_from=checkpoint_path)
        write_text(folder / "config.yaml", OmegaConf.to_yaml(cfg, resolve=True))
        write_manifest(folder / MANIFEST_FILE, split, records, archive=source.archive, contents=contents, before=before)
        trainer.fit(model, datamodule=data, ckpt_path=checkpoint_path, weights_only=True)
        if not trainer.is_global_zero:
            exit_code = 0
            return None
        checkpoints.load_weights(model, folder / "checkpoints" / "best.ckpt")
        seen = seen_test_images(split, records, contents)
        row = _measured_row(cfg, model, data, trainer, folder, seen=seen)
        tracking.log_final(logger, row, read_predictions(folder / "predictions.csv"), folder, data.image_of)
        write_row(row, folder / "row.json")
        exit_code = 0
    except Pruned:
        exit_code = 0
        raise
    except (KeyboardInterrupt, SystemExit):
        # Lightning turns Ctrl-C into SystemExit(1) after saving nothing more than the last epoch's checkpoint.
        exit_code = INTERRUPTED
        hint = ""
        if HydraConfig.get().mode != RunMode.MULTIRUN:
            options = " ".join(HydraConfig.get().overrides.task)
            hint = f"; go on with: python run.py {options} hydra.run.dir={folder} ckpt_path=last"
        log.error("interrupted%s", hint)
        sys.exit(INTERRUPTED)
    finally:
        tracking.finish(logger, exit_code=exit_code)
    primary = row.metrics[row.primary_branch]
    log.info(
        "%s: test landmarks %.2f px mean, %.2f px median (of 256), %.2f mm; BPD %.2f mm, OFD %.2f mm, HC %.2f mm -> %s",
        name, primary["mean_px"], primary["median_px"], primary["mean_mm"], primary["bpd_mae_mm"],
        primary["ofd_mae_mm"], primary["hc_mae_mm"], folder,
    )  # fmt: skip
    return row


def _checkpoint_path(cfg: DictConfig, folder: Path) -> Path | None:
    """What to go on from: in a sweep the job's own last checkpoint, without being told."""
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return checkpoints.resolve(cfg.ckpt_path, folder)
    own = checkpoints.unfinished(folder)
    return own if own is not None or cfg.ckpt_path == checkpoints.LAST else checkpoints.resolve(cfg.ckpt_path, folder)


def _split_records(cfg: DictConfig) -> tuple[Source, list[Record], Split]:
    """The source to read images from, its records with the labels to use, and who trains, selects and tests."""
    source = instantiate(cfg.data.source, _convert_="all")
    records = source.records()
    deal = partial(instantiate(cfg.split, _convert_="all"), fold=cfg.data.fold, folds=cfg.data.folds)
    if cfg.data.judge is None:
        split: Split = deal(records)
    else:
        labels, source = records, instantiate(cfg.data.judge, _convert_="all")
        records = source.records()
        records, split = relabelled(records, deal(records), labels)
        log.info("%d labels train and select, those of %s test", len(split.train) + len(split.val), source.name)
    log.info(
        "%d images to train, %d to validate, %d to test", *(len(part) for part in (split.train, split.val, split.test))
    )
    return source, records, split


def _check_monitor(monitor: str | None, split: Split, records: list[Record]) -> None:
    """Refuses to select by millimetres where there are none; what is no metric shows at the first validation."""
    if str(monitor).endswith("_mm") and all(math.isnan(records[index].mm_per_px) for index in split.val):
        raise InputError(
            f"monitor={monitor}: no validation image has a pixel spacing, so that no epoch has millimetres to be "
            "selected by; select by pixels (monitor=val/mre_px), or add spacings to the labels"
        )


def _data_module(cfg: DictConfig, source: Any, records: list[Record], split: Split) -> LandmarkDataModule:
    height, width = cfg.image_size
    return LandmarkDataModule(
        source=source,
        records=records,
        split=split,
        augmentation=instantiate(cfg.augment, _convert_="all"),
        size_net=(height, width),
        fit=cfg.data.fit,
        order=cfg.data.order,
        batch_size=cfg.data.batch_size,
        workers=cfg.data.workers,
        cache_dir=Path(cfg.paths.cache) if cfg.data.cache else None,
        seed=cfg.seed,
    )


def build_model(cfg: DictConfig) -> Hypothesis:
    """The hypothesis that a configuration describes, in channels-last format.

    Raises:
        InputError: options contradict each other.
    """
    optim = instantiate(cfg.optim, _convert_="all")
    model: Hypothesis = instantiate(
        cfg.model,
        codec=instantiate(cfg.codec, _convert_="all"),
        loss=instantiate(cfg.loss, _convert_="all"),
        optimizer=optim["optimizer"],
        schedule=optim["schedule"],
        **options_of_model(cfg),
        _convert_="all",
    )
    return model.to(memory_format=torch.channels_last)


def options_of_model(cfg: dict[str, Any] | DictConfig) -> dict[str, Any]:
    """What a hypothesis is made with besides its own options, loss, codec and optimiser.

    Raises:
        InputError: an option is none of those that there are.
    """
    return {
        "monitor": cfg["monitor"],
        "size_net": cfg["image_size"],
        "canonical": cfg["data"]["order"] == "canonical",
        "isotropic": cfg["data"]["fit"] == "letterbox",
        "test_flips": mirror.checked(cfg["test_flips"]),
        # Runs from before there was the option lack it.
        "test_rotations": turn.checked(cfg.get("test_rotations")),
    }


def _trainer(cfg: DictConfig, logger: Logger | None, folder: Path) -> pl.Trainer:
    options = cast(dict[str, Any], OmegaConf.to_container(cfg.trainer, resolve=True))
    if options["precision"] == "auto":
        options["precision"] = cpu_precision()
        has = "has" if options["precision"] == "bf16-mixed" else "has no"
        log.info("this CPU %s bfloat16 instructions: precision %s, channels last", has, options["precision"])
    callbacks = instantiate(cfg.callbacks, _convert_="all")
    if logger is None:
        callbacks.pop("learning_rate", None)  # It refuses to run without a logger.
    if not _has_terminal():
        options["enable_progress_bar"] = False
        callbacks["epoch_lines"] = EpochLines(job_name(cfg), monitor=cfg.monitor)
    trainer: pl.Trainer = instantiate(
        options, logger=logger or False, callbacks=list(callbacks.values()), default_root_dir=folder,
        plugins=[AtomicCheckpoints()], use_distributed_sampler=False, _convert_="all",
    )  # fmt: skip
    plateau = str(cfg.optim.schedule._target_).endswith(".halve_on_plateau")
    if plateau and cfg.monitor is None:
        raise InputError(
            "optim=adam_plateau watches the monitor, but monitor=null; name a metric, or choose optim=adamw"
        )
    if plateau and trainer.check_val_every_n_epoch is None:
        raise InputError(
            "optim=adam_plateau asks for a validation at the end of each epoch, but trainer.val_check_interval counts "
            "steps over all epochs here (trainer.check_val_every_n_epoch=null); choose optim=adamw"
        )
    if trainer.world_size > 1 and HydraConfig.get().mode == RunMode.MULTIRUN:
        # Lightning starts its further processes with this command line, and each would start the sweep anew.
        raise InputError(
            f"a sweep cannot train each job in {trainer.world_size} processes; run the jobs one by one without -m"
        )
    return trainer


def _measured_row(
    cfg: DictConfig, model: Hypothesis, data: LandmarkDataModule, trainer: pl.Trainer, folder: Path, *, seen: int
) -> RunRow:
    """Tests the selected weights and writes what a report needs, but for the row itself.

    `seen` is how many test images they know.
    """
    measured = measure(
        model, data, accelerator=cfg.trainer.accelerator, precision=trainer.precision, folder=folder,
        name=job_name(cfg), progress=_has_terminal(),
    )  # fmt: skip
    choices = HydraConfig.get().runtime.choices
    return RunRow(
        model=choices["model"],
        hypothesis=model.label,
        seed=cfg.seed,
        fold=cfg.data.fold,
        data=data.source.name,
        split=choices["split"],
        split_digest=model.identity["split_digest"],
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        ms_per_image=measured.ms_per_image,
        train_seconds=training_seconds(folder / "history.csv"),
        epochs=trainer.current_epoch,
        primary_branch=model.branches[0],
        overrides=list(HydraConfig.get().overrides.task),
        package_version=__version__,
        code_version=code_version(),
        metrics=measured.metrics,
        test_images_seen=seen,
    )


def launcher() -> str:
    return str(HydraConfig.get().runtime.choices["hydra/launcher"])


def _has_terminal() -> bool:
    """Whether a job may draw progress bars: those of several jobs at the same time would overwrite each other."""
    return launcher() == "basic"


def job_name(cfg: DictConfig) -> str:
    return f"{HydraConfig.get().runtime.choices['model']}-{cfg.seed}"


def _group(folder: Path) -> str:
    is_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
    return (folder.parent if is_sweep else folder).name
