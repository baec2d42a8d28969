"""A run's folder before its training begins: nothing in it may be of another run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from fetal_lm.atomic import atomic_path
from fetal_lm.checkpoints import BEST, run_of
from fetal_lm.errors import InputError
from fetal_lm.report.row import FILE_NAME as ROW_FILE

HISTORY: Final = Path("history.csv")
LAST: Final = BEST.with_name("last.ckpt")


def make_room(folder: Path, *, goes_on_from: Path | None) -> None:
    """Leaves in a folder what belongs to the run that begins or goes on there now, and nothing of an earlier one.

    A run that begins anew would otherwise, if it were killed before its first checkpoint, go on from the earlier run's.

    Args:
        folder: of the run.
        goes_on_from: a checkpoint, its own or of another folder, whose best checkpoint and history are brought along.

    Raises:
        InputError: there is no best checkpoint beside another folder's; nothing is changed then.
    """
    own = (folder / BEST).parent.resolve()
    goes_on_here = goes_on_from is not None and goes_on_from.resolve().parent == own
    brought: dict[Path, Path] = {}
    if goes_on_from is not None and not goes_on_here:
        brought = {BEST: goes_on_from.with_name(BEST.name), HISTORY: run_of(goes_on_from) / HISTORY}
        if not brought[BEST].is_file():
            raise InputError(
                f"{brought[BEST]}: is missing, but if no later epoch is better, it is what is tested; give a "
                "checkpoint in its own run's folder, or begin with its weights by init_from=..."
            )
    (folder / ROW_FILE).unlink(missing_ok=True)
    if goes_on_here:
        return
    # The last checkpoint first: without it nothing goes on from this folder.
    for earlier in (LAST, BEST, HISTORY):
        (folder / earlier).unlink(missing_ok=True)
    for place, kept in brought.items():
        if kept.is_file():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            with atomic_path(folder / place) as temporary:
                shutil.copyfile(kept, temporary)
