"""A Slurm of one node, this machine, of its own daemons and files: the Debian packages slurm-wlm and munge, as root."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
START_SECONDS = 120


def skip_without_slurm():
    path = f"{os.environ['PATH']}:/usr/sbin"
    if absent := [name for name in (*DAEMONS, "sbatch", "srun") if shutil.which(name, path=path) is None]:
        pytest.skip(f"not installed: {', '.join(absent)} (apt-get install slurm-wlm munge)")
    if os.geteuid() != 0:
        pytest.skip("slurmd has to be started by root")


@contextmanager
def one_node_slurm(folder: Path, *, cpus: int):
    """Starts the daemons, waits for the node and stops them again; yields the environment of their commands.

    Args:
        folder: for their files.
        cpus: of the node; may be more than the machine has.
    """
    host = socket.gethostname().partition(".")[0]
    ports = free_ports(2)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key, munge_socket = folder / "munge.key", folder / "munge.socket"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    settings = {
        "ClusterName": "test",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": ports[0],
        "SlurmdPort": ports[1],
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={munge_socket}",
        "StateSaveLocation": folder / "state",
        "SlurmdSpoolDir": folder / "spool",
        "SlurmctldPidFile": folder / "slurmctld.pid",
        "SlurmdPidFile": folder / "slurmd.pid",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "AccountingStorageType": "accounting_storage/none",
        "JobAcctGatherType": "jobacct_gather/none",
        "MpiDefault": "none",
        "ReturnToService": 2,
        "SlurmdParameters": "config_overrides",
    }
    lines = [f"{name}={value}" for name, value in settings.items()]
    lines += [
        f"NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=4000",
        f"PartitionName=test Nodes={host} Default=YES State=UP",
    ]
    conf = folder / "slurm.conf"
    conf.write_text("\n".join(lines) + "\n")
    environment = {**os.environ, "SLURM_CONF": str(conf), "PATH": f"{os.environ['PATH']}:/usr/sbin"}
    munged = [
        "munged", "--foreground", "--force", f"--key-file={key}", f"--socket={munge_socket}",
        *(f"--{name}-file={folder / f'munge.{name}'}" for name in ("pid", "log", "seed")),
    ]  # fmt: skip
    with ExitStack() as running:
        running.enter_context(daemon(munged, environment, folder))
        wait_until(munge_socket.exists, "munged", folder)
        for command in (["slurmctld", "-D", "-f", str(conf)], ["slurmd", "-D", "-f", str(conf)]):
            running.enter_context(daemon(command, environment, folder))
        wait_until(lambda: "idle" in output(["sinfo", "-h", "-o", "%T"], environment), "idle node", folder)
        try:
            yield {name: environment[name] for name in ("SLURM_CONF", "PATH")}
        finally:
            output(["scancel", "--user=root"], environment)


@contextmanager
def daemon(command, environment, folder):
    with (
        (folder / f"{command[0]}.out").open("w") as out,
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as process,
    ):
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()


def output(command, environment):
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False).stdout


def wait_until(condition, what, folder):
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        said = "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in folder.glob("*.out"))
        assert time.monotonic() < deadline, f"no {what} after {START_SECONDS} s\n{said}"
        time.sleep(0.5)


def free_ports(number):
    with ExitStack() as sockets:
        found = [sockets.enter_context(socket.socket()) for _ in range(number)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in found]
