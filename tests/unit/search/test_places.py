"""The trials of a search in its folder, with trainings that take no time: kills, failures, damage, other searches."""

import json

import optuna
import pytest

from fetal_lm.errors import InputError
from fetal_lm.lock import locked
from fetal_lm.report.search import JOURNAL
from fetal_lm.search.space import parse_space
from fetal_lm.search.study import NAME, storage
from fetal_lm.search.sweeper import Places

from .conftest import Killed

RANGES = ("optim.optimizer.lr=tag(log,interval(1e-3,1e-1))", "model.network.channels=range(8,65,8)")


@pytest.fixture
def search(training):
    """A function that starts a search, or goes on with one."""

    def run(trials=4, *, ranges=RANGES, at_once=1, known=None, monitor="val/mre_px", epochs=16):
        training.folder.mkdir(exist_ok=True)
        places = Places(
            training.folder, parse_space(ranges), monitor=monitor, seed=0, compose=lambda *_: {"epochs": epochs}
        )
        places.search(lambda jobs, _: training(jobs), trials=trials, at_once=at_once, known=known)

    return run


def study(folder):
    return optuna.load_study(study_name=NAME, storage=storage(folder / JOURNAL))


def states(folder):
    return [trial.state.name for trial in study(folder).trials]


def manifest(folder):
    return json.loads((folder / "sweep.json").read_text())


def tried(folder):
    return [job["parameters"] for job in manifest(folder)["jobs"]]


def test_the_known_is_tried_first_and_the_best_is_found_near_the_lowest(search, training):
    known = {"optim.optimizer.lr": 3e-3, "model.network.channels": 32}
    search(14, ranges=(*RANGES, "seed=5"), known=known)
    jobs = manifest(training.folder)["jobs"]
    assert jobs[0]["parameters"] == known
    assert [job["state"] for job in jobs] == ["done"] * 14
    about = manifest(training.folder)["search"]
    values = [job["value"] for job in jobs]
    assert about["best"] == values.index(min(values))
    assert about["trials"] == 14
    assert 0.005 < jobs[about["best"]]["parameters"]["optim.optimizer.lr"] < 0.015
    # The width changes the sixth digit.
    assert about["importances"]["optim.optimizer.lr"] > 0.5
    assert "seed=5" in jobs[3]["overrides"]
    assert training.launched == [[str(place)] for place in range(14)]
    assert study(training.folder).best_value == min(values)


def test_pruned_failed_and_done_are_told_apart_and_a_second_start_tries_again_what_failed(search, training):
    training.happens = {1: "failed", 2: "pruned"}
    search(4)
    assert [job["state"] for job in manifest(training.folder)["jobs"]] == ["done", "failed", "pruned", "done"]
    assert states(training.folder) == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
    before = tried(training.folder)
    training.launched = []
    search(5)
    assert training.launched == [["1"], ["4"]]
    assert [job["state"] for job in manifest(training.folder)["jobs"]] == ["done", "done", "pruned", "done", "done"]
    assert states(training.folder) == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert tried(training.folder)[:4] == before
    search(5)
    assert len(training.launched) == 2


@pytest.mark.parametrize("how", ["killed", "killed before it noted anything", "killed after its end"])
def test_a_killed_search_goes_on_as_one_that_nobody_disturbed(search, training, tmp_path, how):
    search(8)
    undisturbed, training.folder = training.folder, tmp_path / "killed"
    training.happens = {6: how}
    with pytest.raises(Killed):
        search(8)
    assert states(training.folder)[-1] == "RUNNING"
    # Nor does a lock that the kill left in the way of the journal cost half a minute.
    (training.folder / "study.journal.lock").touch()
    training.launched = []
    search(8)
    again = [] if how == "killed after its end" else [["6"]]
    assert training.launched == [*again, ["7"]]
    assert tried(training.folder) == tried(undisturbed)
    expected = ["COMPLETE"] * 6 + (["FAIL"] if again else []) + ["COMPLETE"] * 2
    assert states(training.folder) == expected


def test_a_kill_while_a_trial_is_asked_for_leaves_no_place_without_parameters(search, training):
    search(2)
    one = study(training.folder)
    one.ask()
    one.enqueue_trial({"optim.optimizer.lr": 0.03}, user_attrs={"place": 2})
    search(3)
    assert states(training.folder) == ["COMPLETE", "COMPLETE", "FAIL", "FAIL", "COMPLETE"]
    assert len(tried(training.folder)) == 3


