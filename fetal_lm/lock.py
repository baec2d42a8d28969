"""One process at a time in a folder, by a lock that dies with the process that holds it."""

from __future__ import annotations

import fcntl
import logging
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, Final

from fetal_lm.errors import InputError

FILE_NAME: Final = ".lock"

PATIENCE_SECONDS: Final = 2.0
"""How long a lock is asked for again: a killed process may be on its way out, and `holder` takes it for a moment."""

WAIT_SECONDS: Final = 1.0
"""Between two looks at a lock that is waited for."""

log = logging.getLogger(__name__)

_held: set[Path] = set()
"""Folders that this process holds: to the kernel a second request of the same process is no conflict."""


@contextmanager
def locked(folder: Path, *, what: str, advice: str, wait: bool = False) -> Iterator[None]:
    """Keeps others out of a folder while the block runs.

    The lock is POSIX's (`fcntl.lockf`): the kernel drops it with its process, however that ends, and it holds between
    machines where the file system has locks. A forked process (a loader's worker) does not inherit it; `flock` is
    inherited, and a worker that outlives its killed parent would go on holding it.

    Args:
        folder: made if missing; the lock is its file `.lock`, which stays and says who held it last.
        what: that is in the folder, for the message.
        advice: what to do about it, for the message.
        wait: for another process that holds the folder, as long as it takes; the log says so.

    Raises:
        InputError: the folder is held already: by this process, or by another one that is not to be waited for.
        OSError: the folder cannot be written, or its file system has no locks.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = folder.resolve()
    if key in _held:
        raise InputError(f"{folder}: {what} is in use by this process; {advice}")
    with (folder / FILE_NAME).open("a+", encoding="utf-8") as handle:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _taken(handle, fcntl.LOCK_EX):
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            if not wait:
                raise InputError(f"{folder}: {what} is in use by {_said(handle)}; {advice}")
            log.info("%s: %s is in use by %s, waiting until it ends", folder, what, _said(handle))
            while not _taken(handle, fcntl.LOCK_EX):
                time.sleep(WAIT_SECONDS)
            break
        _held.add(key)
        try:
            handle.truncate(0)
            since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
            handle.write(f"process {os.getpid()} on {socket.gethostname()}, since {since}\n")
            handle.flush()
            yield
        finally:
            _held.discard(key)


def holder(folder: Path) -> str | None:
    """Who holds a folder now, in words; None if nobody does."""
    # Not even opened then: closing any handle of the file would drop this process's own lock.
    if folder.resolve() in _held:
        return "this process"
    try:
        with (folder / FILE_NAME).open(encoding="utf-8") as handle:
            return None if _taken(handle, fcntl.LOCK_SH) else _said(handle)
    except FileNotFoundError:
        return None


def _taken(handle: IO[str], kind: int) -> bool:
    try:
        fcntl.lockf(handle, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # POSIX leaves the choice between the two.
        return False
    return True


def _said(handle: IO[str]) -> str:
    handle.seek(0)
    return handle.read().strip() or "another process"
