"""A process that does not outlive the one that started it."""

from __future__ import annotations

import functools
import os
import signal
import threading
import time
from typing import Final

_LOOK_SECONDS: Final = 1.0


@functools.cache
def end_with_parent() -> None:
    """From now on this process ends once its parent has, as by `kill -9`: its checkpoints are made for that.

    A worker of joblib does not notice that its sweep was killed before it has finished its job, and until then would
    hold that job's folder and the cores. To be called once the parent is known to live.
    """
    threading.Thread(target=_watch, args=(os.getppid(),), name="end-with-parent", daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)
