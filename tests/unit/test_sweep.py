import json
import os
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.errors import ConfigCompositionException
from omegaconf import OmegaConf

from fetal_lm.lock import locked
from fetal_lm.sweep import Listed, SweepManifest, expand
from fetal_lm.sweep import listed as listed_as

CONF = Path(__file__).parents[2] / "conf"

DEFAULTS = {"model": "h1", "seed": "0"}


def test_jobs_are_numbered_as_hydra_numbers_them():
    jobs = expand(["seed=0,1", "model=a,b", "trainer=smoke"], defaults=DEFAULTS)
    assert [(job["number"], job["name"]) for job in jobs] == [(0, "a-0"), (1, "b-0"), (2, "a-1"), (3, "b-1")]
    assert jobs[1]["overrides"] == ["seed=0", "model=b", "trainer=smoke"]


def test_the_command_line_replaces_what_an_experiment_sweeps():
    jobs = expand(["seed=0,1,2", "model=a,b", "seed=7"], defaults=DEFAULTS)
    assert [job["name"] for job in jobs] == ["a-7", "b-7"]


def test_ranges_and_other_swept_keys():
    jobs = expand(["optim.lr=choice(1e-3,2e-3)", "data.fold=range(2)"], defaults=DEFAULTS)
    assert [job["name"] for job in jobs] == [
        "h1-0-optim.lr=0.001-data.fold=0",
        "h1-0-optim.lr=0.001-data.fold=1",
        "h1-0-optim.lr=0.002-data.fold=0",
        "h1-0-optim.lr=0.002-data.fold=1",
    ]


def test_a_variant_is_what_changes_results_and_is_neither_seed_nor_fold(tmp_path):
    swept = ["model=a,b", "seed=0,1", "optim.lr=1e-3,2e-3", "data.fold=range(2)", "data.workers=0,2", "epochs=4"]
    jobs = expand(swept, defaults=DEFAULTS)
    assert {job["variant"] for job in jobs} == {"optim.lr=0.001", "optim.lr=0.002"}
    plain = ["model=a,b", "++seed=0,1", "++data.fold=0,1", "logger.project=a,b", "loss=choice(mse)", "epochs=4"]
    assert {job["variant"] for job in expand(plain, defaults=DEFAULTS)} == {""}
    (tmp_path / "sweep.json").write_text(json.dumps({"jobs": jobs}))
    assert listed_as(tmp_path / "17") == Listed(jobs[17]["name"], jobs[17]["variant"])
    assert jobs[17]["name"] == "b-0-optim.lr=0.001-data.fold=0-data.workers=2"
    assert listed_as(tmp_path / "999") is None
    (tmp_path / "sweep.json").write_text(json.dumps({"jobs": [{"number": 0, "name": "trial-0"}]}))
    assert listed_as(tmp_path / "0") is None
    assert listed_as(tmp_path / "elsewhere" / "0") is None


@pytest.mark.parametrize("content", ['{"jobs": [{"num', "[]", "{}", '{"jobs": [{"number": 0, "variant": ""}]}'])
def test_a_damaged_list_costs_a_variant_and_no_training(tmp_path, caplog, content):
    (tmp_path / "sweep.json").write_text(content)
    assert listed_as(tmp_path / "0") is None
    assert "W&B is told of no variant" in caplog.text


@pytest.fixture
def begin(monkeypatch):
    """A function that does what Hydra does at the start of a sweep over the three models."""
    monkeypatch.setattr(SweepManifest, "folder", None)

    def start(folder, *overrides, fresh=False):
        monkeypatch.setattr(SweepManifest, "fresh", fresh)
        options = ["experiment=three_models", f"hydra.sweep.dir={folder}", *overrides]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            SweepManifest().on_multirun_start(compose("config", options, return_hydra_config=True))

    yield start
    SweepManifest.end()


def listed(folder):
    return json.loads((folder / "sweep.json").read_text())["jobs"]


def test_the_manifest_is_written_before_any_job(begin, tmp_path):
    begin(tmp_path / "sweep", "trainer=smoke")
    jobs = listed(tmp_path / "sweep")
    assert [job["name"] for job in jobs] == ["single_hourglass-0", "hybrid_hourglass-0", "stacked_hourglass-0"]
    assert jobs[1]["overrides"][:2] == ["seed=0", "model=hybrid_hourglass"]
    assert len({job["config_hash"] for job in jobs}) == 3
    assert SweepManifest.folder == tmp_path / "sweep"
    SweepManifest.end()
    begin(tmp_path / "sweep", "trainer=smoke", "paths.output=elsewhere", "data.workers=2")
    assert [job["config_hash"] for job in listed(tmp_path / "sweep")] == [job["config_hash"] for job in jobs]


