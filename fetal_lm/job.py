"""A job of a sweep: how far it came, noted in its own folder, whoever runs it and however that ends."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final

from fetal_lm.atomic import write_text
from fetal_lm.errors import InputError
from fetal_lm.lock import holder
from fetal_lm.report.row import FILE_NAME as ROW_FILE

FILE_NAME: Final = "job.json"

log = logging.getLogger(__name__)


class State(StrEnum):
    """How far a job is."""

    PENDING = "pending"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    KILLED = "killed"
    PRUNED = "pruned"
    """Stopped by a search, which saw that it would not be the best: no error, and never tested."""


class Pruned(Exception):  # noqa: N818
    """A search stops this job: what it reached so far is worse than what others had reached by then."""


@dataclass(frozen=True)
class Job:
    """What a job's folder says about it.

    Attributes:
        state: pending if it says nothing.
        config_hash: `resume.config_hash` of its configuration.
        started: of its latest sitting, ISO 8601 with the offset from UTC.
        ended: of its latest sitting; None while it runs and if it was killed.
        error: the first line of what ended it; the whole traceback is in error.txt.
        sittings: how often it was started.
    """

    state: State = State.PENDING
    config_hash: str | None = None
    started: str | None = None
    ended: str | None = None
    error: str | None = None
    sittings: int = 0


def read_job(folder: Path) -> Job:
    """What is known about a job, as it is now: what was running and has no process any more was killed.

    A folder of an earlier version, which noted nothing, is judged by the files of its run.

    Raises:
        InputError: the note is damaged.
    """
    noted = _noted(folder)
    if (folder / ROW_FILE).is_file():  # It is written last of all; the note comes a moment later.
        return replace(noted, state=State.DONE)
    if noted.state is State.RUNNING and holder(folder) is None:
        return replace(noted, state=State.KILLED)
    if noted.state is State.PENDING and (folder / "error.txt").is_file():
        return replace(noted, state=State.FAILED)
    if noted.state is State.PENDING and (folder / "config.yaml").is_file():
        return replace(noted, state=State.KILLED)
    if noted.state is State.DONE:  # Its row was removed since, or not copied.
        return replace(noted, state=State.KILLED)
    return noted


@contextmanager
def sitting(folder: Path, *, config_hash: str) -> Iterator[None]:
    """Notes that the job runs, and then how it ended; a killed process notes nothing, see `read_job`.

    `Pruned` ends here: to whoever runs the job it is no error.

    Args:
        folder: of the job; the caller holds its lock.
        config_hash: of its configuration.

    Raises:
        InputError: an earlier note is damaged.
        OSError: the folder cannot be written.
    """
    job = Job(State.RUNNING, config_hash, started=_now(), sittings=_noted(folder).sittings + 1)
    _note(folder, job)
    try:
        yield
    except Pruned as pruned:
        log.info("pruned: %s", pruned)
        _note_end(folder, replace(job, state=State.PRUNED))
        return
    except Exception as error:
        lines = str(error).splitlines()
        _note_end(folder, replace(job, state=State.FAILED, error=lines[0] if lines else type(error).__name__))
        raise
    except BaseException:
        _note_end(folder, replace(job, state=State.KILLED, error="interrupted"))
        raise
    _note_end(folder, replace(job, state=State.DONE))


def _noted(folder: Path) -> Job:
    path = folder / FILE_NAME
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return Job(**{**content, "state": State(content["state"]), "sittings": int(content["sittings"])})
    except FileNotFoundError:
        return Job()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path}: expected what a sweep notes about its job ({type(error).__name__}: {error}); remove the file, "
            "the other files of the folder tell how far the job came"
        ) from error


def _note(folder: Path, job: Job) -> None:
    write_text(folder / FILE_NAME, json.dumps(asdict(job), indent=2) + "\n")


def _note_end(folder: Path, job: Job) -> None:
    try:
        _note(folder, replace(job, ended=_now()))
    except OSError as unwritten:  # On a full disk; what ended the job says more.
        log.warning("%s could not be written: %s", folder / FILE_NAME, unwritten)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
