"""Which engine opens a model, and what is said where none can."""

import sys

import pytest

from fetal_lm.errors import InputError
from fetal_lm.predict.engine import open_engine
from fetal_lm.predict.exported import About, about_of
from fetal_lm.predict.released import released

ABOUT = About(
    hypothesis="H1",
    model="single_hourglass",
    size_net=(64, 96),
    fit="letterbox",
    low_confidence=0.3,
    decoding="map by map",
    weights_sha256="a",
    config_sha256="b",
    split_digest="c",
    fetal_lm="0.1.0",
)


@pytest.fixture
def onnx():
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    return pytest.importorskip("onnx", reason="onnx is not installed")


def write_model(onnx, path, properties):
    """The smallest model: what goes in comes out."""
    values = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in "xy"]
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", values[:1], values[1:])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    onnx.helper.set_model_props(model, properties)
    path.write_bytes(model.SerializeToString())
    return path


def test_a_file_says_what_it_is():
    properties = ABOUT.properties()
    assert about_of(properties) == ABOUT
    assert all(isinstance(value, str) for value in properties.values())
    assert about_of({**properties, "from_somebody": "else"}) == ABOUT


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("format", "yolo", "something else"),
        ("format_version", "0", "reads 1; export the run again"),
        ("size_net", "[64]", "damaged"),
        ("low_confidence", "", "damaged"),
        ("fit", "crop", "'crop', not by squash or letterbox"),
        ("hypothesis", None, "damaged"),
    ],
)
def test_what_is_missing_or_wrong_in_it_is_said(name, value, message):
    properties = {**ABOUT.properties(), name: value}
    with pytest.raises(ValueError, match=message):
        about_of({key: text for key, text in properties.items() if text is not None})


def test_a_model_and_an_engine_that_do_not_fit_are_refused(tmp_path):
    for model, engine, message in (
        (tmp_path / "model.onnx", "torch", "engine torch needs the folder"),
        (tmp_path, "onnx", f"fetal-lm export {tmp_path} --output model.onnx"),
        (tmp_path / "best.ckpt", "onnx", "got a run"),
        (tmp_path / "weights.safetensors", "onnx", "got a run"),
        (tmp_path, "tensorrt", "expected one of torch, onnx, got 'tensorrt'"),
    ):
        with pytest.raises(InputError, match=message):
            open_engine(model, engine)


def test_a_package_without_weights_says_how_to_get_some(tmp_path):
    with pytest.raises(InputError, match="a model is needed: train one"):
        released(None, tmp_path)


def test_a_file_that_is_no_model_of_ours_is_refused(tmp_path, onnx):
    (tmp_path / "text.onnx").write_text("no model")
    (tmp_path / "empty.onnx").write_bytes(b"")
    for name in ("text.onnx", "empty.onnx"):
        with pytest.raises(InputError, match=rf"{name}: expected an ONNX model .* onnxruntime cannot load it"):
            open_engine(tmp_path / name)
    with pytest.raises(InputError, match=r"absent\.onnx: cannot be read"):
        open_engine(tmp_path / "absent.onnx")
    with pytest.raises(InputError, match=r"theirs\.onnx: .* it is a model of something else"):
        open_engine(write_model(onnx, tmp_path / "theirs.onnx", {"format": "yolo"}))
    opened = open_engine(write_model(onnx, tmp_path / "ours.onnx", ABOUT.properties()))
    assert (opened.size_net, opened.fit, opened.low_confidence) == ((64, 96), "letterbox", 0.3)
    # Whatever it is called, where the engine is named.
    assert open_engine(write_model(onnx, tmp_path / "ours.bin", ABOUT.properties()), "onnx").fit == "letterbox"


def test_a_missing_package_is_said(tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_text("no model")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="pip install onnxruntime"):
        open_engine(tmp_path / "model.onnx")
