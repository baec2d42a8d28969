"""A sweep's list of jobs, written before the first one starts, and what a second start makes of an earlier one's."""

from __future__ import annotations

import importlib
import itertools
import json
import logging
import shutil
import sys
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override
from omegaconf.errors import OmegaConfBaseException

from fetal_lm.atomic import write_text
from fetal_lm.errors import InputError
from fetal_lm.incidental import is_variant
from fetal_lm.job import FILE_NAME as JOB_FILE
from fetal_lm.job import State, read_job
from fetal_lm.lock import holder, locked
from fetal_lm.report.sweep import RUN_FILES, SWEEP_FILE
from fetal_lm.resume import check_same_job, config_hash
from fetal_lm.threads import cores, share_cores

log = logging.getLogger(__name__)

JOB_FOLDER: Final = "${hydra:job.num}"
GRID: Final = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
"""Hydra's own sweeper, all of whose jobs are known before the first one."""


class Listed(NamedTuple):
    """A job as its sweep lists it: see `expand`."""

    name: str
    variant: str


# Our configuration of a launcher has the name of the plugin's, which Hydra then takes for its schema: as it should, but
# it calls that deprecated. At import, because a launcher's processes compose before they call anything of this package.
warnings.filterwarnings("ignore", message=r"\s*'hydra/launcher/\w+' is validated against", category=UserWarning)


class SweepManifest(Callback):
    """Writes `sweep.json` into the sweep's folder: number, name, overrides and configuration hash of every job.

    How far a job is stands in its own folder (`job.read_job`), so that jobs in several processes cannot overwrite each
    other's state. A folder that another sweep is using, or whose jobs are of other configurations, is refused before
    anything in it is touched. A search does not know its jobs beforehand and lists them itself.
    """

    folder: ClassVar[Path | None] = None
    """The sweep that this process has started, if any: Hydra returns nothing to the caller of a multirun."""

    fresh: ClassVar[bool] = False
    """Whether to discard the jobs that the folder has."""

    _lock: ClassVar[ExitStack] = ExitStack()

    def on_run_start(self, config: DictConfig, **_: Any) -> None:  # noqa: ARG002
        """Called by Hydra before a single run."""
        if SweepManifest.fresh:
            sys.exit("--fresh is for sweeps; a single run always begins anew, unless ckpt_path says otherwise")

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Called by Hydra with the composed configuration of the sweep, in the process that starts it."""
        try:
            _check_launcher(config)
            self._begin(config)
        # Of a callback's exception Hydra makes a warning, and goes on.
        except InputError as error:
            sys.exit(str(error))
        except OSError as error:
            sys.exit(f"{error.filename or config.hydra.sweep.dir}: {error.strerror or error}")

    @classmethod
    def take(cls, folder: Path) -> None:
        """Keeps other processes out of the sweep's folder until `end`; with `--fresh` discards the jobs it has.

        Raises:
            InputError: another process uses it.
            OSError: it cannot be written.
        """
        advice = "wait until it has ended, or name another hydra.sweep.dir=..."
        cls._lock.enter_context(locked(folder, what="the sweep", advice=advice))
        if cls.fresh:
            _discard(folder)

    @classmethod
    def end(cls) -> None:
        """Lets other processes use the sweep's folder."""
        cls._lock.close()

    def _begin(self, config: DictConfig) -> None:
        if config.hydra.sweeper._target_ != GRID:
            return
        subfolder = cast(dict[str, Any], OmegaConf.to_container(config.hydra.sweep))["subdir"]
        if subfolder != JOB_FOLDER:
            raise InputError(
                f"hydra.sweep.subdir: expected {JOB_FOLDER}, because a sweep finds its jobs by their numbers, got "
                f"{subfolder}; leave it out"
            )
        folder = Path(config.hydra.sweep.dir)
        parameters = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
        choices = {"model": config.hydra.runtime.choices.model, "seed": str(config.seed)}
        jobs = expand([*parameters, *config.hydra.overrides.task], defaults=choices)
        try:
            configurations = [composed(config, job["overrides"], folder, number=job["number"]) for job in jobs]
        except HydraException:
            return  # Hydra composes the jobs too, before it starts the first, and says what is wrong.
        self.take(folder)
        for job, configuration in zip(jobs, configurations, strict=True):
            if configuration is not None:
                check_same_job(folder / str(job["number"]), configuration)
                job["config_hash"] = config_hash(configuration)
        states = Counter(read_job(folder / str(job["number"])).state for job in jobs)
        if states.keys() != {State.PENDING}:
            log.info("%s: of %d jobs %s", folder, len(jobs), ", ".join(f"{n} {state}" for state, n in states.items()))
        write_text(folder / SWEEP_FILE, json.dumps({"jobs": jobs}, indent=2) + "\n")
        SweepManifest.folder = folder
        share_between_jobs(config, jobs=len(jobs) - states[State.DONE])


