import json

from omegaconf import OmegaConf

from fetal_lm.sweep import SweepManifest, expand

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


def test_the_manifest_is_written_before_any_job(tmp_path, monkeypatch):
    monkeypatch.setattr(SweepManifest, "folder", None)
    config = OmegaConf.create(
        {
            "seed": 0,
            "hydra": {
                "sweep": {"dir": str(tmp_path / "sweep")},
                "sweeper": {"params": {"model": "a,b"}},
                "runtime": {"choices": {"model": "a"}},
                "overrides": {"task": ["trainer=smoke"]},
            },
        }
    )
    SweepManifest().on_multirun_start(config)
    jobs = json.loads((tmp_path / "sweep" / "sweep.json").read_text())["jobs"]
    assert [job["name"] for job in jobs] == ["a-0", "b-0"]
    assert SweepManifest.folder == tmp_path / "sweep"
