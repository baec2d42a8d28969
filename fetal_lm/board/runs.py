"""The W&B runs that lie in a sweep's folders, and which of them wait to be sent.

`wandb sync` puts an empty `run-ID.wandb.synced` beside the record of a run; it counts here too, so that a run which was
sent by hand is not sent again. W&B puts that mark also where a file or an artifact was not taken. Ours is `unsent.txt`:
written before a run is sent and when an online one begins, and removed when all was taken. Whatever is killed in
between, a run with it is sent again.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from fetal_lm.atomic import write_text
from fetal_lm.errors import InputError
from fetal_lm.job import read_job
from fetal_lm.lock import holder
from fetal_lm.report.row import FILE_NAME as ROW_FILE

UNSENT_FILE: Final = "unsent.txt"
QUIET_S: Final = 600.0
"""W&B writes the machine's load into a record several times a minute: one untouched for so long is of no living job."""

_RECORDS: Final = ("wandb/*run-*/run-*.wandb", "*/wandb/*run-*/run-*.wandb")
_ENDED: Final = (ROW_FILE, "error.txt")

State = Literal["sent", "waiting", "training"]


@dataclass(frozen=True)
class LocalRun:
    """A W&B run on disk that was not, or not wholly, sent while it ran.

    Attributes:
        record: its `run-ID.wandb`.
        job: the folder of the training.
    """

    record: Path
    job: Path

    @property
    def folder(self) -> Path:
        """What `wandb sync` takes."""
        return self.record.parent

    @property
    def was_online(self) -> bool:
        """Whether a part of it was sent while it ran."""
        return not self.folder.name.startswith("offline-")

    @property
    def has_wandbs_mark(self) -> bool:
        """Whether `wandb sync` has come to its end."""
        return self.record.with_suffix(".wandb.synced").exists()

    @property
    def sent(self) -> bool:
        """Whether the server has taken all of it."""
        return self.has_wandbs_mark and not (self.folder / UNSENT_FILE).exists()

    def state(self, now: float) -> State:
        """Whether it was sent, can be sent, or may still grow.

        Args:
            now: seconds, as `time.time()`.
        """
        if self.sent:
            return "sent"
        if holder(self.job):
            return "training"
        ended = any((self.job / name).exists() for name in _ENDED) or _noted_end(self.job)
        return "waiting" if ended or now - self.record.stat().st_mtime > QUIET_S else "training"


def _noted_end(job: Path) -> bool:
    """Whether the job itself says that it ended: one that was pruned or interrupted leaves none of `_ENDED`."""
    try:
        return read_job(job).ended is not None
    except InputError:
        return False


def local_runs(folder: Path) -> list[LocalRun]:
    """The runs of a sweep's folder, or of a single run's, in the order of their names.

    Raises:
        InputError: there is no such folder, or no W&B run in it that would have to be sent.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected that of a sweep or of one run")
    records = [record for pattern in _RECORDS for record in folder.glob(pattern)]
    runs = [LocalRun(record, record.parents[2]) for record in records if not record.parent.is_symlink()]
    runs = [run for run in runs if not run.was_online or (run.folder / UNSENT_FILE).exists()]
    if not runs:
        raise InputError(
            f"{folder}: no offline W&B run in it; expected {folder}/*/wandb/offline-run-*, which logger=wandb writes "
            "without a login. Runs that were online to their end are sent already"
        )
    return sorted(runs, key=lambda run: (len(run.job.name), run.job.name, run.folder.name))


def mark_unsent(folder: Path) -> None:
    """Notes, atomically, that the run of a W&B folder (`offline-run-...`) is not wholly sent."""
    write_text(folder / UNSENT_FILE, f"not wholly sent, {time.strftime('%Y-%m-%d %H:%M:%S')}\n")


def mark_sent(folder: Path) -> None:
    """Takes the note away."""
    (folder / UNSENT_FILE).unlink(missing_ok=True)
