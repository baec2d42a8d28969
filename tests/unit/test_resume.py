import pytest

from fetal_lm.errors import InputError
from fetal_lm.resume import check_same_configuration

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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, "seed was 0 and is 1"),
        ({"loss": {"swap_invariant": False}}, "loss.swap_invariant was True and is False"),
        ({"data": {**CONFIG["data"], "fold": 0}}, "data.fold was 1 and is 0"),
        ({"optim": {"lr": 1.0}}, "optim.lr was not there and is 1.0"),
    ],
)
def test_what_the_result_depends_on_may_not(path, change, message):
    with pytest.raises(InputError, match=message):
        check_same_configuration(path, {**CONFIG, **change})


def test_a_damaged_file_is_an_error(path):
    path.write_text("seed: [")
    with pytest.raises(InputError, match="the configuration that the run wrote"):
        check_same_configuration(path, CONFIG)
