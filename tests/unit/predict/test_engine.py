"""Which engine opens a model, and what is said where none can."""

import sys

import numpy as np
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


ONES = {"points": ("FLOAT", ["batch", 4, 2]), "confidence": ("FLOAT", ["batch", 4])}
GREYS = ("UINT8", ["batch", "height", "width"])


def write_model(onnx, path, properties, *, image=GREYS, outputs=ONES, name="image"):
    """The smallest model: it finds the same everywhere, in as many images as there are."""
    make, types = onnx.helper, onnx.TensorProto
    nodes = [make.make_node("Shape", [name], ["batch"], start=0, end=1)]
    values = []
    for output, (kind, shape) in outputs.items():
        one = make.make_tensor("one", getattr(types, kind), [1], [1])
        lengths = [length for length in shape if isinstance(length, int)]
        nodes += [
            make.make_node("Constant", [], [f"{output}.lengths"], value_ints=lengths),
            make.make_node("Concat", ["batch", f"{output}.lengths"], [f"{output}.shape"], axis=0),
            make.make_node("ConstantOfShape", [f"{output}.shape"], [output], value=one),
        ]
        values.append(make.make_tensor_value_info(output, getattr(types, kind), shape))
    given = make.make_tensor_value_info(name, getattr(types, image[0]), image[1])
    graph = make.make_graph(nodes, "g", [given], values)
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 20)], ir_version=9)
    make.set_model_props(model, properties)
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
    found = opened.find(np.zeros((3, 64, 96), np.uint8))
    assert (found.points.shape, found.confidence.shape) == ((3, 4, 2), (3, 4))
    # Whatever it is called, where the engine is named.
    assert open_engine(write_model(onnx, tmp_path / "ours.bin", ABOUT.properties()), "onnx").fit == "letterbox"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "pixels"}, r"takes pixels tensor\(uint8\) \[any, any, any\], not image tensor\(uint8\)"),
        ({"image": ("FLOAT", ["batch", "height", "width"])}, r"takes image tensor\(float\)"),
        ({"image": ("UINT8", ["batch", "height"])}, r"\[any, any\], not image"),
        ({"image": ("UINT8", [1, 64, 96])}, r"\[1, 64, 96\], not image .*\[any, any, any\]"),
        ({"outputs": {"points": ONES["points"]}}, r"gives points .*, not points .*, confidence"),
        ({"outputs": {**ONES, "more": ONES["confidence"]}}, r"more tensor\(float\) .*, not points"),
        ({"outputs": {**ONES, "points": ("FLOAT", ["batch", 2, 2])}}, r"\[any, 2, 2\]"),
        ({"outputs": {**ONES, "points": ("FLOAT", ["batch", 8])}}, r"\[any, 8\]"),
        ({"outputs": {**ONES, "confidence": ("INT64", ["batch", 4])}}, r"confidence tensor\(int64\)"),
    ],
)
def test_another_graph_under_our_properties_is_refused(tmp_path, onnx, changes, message):
    path = write_model(onnx, tmp_path / "theirs.onnx", ABOUT.properties(), **changes)
    with pytest.raises(InputError, match=rf"theirs\.onnx: expected a model .* its graph .*{message}.*export the run"):
        open_engine(path)


def test_a_missing_package_is_said(tmp_path, monkeypatch):
    (tmp_path / "model.onnx").write_text("no model")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match="pip install onnxruntime"):
        open_engine(tmp_path / "model.onnx")
