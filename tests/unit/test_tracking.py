import numpy as np
import pytest
import wandb

from fetal_lm import tracking
from fetal_lm.data.records import Record
from fetal_lm.report.predictions import prediction_table

HEAD = np.array([[100.0, 100.0], [300.0, 100.0], [200.0, 50.0], [200.0, 150.0]])

OPTIONS = {
    "project": "p",
    "name": "n",
    "group": "g",
    "model": "m",
    "config": {"seed": 0},
    "overlays": 1,
    "models": True,
    "init_timeout_s": 1.0,
    "finish_timeout_s": 1.0,
}
TABLE = prediction_table([Record("a.png", "a", (200, 400), HEAD, 0.5)], {"heatmap": HEAD[None] + 1.0})


def read(_: str) -> np.ndarray:
    return np.zeros((200, 400), np.uint8)


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """A user who never logged in to W&B."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return monkeypatch


@pytest.mark.parametrize(("has_key", "mode"), [(False, "offline"), (True, "online")])
def test_without_a_login_runs_are_offline(nobody, has_key, mode):
    asked = {}

    def login(**options):
        asked.update(options)
        return has_key

    nobody.setattr("wandb.login", login)
    assert tracking.wandb_mode() == mode
    assert asked == {"prompt": False, "verify": False}


def test_the_environment_decides_when_it_says_so(nobody):
    nobody.setattr("wandb.login", lambda **_: pytest.fail("asked although WANDB_MODE is set"))
    nobody.setenv("WANDB_MODE", "disabled")
    assert tracking.wandb_mode() == "disabled"


def test_no_logger_needs_nothing(tmp_path, make_row):
    assert tracking.no_logger(run_folder=None, name="a") is None
    assert tracking.location(None) == "no tracking"
    tracking.finish(None, exit_code=1)
    tracking.log_final(None, make_row(TABLE), TABLE, tmp_path, read)


def test_nested_configuration_becomes_columns():
    assert tracking.flatten({"a": {"b": {"c": 1}, "d": {}}, "e": [1]}) == {"a.b.c": 1, "a.d": {}, "e": [1]}


@pytest.mark.parametrize("error", [wandb.errors.CommError, wandb.errors.AuthenticationError, wandb.errors.UsageError])
def test_without_a_network_or_with_a_wrong_key_a_training_is_tracked_offline(nobody, tmp_path, caplog, error):
    tried = []

    def init(*, mode, settings, **_):
        tried.append(mode)
        assert (settings.init_timeout, settings.finish_timeout) == (1, 1)
        if mode == "online":
            raise error("no network")
        return real_init(mode="disabled")

    real_init = wandb.init
    nobody.setattr("wandb.login", lambda **_: True)
    nobody.setattr("wandb.init", init)
    logger = tracking.wandb_logger(run_folder=tmp_path, **OPTIONS)
    tracking.finish(logger, exit_code=0)
    assert tried == ["online", "offline"]
    assert "fetal-lm sync" in caplog.text


def test_an_online_run_counts_as_unsent_until_it_has_ended_well(nobody, tmp_path):
    run = tmp_path / "wandb" / "run-1"
    (run / "files").mkdir(parents=True)

    class Online:
        dir, offline = str(run / "files"), False

        def define_metric(self, *_, **__):
            pass

        def finish(self, **_):
            assert (run / "unsent.txt").is_file()

    nobody.setattr("wandb.login", lambda **_: True)
    nobody.setattr("wandb.init", lambda **_: Online())
    logger = tracking.wandb_logger(run_folder=tmp_path, **OPTIONS)
    nobody.setattr(type(logger), "experiment", Online())
    assert (run / "unsent.txt").is_file()
    tracking.finish(logger, exit_code=0)
    assert not (run / "unsent.txt").exists()


def test_a_wandb_that_dies_stops_no_training_and_is_told_once(nobody, tmp_path, caplog):
    nobody.setenv("WANDB_MODE", "disabled")
    logger = tracking.wandb_logger(run_folder=tmp_path, **OPTIONS)

    class Dead:
        def log(self, _):
            raise ConnectionResetError("gone")

    nobody.setattr(type(logger), "experiment", Dead())
    logger.log_metrics({"a": 1.0}, step=1)
    logger.log_metrics({"a": 2.0}, step=2)
    assert caplog.text.count("W&B takes no more figures of this run (gone)") == 1


def test_a_malformed_key_is_tracked_offline(nobody, caplog):
    def login(**_):
        raise wandb.errors.AuthenticationError("a key has 40 characters")

    nobody.setattr("wandb.login", login)
    assert tracking.wandb_mode() == "offline"
    assert "40 characters" in caplog.text


def test_a_slow_or_failing_wandb_is_a_warning_at_the_end(nobody, tmp_path, caplog, make_row):
    nobody.setenv("WANDB_MODE", "disabled")
    logger = tracking.wandb_logger(run_folder=tmp_path, **OPTIONS)
    run = tmp_path / "wandb" / "run-1"
    (run / "files").mkdir(parents=True)

    class Slow:
        dir = str(run / "files")

        def finish(self, **_):
            raise TimeoutError("Timed out finishing run.")

        def log(self, _):
            raise wandb.errors.CommError("gone")

    def results(run, *_, **__):
        run.log({})

    nobody.setattr(type(logger), "experiment", Slow())
    nobody.setattr(tracking, "log_results", results)
    tracking.log_final(logger, make_row(TABLE), TABLE, tmp_path, read)
    tracking.finish(logger, exit_code=0)
    assert "W&B lacks results of this run (gone)" in caplog.text
    assert (run / "unsent.txt").is_file()
    assert "fetal-lm sync" in caplog.text


def test_online_without_a_login_is_offline_instead_of_a_question(nobody):
    nobody.setenv("WANDB_MODE", "online")
    nobody.setattr("wandb.login", lambda **_: False)
    assert tracking.wandb_mode() == "offline"


def test_long_names_fit_and_stay_apart():
    kinds = [f"outline_hourglass model.network.growth=1.5 model.network.channels={channels}" for channels in (24, 32)]
    short = [tracking.shortened(kind, tracking.LONGEST_JOB_TYPE) for kind in kinds]
    assert all(len(kind) > tracking.LONGEST_JOB_TYPE >= len(cut) for kind, cut in zip(kinds, short, strict=True))
    assert short[0] != short[1]
    assert all(cut.startswith("outline_hourglass model.network.growth=1.5") for cut in short)
