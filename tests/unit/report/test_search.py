"""A search in the report: the best by validation, its row alone, and what the other trials were."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from matplotlib import image as mpl_image
from rich.console import Console

from fetal_lm.job import Pruned, sitting
from fetal_lm.report.command import report_sweep
from fetal_lm.report.search import read_search
from fetal_lm.report.sweep import read_sweep

from .conftest import MakeRun

SPACE = {"optim.optimizer.lr": "0.0005 to 0.02, logarithmic", "model": "one of a, b"}
IMPORTANCES = {"optim.optimizer.lr": 0.75, "model": 0.25}


@pytest.fixture
def searched(tmp_path: Path, make_run: MakeRun) -> Path:
    """Three trials of four: the second is best by validation and worst by test, the third was pruned while it led."""
    folder = tmp_path / "search"
    jobs: list[dict[str, Any]] = []
    for number, (lowest, shift, lr) in enumerate([(5.0, 1.0, 1e-3), (4.0, 9.0, 3e-3), (2.0, 5.0, 1e-2)]):
        overrides = [f"optim.optimizer.lr={lr}", f"search.trial={number}"]
        run = make_run(folder / str(number), (shift, shift), overrides=overrides)
        history = {"epoch": [0, 1, 2], "train/loss": 1.0, "val/mre_px": [9.0, lowest, lowest + 1]}
        pd.DataFrame(history).to_csv(run / "history.csv", index=False)
        jobs.append({"number": number, "name": f"trial-{number}", "overrides": overrides})
        jobs[-1]["parameters"] = {"optim.optimizer.lr": lr, "model": "a"}
    for name in ("row.json", "predictions.csv"):
        (folder / "2" / name).unlink()
    with sitting(folder / "2", config_hash="0"):
        raise Pruned("behind")
    about = {"monitor": "val/mre_px", "trials": 4, "space": SPACE, "importances": IMPORTANCES, "best": 0}
    (folder / "sweep.json").write_text(json.dumps({"jobs": jobs, "search": about}))
    return folder


def test_validation_chooses_whatever_the_test_figures_are(searched: Path) -> None:
    sweep = read_sweep(searched)
    assert sweep.search is not None
    assert [(trial.state, trial.value) for trial in sweep.search.trials] == [
        ("done", 5.0),
        ("done", 4.0),
        ("pruned", 2.0),
    ]
    assert sweep.search.best is sweep.search.trials[1]
    assert sweep.search.best.options == ["optim.optimizer.lr=0.003", "model=a"]
    assert [run.name for run in sweep.runs] == ["trial-1"]
    (problem,) = sweep.problems
    assert problem.reason.startswith("1 of 4 trials were not started")
    assert f"hydra.sweep.dir={searched}" in problem.reason


def test_the_report_shows_the_trials_and_the_best_ones_row(searched: Path, tmp_path: Path) -> None:
    stream = io.StringIO()
    assert report_sweep(searched, console=Console(file=stream), html=tmp_path / "page.html") == 1
    text = stream.getvalue()
    assert "3 of 4 trials: 2 done, 1 pruned" in text
    assert "Best by val/mre_px: trial 1, 4.00" in text
    assert "Its options: optim.optimizer.lr=0.003 model=a" in text
    trials = pd.read_csv(searched / "report" / "trials.csv")
    assert list(trials["best"]) == [False, True, False]
    assert list(trials["val/mre_px"]) == [5.0, 4.0, 2.0]
    page = (searched / "report" / "comparison.md").read_text()
    assert "| **1** | done | **4.00** | 3 | 0.003 | a |" in page
    assert "| 2 | pruned | 2.00 | 3 | 0.01 | a |" in page
    assert "| optim.optimizer.lr | 0.0005 to 0.02, logarithmic | 75.0 |" in page
    assert list(pd.read_csv(searched / "report" / "comparison.csv")["mean_px"]) == [pytest.approx(9.0 * 256 / 400)]
    picture = mpl_image.imread(searched / "report" / "search.png")
    assert len({tuple(colour) for colour in picture[::7, ::7].reshape(-1, picture.shape[2])}) > 3
    html = (tmp_path / "page.html").read_text()
    assert '<td class="best">4.00</td>' in html
    assert "<td>pruned</td>" in html


def test_a_search_without_a_finished_trial_says_so(searched: Path) -> None:
    for number in "01":
        (searched / number / "row.json").unlink()
    stream = io.StringIO()
    assert report_sweep(searched, console=Console(file=stream)) == 1
    assert "No run of" in stream.getvalue()
    assert "Best by" not in stream.getvalue()
    sweep = read_sweep(searched)
    assert {problem.name for problem in sweep.problems} == {"trial-0", "trial-1", "search"}


def test_a_damaged_list_of_trials_is_a_problem_and_no_end(searched: Path) -> None:
    content = json.loads((searched / "sweep.json").read_text())
    del content["search"]["space"]
    (searched / "sweep.json").write_text(json.dumps(content))
    assert "sweep.json" in {problem.name for problem in read_sweep(searched).problems}
    assert read_search(searched, {"jobs": []}) is None


@pytest.mark.parametrize(
    ("content", "has_journal", "names_trials"),
    [
        (None, True, True),
        (None, True, False),
        (None, False, True),
        ("{", True, False),
        ("{", False, True),
        ('{"jobs": [{"number": 0}]}', True, True),
    ],
)
def test_without_its_list_a_search_is_not_ranked_by_test_figures(
    searched: Path, content: str | None, has_journal: bool, names_trials: bool
) -> None:
    if has_journal:
        (searched / "study.journal").write_text("{}\n")
    if not names_trials:
        for number in "01":
            path = searched / number / "row.json"
            path.write_text(path.read_text().replace("search.trial=", "seed="))
    path = searched / "sweep.json"
    path.unlink() if content is None else path.write_text(content)
    sweep = read_sweep(searched)
    assert sweep.runs == ()
    named = [problem.reason for problem in sweep.problems if problem.name == "sweep.json"]
    how = "is missing" if content is None else "says nothing of a search"
    assert f"{path} {how}, and this is the folder of one: its 2 tested trials are not shown" in named[-1]
    assert f"hydra.sweep.dir={searched}" in named[-1]
    assert len(named) == 1 + (content == "{")
    (third,) = (problem.reason for problem in sweep.problems if problem.name == "2")
    assert third.startswith("the search stopped this trial early")


def test_the_report_of_a_search_without_its_list_has_no_test_figure(searched: Path) -> None:
    (searched / "study.journal").write_text("{}\n")
    (searched / "sweep.json").unlink()
    stream = io.StringIO()
    assert report_sweep(searched, console=Console(file=stream)) == 1
    assert "MISSING: sweep.json" in stream.getvalue()
    assert {path.name for path in (searched / "report").iterdir()} == {"comparison.md"}
    text = (searched / "report" / "comparison.md").read_text()
    assert "its 2 tested trials are not shown" in text
    for shown in (text, stream.getvalue()):
        assert "finished that can be compared" in shown
        assert "single\\_hourglass" not in shown
        assert "single_hourglass" not in shown


def test_one_trial_alone_is_shown(searched: Path) -> None:
    (run,) = read_sweep(searched / "0").runs
    assert not read_sweep(searched / "0").problems
    assert run.row.overrides[-1] == "search.trial=0"


def test_a_damaged_note_is_of_its_own_trial(searched: Path) -> None:
    (searched / "1" / "job.json").write_text("{")
    sweep = read_sweep(searched)
    assert sweep.search is not None
    assert [str(trial.state) for trial in sweep.search.trials] == ["done", "failed", "pruned"]
    assert "expected what a sweep notes" in str(sweep.search.trials[1].error)