def expand(overrides: Sequence[str], *, defaults: dict[str, str]) -> list[dict[str, Any]]:
    """The jobs of a grid, in the order and numbering of Hydra's basic sweeper.

    Args:
        overrides: as on the command line; a later one of the same key replaces an earlier one in its place.
        defaults: model and seed of jobs that name none.

    Returns:
        For each job its number, its name `model-seed` (followed by what else is swept), its variant (what else has
        several values and `is_variant`; empty for nothing) and its overrides.

    Example:
        >>> [job["name"] for job in expand(["model=a,b", "optim.lr=1,2"], defaults={"model": "a", "seed": "0"})]
        ['a-0-optim.lr=1', 'a-0-optim.lr=2', 'b-0-optim.lr=1', 'b-0-optim.lr=2']
    """
    axes: dict[str, list[str]] = {}
    swept: set[str] = set()
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        key = override.get_key_element()
        if override.is_sweep_override():
            swept.add(key)
            axes[key] = list(override.sweep_string_iterator())
        else:
            swept.discard(key)
            axes[key] = [override.get_value_element_as_str()]
    jobs = []
    for number, values in enumerate(itertools.product(*axes.values())):
        chosen = dict(zip(axes, values, strict=True))
        extras = [f"{key}={chosen[key]}" for key in axes if key in swept - set(defaults)]
        named = [chosen.get(key, default) for key, default in defaults.items()]
        jobs.append(
            {
                "number": number,
                "name": "-".join([*named, *extras]),
                "variant": " ".join(
                    f"{key}={chosen[key]}" for key in axes if len(axes[key]) > 1 and is_variant(f"{key}={chosen[key]}")
                ),
                "overrides": [f"{key}={value}" for key, value in chosen.items()],
            }
        )
    return jobs


def listed(folder: Path) -> Listed | None:
    """What a job's sweep lists it as; None for a single run, and for a search, each of whose trials is another one."""
    path = folder.parent / SWEEP_FILE
    if not path.is_file():
        return None
    try:
        jobs = json.loads(path.read_text(encoding="utf-8"))["jobs"]
        found = (job for job in jobs if str(job["number"]) == folder.name and "variant" in job)
        return next((Listed(str(job["name"]), str(job["variant"])) for job in found), None)
    except (OSError, ValueError, TypeError, KeyError) as error:
        log.warning("%s: not readable (%s: %s); W&B is told of no variant", path, type(error).__name__, error)
        return None


def _check_launcher(config: DictConfig) -> None:
    """Makes sure that the launcher is installed; of its absence Hydra says no more than that it knows no such class."""
    choice, target = config.hydra.runtime.choices["hydra/launcher"], config.hydra.launcher._target_
    try:
        importlib.import_module(target.rpartition(".")[0])
    except ModuleNotFoundError as error:
        raise InputError(
            f"hydra/launcher={choice} is not installed ({error}); pip install -e '.[{choice.partition('_')[0]}]' "
            "-c constraints.txt"
        ) from error


def share_between_jobs(config: DictConfig, *, jobs: int) -> None:
    """Gives each job that the launcher runs at the same time its share of this machine's cores, and says so.

    Args:
        config: of the sweep.
        jobs: how many are launched together.
    """
    at_once = _jobs_at_once(config, jobs)
    if at_once > 1:
        log.info("%d jobs at the same time, threads of each: %d", at_once, share_cores(at_once))


def _jobs_at_once(config: DictConfig, jobs: int) -> int:
    """How many jobs will share this machine; a job of a cluster has the cores that the cluster gives it."""
    match config.hydra.runtime.choices["hydra/launcher"]:
        case "joblib":
            n_jobs = int(config.hydra.launcher.n_jobs)  # -1 is all cores, -2 all but one, and so on.
            return min(jobs, n_jobs if n_jobs > 0 else max(1, cores() + 1 + n_jobs))
        case "submitit_local":
            return jobs
        case _:
            return 1


def composed(sweep: DictConfig, overrides: Sequence[str], folder: Path, *, number: int) -> dict[str, Any] | None:
    """A job's configuration, resolved; None if it cannot be, which the job will say itself when it starts.

    Args:
        sweep: the configuration that Hydra composed for the sweep.
        overrides: of the job.
        folder: of the sweep.
        number: of the job.

    Raises:
        HydraException: an override names no option or choice that there is.
    """
    job = GlobalHydra.instance().config_loader().load_sweep_config(sweep, list(overrides))
    kept = HydraConfig.instance().cfg
    with flag_override(job, ["struct", "readonly"], [False, False]):
        job.hydra.job.id = job.hydra.job.num = number
        job.hydra.runtime.output_dir = str((folder / str(number)).absolute())
        HydraConfig.instance().set_config(job)
        del job["hydra"]
    try:
        return cast(dict[str, Any], OmegaConf.to_container(job, resolve=True))
    except OmegaConfBaseException:
        return None
    finally:
        HydraConfig.instance().cfg = kept


def _discard(folder: Path) -> None:
    """Removes the jobs of an earlier sweep and says which."""
    jobs = [
        path
        for path in sorted(folder.iterdir())
        if path.name.isdecimal() and any((path / name).exists() for name in (*RUN_FILES, JOB_FILE, ".hydra"))
    ]
    for job in jobs:
        if by := holder(job):
            raise InputError(f"{job}: a job of the earlier sweep is still in use by {by}; end it first")
    for job in jobs:
        try:
            state = str(read_job(job).state)
        except InputError:
            state = "its note damaged"
        log.warning("--fresh discards %s (%s)", job, state)
        if job.is_symlink():
            job.unlink()
        else:
            shutil.rmtree(job)