def test_jobs_lie_in_folders_of_their_numbers(begin, tmp_path):
    with pytest.raises(SystemExit, match=r"hydra\.sweep\.subdir: expected"):
        begin(tmp_path / "sweep", "trainer=smoke", "hydra.sweep.subdir=seed-${seed}")
    assert not (tmp_path / "sweep").exists()


def test_an_option_that_is_not_set_is_left_for_the_job_to_say(begin, tmp_path):
    begin(tmp_path, "data=hc18")
    jobs = listed(tmp_path)
    assert len(jobs) == 9
    assert not any("config_hash" in job for job in jobs)


def test_a_sweep_that_hydra_will_refuse_leaves_the_folder_alone(begin, tmp_path):
    with pytest.raises(ConfigCompositionException):
        begin(tmp_path, "trainer.max_epoch=3")
    begin(tmp_path, "hydra.sweeper.params.model='single_hourglass,unet'")
    assert list(tmp_path.iterdir()) == []
    assert SweepManifest.folder is None


def test_the_second_sweep_into_a_folder_is_refused(begin, tmp_path):
    begin(tmp_path)
    before = (tmp_path / "sweep.json").read_bytes()
    with pytest.raises(SystemExit, match=r"the sweep is in use by this process.*another hydra\.sweep\.dir"):
        begin(tmp_path, "trainer=smoke")
    assert (tmp_path / "sweep.json").read_bytes() == before


def test_jobs_of_other_options_are_refused_before_anything_is_touched(begin, tmp_path):
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "config.yaml").write_text("seed: 5\n")
    with pytest.raises(
        SystemExit, match=r"1/config\.yaml: the job in this folder has other options.*seed was 5 and is 0"
    ):
        begin(tmp_path)
    assert not (tmp_path / "sweep.json").exists()
    assert SweepManifest.folder is None


def test_fresh_discards_the_jobs_and_says_which(begin, tmp_path, caplog):
    for name in ("0", "7", "report", "8"):
        (tmp_path / name).mkdir()
    (tmp_path / "0" / "config.yaml").write_text("seed: 5\n")
    (tmp_path / "7" / "row.json").write_text("{}")
    (tmp_path / "8" / "letter.txt").write_text("no run of ours")
    with (
        locked(tmp_path / "7", what="the job", advice=""),
        pytest.raises(SystemExit, match=r"7: a job .* in use by this"),
    ):
        begin(tmp_path, fresh=True)
    assert (tmp_path / "0").exists()
    SweepManifest.end()
    begin(tmp_path, fresh=True)
    assert f"discards {tmp_path / '0'} (killed)" in caplog.text
    assert f"discards {tmp_path / '7'} (done)" in caplog.text
    assert {path.name for path in tmp_path.iterdir()} == {"report", "8", "sweep.json", ".lock"}


@pytest.mark.parametrize(
    ("launcher", "asked", "threads"),
    [
        (["hydra/launcher=joblib"], None, 4),  # Three jobs, no more than there are.
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], "64", 6),
        (["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], "1", 1),
        (["hydra/launcher=submitit_local"], None, 4),
        (["hydra/launcher=submitit_slurm"], None, None),
        ([], None, None),
    ],
)
def test_jobs_at_the_same_time_share_the_cores(begin, tmp_path, monkeypatch, launcher, asked, threads):
    monkeypatch.setattr("fetal_lm.threads.cores", lambda: 12)
    monkeypatch.setattr("fetal_lm.sweep.cores", lambda: 12)
    # Set first, so that the test takes back whatever the sweep sets.
    monkeypatch.setenv("OMP_NUM_THREADS", asked or "")
    if asked is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    begin(tmp_path, *launcher)
    assert os.environ.get("OMP_NUM_THREADS") == (None if threads is None else str(threads))


def test_a_launcher_that_is_not_installed_is_named_with_its_remedy(begin, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("hydra_plugins.hydra_submitit_launcher")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "hydra_plugins.hydra_submitit_launcher", None)
    with pytest.raises(SystemExit, match=r"hydra/launcher=submitit_slurm is not installed.*'\.\[submitit\]'"):
        begin(tmp_path, "hydra/launcher=submitit_slurm")
    assert list(tmp_path.iterdir()) == []


def test_fresh_is_for_sweeps(monkeypatch):
    monkeypatch.setattr(SweepManifest, "fresh", True)
    with pytest.raises(SystemExit, match="--fresh is for sweeps"):
        SweepManifest().on_run_start(OmegaConf.create())
