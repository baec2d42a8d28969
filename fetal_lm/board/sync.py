"""Offline runs of a sweep to W&B, each once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from fetal_lm.board.login import require_login
from fetal_lm.board.runs import LocalRun, local_runs, mark_sent, mark_unsent
from fetal_lm.console import say
from fetal_lm.errors import InputError
from fetal_lm.lock import locked

ALL_SENT: Final = 0
SOME_FAILED: Final = 1
LINES_SHOWN: Final = 3
_RETRIES: Final = {"WANDB__GRAPHQL_RETRY_MAX": "4", "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "8"}
"""Else the command asks a server that is not there for hours, and says nothing."""

_SENDERS: Final = ("sender:", "filestream:", "runfiles:", "runupserter:", "file transfer:", "fileTransfer:")
"""The parts of W&B's client that send something; others log errors about questions that a server need not answer."""


def sync(folder: Path, *, timeout_s: float, console: Console | None = None) -> int:
    """Sends the runs that were not sent yet, one after the other; a failed one does not stop the others.

    Args:
        folder: of a sweep or of a single run.
        timeout_s: how long one run may take; what it has not sent by then is sent again next time.
        console: where to print.

    Returns:
        The exit code: 0 if every run that could be sent is sent, 1 if one failed.

    Raises:
        InputError: no such folder, no offline run in it, or no login.
    """
    console = console or Console()
    runs = local_runs(folder)
    now = time.time()
    states = {run: run.state(now) for run in runs}
    waiting = [run for run, state in states.items() if state == "waiting"]
    failed = 0
    if waiting:
        require_login()
        columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            for run in progress.track(waiting):
                reason = _send_alone(run, timeout_s)
                failed += reason is not None
                say(console, f"{run.folder}: {'sent' if reason is None else f'NOT SENT: {reason}'}")
    before, training = (sum(state == kind for state in states.values()) for kind in ("sent", "training"))
    parts = [f"{len(waiting) - failed} sent", f"{failed} failed"] if failed else [f"{len(waiting)} sent"]
    parts += [f"{before} had been sent before"] if before else []
    parts += [f"{training} left because their training goes on"] if training else []
    say(console, f"W&B runs of {folder}: {', '.join(parts)}")
    return SOME_FAILED if failed else ALL_SENT


def _send_alone(run: LocalRun, timeout_s: float) -> str | None:
    """As `_send`, while no other `fetal-lm sync` sends runs of the same training."""
    try:
        # Not the training's own lock: to a report its job would seem to run.
        with locked(run.job / "wandb", what="its W&B record", advice="wait until the other sync has ended"):
            match run.state(time.time()):  # The other may have sent it since, or its training gone on.
                case "waiting":
                    return _send(run, timeout_s)
                case "training":
                    return "its training goes on again"
                case "sent":
                    return None
    except InputError as error:
        return str(error)
    except OSError as error:
        return f"{error.strerror or error}"


def _send(run: LocalRun, timeout_s: float) -> str | None:
    """Sends one run by W&B's own command; why it failed, or None.

    The command ends with code 0 whether or not the server took the run, and sets its mark and says nothing where an
    artifact was refused: only its log tells.
    """
    command = [sys.executable, "-m", "wandb", "sync"]
    command += ["--include-online"] if run.was_online else []
    command += ["--include-synced"] if run.has_wandbs_mark else []
    mark_unsent(run.folder)
    # Below WANDB_DIR the command writes its log, else into a folder `wandb` of wherever the user is.
    with tempfile.TemporaryDirectory(prefix="fetal-lm-sync-") as scratch:
        try:
            done = subprocess.run(
                [*command, str(run.folder.resolve())],
                env=_RETRIES | os.environ | {"WANDB_DIR": scratch},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"no end after {timeout_s:g} s; is W&B reachable? --timeout gives it longer"
        errors = _logged_errors(Path(scratch))
    if done.returncode == 0 and run.has_wandbs_mark and not errors:
        mark_sent(run.folder)
        return None
    said = [line.removeprefix("wandb: ") for line in done.stdout.splitlines() if line.strip()]
    errors += [line.removeprefix("ERROR ") for line in said if line.startswith("ERROR ")]
    reason = " | ".join((errors or said)[-LINES_SHOWN:])
    return reason or f"`wandb sync` ended with code {done.returncode} and said nothing"


def _logged_errors(folder: Path) -> list[str]:
    """What W&B's log calls an error of something that was to be sent, each once."""
    errors: dict[str, None] = {}
    for path in sorted(folder.rglob("debug-sync.*.log")):
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # The last line of a command that was stopped.
                continue
            message = " ".join(str(entry.get("msg", "")).split())
            if entry.get("level") == "ERROR" and message.startswith(_SENDERS):
                errors.setdefault(message)
    return list(errors)
