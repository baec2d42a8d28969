"""The experiment command: a job or a sweep started through Hydra, what is said of its errors, and its exit code."""

from __future__ import annotations

import logging
import os
import shlex
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import cv2
import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException, InstantiationException
from hydra.types import RunMode
from omegaconf import DictConfig

from fetal_lm.atomic import remove_leftovers, write_text
from fetal_lm.errors import InputError
from fetal_lm.job import sitting
from fetal_lm.lock import locked
from fetal_lm.measure import silence_lightning
from fetal_lm.orphan import end_with_parent
from fetal_lm.report.command import report_sweep
from fetal_lm.report.sweep import finished
from fetal_lm.resume import check_same_job, config_hash
from fetal_lm.sweep import SweepManifest
from fetal_lm.train import INTERRUPTED, job_name, launcher, resolved, train

log = logging.getLogger(__name__)

CONF = Path(__file__).resolve().parents[1] / "conf"

FRESH = "--fresh"
"""The one flag that is not Hydra's. No option: it is of this start of a sweep, not of its jobs' configuration."""

TRACEBACK_FILE = "traceback.txt"
"""From where a user's mistake was raised. Not in error.txt, whose last lines are what a report says of the job."""


def main() -> None:
    """Runs one job or a sweep; after a sweep prints its comparison. Exits with a code that is not 0 if a job failed."""
    silence_lightning()
    SweepManifest.fresh = FRESH in sys.argv[1:]
    sys.argv[1:] = [argument for argument in sys.argv[1:] if argument != FRESH]
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("hydra.sweep.dir=")]
    exit_code = 0
    try:
        _hydra_main()
    except SystemExit as stop:
        exit_code = stop.code if isinstance(stop.code, int) else 1
        if isinstance(stop.code, str):
            print(stop.code, file=sys.stderr)
    except KeyboardInterrupt:
        exit_code = INTERRUPTED
    folder = SweepManifest.folder
    # A sweep that Hydra refused before its first job has nothing to compare.
    if folder is not None and exit_code != INTERRUPTED and any(folder.glob("*/.hydra")):
        try:
            exit_code = report_sweep(folder) or exit_code
        except InputError as error:
            print(error, file=sys.stderr)
            exit_code = exit_code or 1
        print(f"\nAgain, from disk alone: fetal-lm report {folder}")
    if folder is not None and exit_code:
        again = shlex.join([*arguments, f"hydra.sweep.dir={folder}"])
        print(f"What is missing, again (jobs that are done are kept): python run.py {again}")
    elif folder is not None:
        print("Next, on real images: python run.py experiment=three_models data=hc18 data.root=DIR   (see README.md)")
    SweepManifest.end()
    sys.exit(exit_code)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def _hydra_main(cfg: DictConfig) -> None:
    folder = Path(HydraConfig.get().runtime.output_dir)
    _settle(workers=cfg.data.workers)
    try:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            # Whoever started the sweep may be gone while its jobs, on a cluster, are not.
            with locked(folder, what="the job", advice="end it, and start the sweep again", wait=True):
                _written_down(lambda: _sweep_job(cfg, folder), folder)
        elif _is_further_process():  # The first one holds the folder.
            _written_down(lambda: train(cfg, folder), folder)
        else:
            with locked(folder, what="the run", advice="wait until it has ended, or name another hydra.run.dir=..."):
                _written_down(lambda: train(cfg, folder), folder)
    except (InputError, OSError) as error:  # Of the lock; the folder belongs to another process.
        raise CompactHydraException(_users_mistake(error, folder)) from error


def _is_further_process() -> bool:
    """Whether this is a process of a training in several, but not the first, by the variables that Lightning reads."""
    names = ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")
    return any(os.environ.get(name, "0") != "0" for name in names)


def _settle(*, workers: int) -> None:
    """What a job needs of its process, which with some launchers is not the one that `main` runs in."""
    silence_lightning()
    # A loader's process has the number of the one that it is forked from; set in itself, OpenCV waits for ever for the
    # threads that it thinks it has. torch takes one thread there by itself.
    cv2.setNumThreads(1 if workers else torch.get_num_threads())
    if launcher() == "joblib":
        end_with_parent()


def _written_down(job: Callable[[], object], folder: Path) -> None:
    """Runs a job; what it raises goes into its folder too: what a user can mend into error.txt and its traceback.txt.

    Of a fault of this package the traceback is in error.txt.
    """
    for name in ("error.txt", TRACEBACK_FILE):
        (folder / name).unlink(missing_ok=True)
    try:
        job()
    except Exception as error:  # Nothing is swallowed: it is written down, then raised again.
        message = _users_mistake(error, folder)
        try:
            write_text(folder / "error.txt", f"{message}\n" if message else traceback.format_exc())
            if message:
                write_text(folder / TRACEBACK_FILE, traceback.format_exc())
        except OSError as unwritten:  # On a full disk the message below is all there is.
            log.warning("error.txt or %s could not be written: %s", TRACEBACK_FILE, unwritten)
        if message is None:
            raise
        # The one exception that Hydra prints without a traceback.
        raise CompactHydraException(message) from error


def _sweep_job(cfg: DictConfig, folder: Path) -> None:
    """One job of a sweep: skipped if it is done, gone on with if a killed or failed sitting left a checkpoint."""
    for part in (folder, folder / "checkpoints"):
        remove_leftovers(part)
    config = resolved(cfg)
    check_same_job(folder, config)
    if finished(folder):
        log.info("%s in %s is done, its row is kept", job_name(cfg), folder)
        return
    with sitting(folder, config_hash=config_hash(config)):
        train(cfg, folder)


def _users_mistake(error: Exception, folder: Path) -> str | None:
    """The message for what a user can mend; None for a fault of this package."""
    match error:
        case InputError():
            return str(error)
        case InstantiationException(__cause__=ValueError() as cause):  # A constructor did not like an option.
            return str(cause)
        case OSError():  # A full disk, a folder without write permission: Python does not always know the file.
            return f"{error.filename or f'while writing to {folder}'}: {error.strerror or error}"
    return None
