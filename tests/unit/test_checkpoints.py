import pickle

import pytest
import torch

from fetal_lm import checkpoints
from fetal_lm.errors import InputError

IDENTITY = {"model": "single_hourglass", "split_digest": "abc", "before": ""}


class Bomb:
    """Unpickling it would run code."""

    def __reduce__(self):
        return (pytest.fail, ("code in a checkpoint was run",))


def save(path, **content):
    torch.save({"state_dict": {"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, **content}, path)
    return path


def test_last_is_looked_for_in_the_run_folder(tmp_path):
    with pytest.raises(InputError, match=r"last\.ckpt.*hydra\.run\.dir"):
        checkpoints.resolve("last", tmp_path)
    (tmp_path / "checkpoints").mkdir()
    path = save(tmp_path / "checkpoints" / "last.ckpt")
    assert checkpoints.resolve("last", tmp_path) == path
    assert checkpoints.resolve(str(path), tmp_path / "elsewhere") == path
    assert checkpoints.resolve(None, tmp_path) is None


def test_a_fitting_checkpoint_is_accepted(tmp_path):
    path = save(tmp_path / "a.ckpt", fetal_lm=IDENTITY)
    checkpoints.check(path, IDENTITY)
    model = torch.nn.Linear(2, 1)
    checkpoints.load_weights(model, path)
    assert model.weight.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        ({"fetal_lm": {**IDENTITY, "model": "stacked_hourglass"}}, "stacked_hourglass.*single_hourglass"),
        ({"fetal_lm": {**IDENTITY, "split_digest": "other"}}, "another split"),
        ({"fetal_lm": {**IDENTITY, "before": "some"}}, "began with other weights"),
        ({}, "unknown"),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, stored, message):
    with pytest.raises(InputError, match=message):
        checkpoints.check(save(tmp_path / "a.ckpt", **stored), IDENTITY)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a checkpoint",
        b"PK\x03\x04 cut",
        pickle.dumps({"state_dict": Bomb()}, protocol=2),
        pickle.dumps([1, 2], protocol=2),
    ],
    ids=["empty", "text", "cut", "code", "list"],
)
def test_a_file_that_is_no_checkpoint_is_refused_and_never_run(tmp_path, content):
    path = tmp_path / "a.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.ckpt"):
        checkpoints.read(path)


def test_code_inside_a_real_archive_is_never_run(tmp_path):
    path = save(tmp_path / "a.ckpt", extra=Bomb())
    with pytest.raises(InputError, match=r"a\.ckpt"):
        checkpoints.read(path)


def test_weights_of_another_architecture_are_refused(tmp_path):
    with pytest.raises(InputError, match="do not fit"):
        checkpoints.load_weights(torch.nn.Linear(3, 1), save(tmp_path / "a.ckpt"))


def test_weights_that_do_not_fit_are_named_and_change_nothing(tmp_path):
    path = tmp_path / "a.ckpt"
    names = [f"old.{number}" for number in range(5)]
    torch.save({"state_dict": {"weight": torch.ones(1, 2), **dict.fromkeys(names, torch.zeros(1))}}, path)
    model = torch.nn.Linear(3, 1)
    before = model.weight.clone()
    with pytest.raises(InputError) as refused:
        checkpoints.load_weights(model, path)
    message = str(refused.value)
    assert "1 missing (bias)" in message
    assert "5 unexpected (old.0, old.1, old.2, ...)" in message
    assert "1 of another shape (weight 1x2, here 1x3)" in message
    assert torch.equal(model.weight, before)


def test_a_run_goes_on_only_from_whole_checkpoints(tmp_path, caplog):
    assert checkpoints.unfinished(tmp_path) is None
    (tmp_path / "checkpoints").mkdir()
    last = save(tmp_path / "checkpoints" / "last.ckpt")
    assert checkpoints.unfinished(tmp_path) is None
    assert "best.ckpt" in caplog.text
    save(tmp_path / "checkpoints" / "best.ckpt")
    assert checkpoints.unfinished(tmp_path) == last
    last.write_bytes(b"PK\x03\x04 cut")
    assert checkpoints.unfinished(tmp_path) is None
    assert "begins anew" in caplog.text


def test_half_precision_is_for_the_largest_matrices(tmp_path):
    weights = {
        "first": torch.full((1, 9), 1 / 3),
        "largest": torch.full((9, 10), 1 / 3),
        "norm": torch.full((1,), 1 / 3),
    }
    path = tmp_path / "a.ckpt"
    torch.save({"state_dict": weights, "fetal_lm": IDENTITY}, path)
    packed = tmp_path / "weights.safetensors"
    packed.write_bytes(checkpoints.pack(path, half=True))
    stored = checkpoints.read(packed)["state_dict"]
    assert {name: value.dtype for name, value in stored.items()} == {
        "first": torch.float32, "largest": torch.float16, "norm": torch.float32
    }  # fmt: skip
    packed.write_bytes(checkpoints.pack(path))
    assert all(torch.equal(value, weights[name]) for name, value in checkpoints.read(packed)["state_dict"].items())
