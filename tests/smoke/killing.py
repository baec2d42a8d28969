"""Kills a small sweep twenty times; run by `test_survival.py` in a process of its own.

    python tests/smoke/killing.py FOLDER

Torch is imported here once. Every start of the sweep is a fork of this process, which has run nothing with it, so that
a start costs a fraction of a second and `kill -9` is the real one. Prints what it saw as one JSON object.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

from hydra import compose, initialize_config_dir

from fetal_lm.start import CONF
from fetal_lm.start import main as run_py

KILLS = 20
SWEEP = (
    "-m", "model=single_hourglass,hybrid_hourglass", "trainer=smoke", "trainer.max_epochs=3", "image_size=[64,64]",
    "model.network.channels=8", "data.source.images=30", "data.batch_size=8", "logger=csv",
    # Halved after every epoch that is no better, so that one lost step changes the weights.
    "optim=adam_plateau", "optim.schedule.patience=0", "optim.optimizer.lr=0.03",
)  # fmt: skip


def start(folder: Path) -> int:
    """The process that runs the sweep into a folder."""
    if pid := os.fork():
        return pid
    code = 1
    try:
        log = os.open(folder.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for stream in (1, 2):
            os.dup2(log, stream)
        sys.argv[1:] = [*SWEEP, f"paths.cache={folder.parent / 'cache'}", f"hydra.sweep.dir={folder}"]
        run_py()
    except SystemExit as stop:
        code = stop.code
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def run(folder: Path) -> float:
    """Runs the sweep to its end and returns the seconds it took."""
    started = time.monotonic()
    _, status = os.waitpid(start(folder), 0)
    if status:
        sys.exit(f"the sweep ended with status {status}:\n{folder.with_suffix('.log').read_text()[-3000:]}")
    return time.monotonic() - started


def states(folder: Path) -> list[str]:
    """What the jobs' notes say, `none` where there is none."""
    notes = [folder / str(number) / "job.json" for number in range(2)]
    return [json.loads(note.read_text())["state"] if note.exists() else "none" for note in notes]


def main() -> None:
    folder = Path(sys.argv[1])
    # What Hydra finds out once a process: its plugins and its grammar.
    with initialize_config_dir(str(CONF), version_base="1.3"):
        compose("config", SWEEP[2:])
    seconds = run(folder / "undisturbed")
    moments = random.Random(0)
    killed: list[Path] = [folder / "killed0"]
    hit: list[list[str]] = []
    while len(hit) < KILLS:
        pid = start(killed[-1])
        # A third of the sweep at most, so that most kills come before its end; a start that gets nowhere is one too.
        moment = moments.uniform(0, seconds / 3)
        if len(hit) == KILLS // 2:
            # However slow the machine has become meanwhile, there is a checkpoint to go on from.
            while not any(killed[-1].glob("*/checkpoints/last.ckpt")):
                time.sleep(0.01)
        else:
            time.sleep(moment)
        ended, _ = os.waitpid(pid, os.WNOHANG)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            hit.append(states(killed[-1]))
        if states(killed[-1]) == ["done", "done"]:
            # The machine has become faster: there is nothing left to interrupt here.
            seconds *= 0.7
            killed.append(folder / f"killed{len(killed)}")
    for each in killed:
        run(each)
    sys.stdout.write(json.dumps({"folders": [each.name for each in killed], "hit": hit}))


if __name__ == "__main__":
    main()
