import json

import pytest

from fetal_lm.errors import InputError
from fetal_lm.incidental import INCIDENTAL, is_incidental
from fetal_lm.resume import check_same_configuration, check_same_job, config_hash

CONFIG = {
    "seed": 0,
    "epochs": 4,
    "data": {"name": "hc18", "root": "here", "source": {"root": "here", "only": None}, "workers": 0, "fold": 1},
    "loss": {"swap_invariant": True},
    "trainer": {"max_epochs": 4},
}


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text(
        "seed: 0\nepochs: 2\ndata: {name: hc18, root: there, source: {root: there, only: null}, workers: 2, fold: 1}\n"
        "loss: {swap_invariant: true}\ntrainer: {max_epochs: 2}\n"
    )
    return file


def test_place_machine_and_length_may_change(path, tmp_path):
    check_same_configuration(path, CONFIG)
    check_same_configuration(tmp_path / "none.yaml", CONFIG)
    # Options that there were none of when the run began, and are not used.
    check_same_configuration(path, CONFIG | {"init_from": None, "test_rotations": None})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"loss": {"swap_invariant": False}}, "loss.swap_invariant was True and is False"),
        ({"data": {**CONFIG["data"], "fold": 0}}, "data.fold was 1 and is 0"),
        ({"optim": {"lr": 1.0}}, "optim.lr was not there and is 1.0"),
        ({"init_from": "a.ckpt"}, "init_from was not there and is a.ckpt"),
        ({"test_rotations": [10]}, r"test_rotations was not there and is \[10\]"),
        ({"callbacks": {"ema": {"decay": 0.9}}}, "callbacks.ema.decay was not there and is 0.9"),
    ],
)
def test_what_the_result_depends_on_may_not(path, change, message):
    with pytest.raises(InputError, match=message):
        check_same_configuration(path, {**CONFIG, **change})


def test_a_schedule_as_long_as_the_run_fixes_the_length(path):
    one_cycle = {"optim": {"schedule": {"_target_": "fetal_lm.hypotheses.schedules.one_cycle"}}}
    path.write_text(path.read_text() + "optim: {schedule: {_target_: fetal_lm.hypotheses.schedules.one_cycle}}\n")
    with pytest.raises(InputError, match=r"epochs was 2 and is 4; trainer\.max_epochs was 2 and is 4"):
        check_same_configuration(path, CONFIG | one_cycle)


def test_files_that_lie_in_the_data_may_have_moved_with_it(path):
    path.write_text(path.read_text().replace("only: null", "only: there/a.csv"))
    moved = {**CONFIG["data"], "source": {"root": "here", "only": "here/a.csv"}}
    check_same_configuration(path, CONFIG | {"data": moved})
    path.write_text(path.read_text().replace("there", "."))
    check_same_configuration(path, CONFIG | {"data": moved})
    moved["source"]["only"] = "here/b.csv"
    with pytest.raises(InputError, match=r"data\.source\.only"):
        check_same_configuration(path, CONFIG | {"data": moved})


def test_a_damaged_file_is_an_error(path):
    path.write_text("seed: [")
    with pytest.raises(InputError, match="the configuration that the run wrote"):
        check_same_configuration(path, CONFIG)


@pytest.fixture
def job(path, tmp_path):
    """The folder of a sweep's job with a result of the same options as CONFIG but for place, machine and length."""
    (tmp_path / "row.json").write_text("{}")
    return tmp_path


def test_in_a_sweep_the_length_is_part_of_the_job(job):
    with pytest.raises(InputError, match=r"epochs was 2 and is 4; trainer\.max_epochs was 2 and is 4") as refused:
        check_same_job(job, CONFIG)
    for way in ("the options that it had", "hydra.sweep.dir=", "--fresh"):
        assert way in str(refused.value)
    check_same_job(job, CONFIG | {"epochs": 2, "trainer": {"max_epochs": 2, "enable_progress_bar": False}})


def test_a_result_of_unknown_options_is_refused_unless_the_note_knows_them(job):
    (job / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"config\.yaml is missing.*row\.json"):
        check_same_job(job, CONFIG)
    note = {"state": "done", "sittings": 1, "config_hash": config_hash(CONFIG)}
    (job / "job.json").write_text(json.dumps(note))
    check_same_job(job, CONFIG)
    with pytest.raises(InputError, match="is missing"):
        check_same_job(job, CONFIG | {"seed": 1})
    (job / "row.json").unlink()
    check_same_job(job, CONFIG | {"seed": 1})


def test_a_sweep_goes_on_with_whatever_the_report_makes_no_variant_of(job):
    keys = [key + "x" if key[-1] in "._" else key for key in INCIDENTAL]
    assert len(keys) > 10
    with (job / "config.yaml").open("a") as file:
        file.write("callbacks: {history: {path: there}}\n")
    for key in keys:
        options = {"epochs": 2, "trainer": {"max_epochs": 2}, "data": dict(CONFIG["data"]), "callbacks": {}}
        inner = options
        *parents, last = key.split(".")
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = "other"
        check_same_job(job, CONFIG | options)
        assert is_incidental(f"{key}=other")
    assert not is_incidental("epochs=2")


def test_the_hash_is_of_what_the_row_depends_on():
    same = CONFIG | {"paths": {"output": "x"}, "data": {**CONFIG["data"], "root": "moved", "workers": 4}}
    assert config_hash(same) == config_hash(CONFIG)
    for change in (
        {"seed": 1},
        {"epochs": 5},
        {"trainer": {"max_epochs": 5}},
        {"callbacks": {"stop": {"patience": 1}}},
    ):
        assert config_hash(CONFIG | change) != config_hash(CONFIG)
