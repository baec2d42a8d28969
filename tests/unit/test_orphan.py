"""A process that must not outlive the one that started it does not."""

import subprocess
import sys
import time

CHILD = """
import time
from fetal_lm.orphan import end_with_parent
end_with_parent()
print("up", flush=True)
time.sleep(60)
"""
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(60)
"""


def test_it_ends_with_a_killed_parent_and_not_before():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        time.sleep(1.5)
        assert runs(child)
        parent.kill()
        parent.wait()
        deadline = time.monotonic() + 30
        while runs(child):
            assert time.monotonic() < deadline
            time.sleep(0.1)


def runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