def test_trials_asked_for_at_once_are_launched_together_and_differ(search, training):
    search(7, at_once=3)
    assert training.launched == [["0", "1", "2"], ["3", "4", "5"], ["6"]]
    assert len({tuple(parameters.values()) for parameters in tried(training.folder)}) == 7


def test_a_retry_knows_what_was_reported_before(search, training):
    training.reports = True
    training.happens = {1: "killed"}
    with pytest.raises(Killed):
        search(2)
    training.reports = False
    search(2)
    _, killed, resumed = study(training.folder).trials
    assert killed.user_attrs == resumed.user_attrs == {"place": 1}
    assert killed.params == resumed.params
    assert list(killed.intermediate_values) == [0, 1]
    assert killed.intermediate_values == resumed.intermediate_values


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"ranges": (RANGES[0], "model.network.channels=range(8,33,8)")},
            r"another one: model\.network\.channels was 8 to 64 in steps of 8 and is 8 to 32 in steps of 8\..*--fresh",
        ),
        (
            {"ranges": (RANGES[0], "model.network.channels=8")},
            r"model\.network\.channels was 8 to 64 in steps of 8 and is not searched",
        ),
        ({"ranges": (*RANGES, "loss=mse,cross_entropy")}, "loss was not searched and is one of mse, cross_entropy"),
        ({"monitor": "val/loss"}, "monitor was val/mre_px and is val/loss"),
        ({"epochs": 3}, r"0/config\.yaml: the job in this folder has other options: epochs was 16 and is 3"),
    ],
)
def test_another_search_in_the_folder_is_refused_and_says_what_differs(search, training, change, message):
    search(1)
    before = {path: path.read_bytes() for path in training.folder.glob("s*")}
    with pytest.raises(InputError, match=message):
        search(1, **change)
    assert {path: path.read_bytes() for path in training.folder.glob("s*")} == before


def test_a_study_that_maximises_is_refused(search, training):
    training.folder.mkdir()
    optuna.create_study(storage=storage(training.folder / JOURNAL), study_name=NAME, direction="maximize")
    with pytest.raises(InputError, match="its study maximises"):
        search()


def test_a_half_written_line_is_left_out_and_the_search_goes_on(search, training, caplog):
    search(2)
    with (training.folder / JOURNAL).open("a") as handle:
        handle.write('{"op_code":6,"worker')
    search(3)
    assert "its last line was cut short" in caplog.text
    assert states(training.folder) == ["COMPLETE"] * 3


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{no json}\n", "line 2 is not JSON"),
        ("\0\0\n", "line 2 is not JSON"),
        ('{"a": 1}\n', "expected the journal of a study"),
    ],
)
def test_a_damaged_journal_is_refused(search, training, line, message):
    search(1)
    journal = training.folder / JOURNAL
    first, *rest = journal.read_text().splitlines(keepends=True)
    journal.write_text("".join([first, line, *rest]))
    with pytest.raises(InputError, match=rf"study\.journal: {message}.*--fresh"):
        search(1)


def test_trials_whose_journal_is_lost_are_refused(search, training):
    search(2)
    (training.folder / JOURNAL).unlink()
    with pytest.raises(InputError, match=r"0: a trial that study\.journal beside it does not know.*--fresh"):
        search(2)
    assert not (training.folder / JOURNAL).exists()


def test_fewer_trials_than_there_are_keep_them_all(search, training):
    search(3)
    search(1)
    assert len(training.launched) == 3
    assert manifest(training.folder)["search"]["trials"] == 3


def test_a_trial_that_still_runs_keeps_the_search_out(search, training):
    search(1)
    with (
        locked(training.folder / "0", what="the job", advice=""),
        pytest.raises(InputError, match="0: the trial is in use by this process; wait"),
    ):
        search()


def test_a_trial_without_a_finite_monitor_is_no_result(search, training):
    training.happens = {1: "nothing finite"}
    search(2)
    assert [job["value"] is None for job in manifest(training.folder)["jobs"]] == [False, True]
    assert manifest(training.folder)["search"]["best"] == 0
    assert states(training.folder) == ["COMPLETE", "FAIL"]
