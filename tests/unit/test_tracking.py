import pytest
import wandb

from fetal_lm import tracking


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


def test_no_logger_needs_nothing():
    assert tracking.no_logger(run_folder=None, name="a") is None
    assert tracking.location(None) == "no tracking"
    tracking.finish(None, exit_code=1)
    tracking.log_summary(None, {"a": 1}, {})


def test_nested_configuration_becomes_columns():
    assert tracking.flatten({"a": {"b": {"c": 1}, "d": {}}, "e": [1]}) == {"a.b.c": 1, "a.d": {}, "e": [1]}


def test_without_a_network_a_login_is_tracked_offline(nobody, tmp_path, caplog):
    tried = []

    def init(*, mode, **_):
        tried.append(mode)
        if mode == "online":
            raise wandb.errors.CommError("no network")
        return real_init(mode="disabled")

    real_init = wandb.init
    nobody.setattr("wandb.login", lambda **_: True)
    nobody.setattr("wandb.init", init)
    logger = tracking.wandb_logger(project="p", run_folder=tmp_path, name="n", group="g", config={"seed": 0})
    tracking.finish(logger, exit_code=0)
    assert tried == ["online", "offline"]
    assert "wandb sync" in caplog.text


def test_online_without_a_login_is_offline_instead_of_a_question(nobody):
    nobody.setenv("WANDB_MODE", "online")
    nobody.setattr("wandb.login", lambda **_: False)
    assert tracking.wandb_mode() == "offline"
