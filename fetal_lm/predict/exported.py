"""What an exported file says about itself, so that the one file is enough: the properties of its ONNX model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from fetal_lm.geometry import FITS, Fit, Size
from fetal_lm.landmarks import NAMES

IMAGE: Final = "image"
POINTS: Final = "points"
CONFIDENCE: Final = "confidence"

_LANDMARKS: Final = len(NAMES)
_INPUTS: Final = {IMAGE: ("tensor(uint8)", (None, None, None))}
_OUTPUTS: Final = {POINTS: ("tensor(float)", (None, _LANDMARKS, 2)), CONFIDENCE: ("tensor(float)", (None, _LANDMARKS))}
"""Types and shapes by name; None is an axis of any length."""

_MARK: Final = "fetal_lm head landmarks"
_VERSION: Final = "1"
_DESCRIPTION: Final = {
    IMAGE: "input, uint8 [batch, height, width]: grey, 0 to 255, of any size, which the graph scales as OpenCV does",
    POINTS: f"output, float32 [batch, 4, 2]: (x, y) of {', '.join(NAMES)} in pixels of the image, centres on integers; "
    "NaN where none was found",
    CONFIDENCE: "output, float32 [batch, 4]: of each landmark, 0 to 1; below low_confidence it is not to be trusted",
    "spacing": "not in the file: multiply lengths by the image's millimetres per pixel",
    "precision": "float32",
}
"""For whoever runs the file without this package."""


@dataclass(frozen=True)
class About:
    """What a file says.

    Attributes:
        hypothesis: its label, for example H1.
        model: the name of its configuration.
        size_net: height and width of the images that the network looks at.
        fit: how images come to that size.
        low_confidence: below it a landmark is not to be trusted.
        decoding: how the points come out of the heatmaps, in words.
        weights_sha256: of the checkpoint that the weights come from.
        config_sha256: of the run's config.yaml.
        split_digest: of the images that it was trained, selected and tested on, as in the run's row.json.
        fetal_lm: version of the package that wrote the file.
    """

    hypothesis: str
    model: str
    size_net: Size
    fit: Fit
    low_confidence: float
    decoding: str
    weights_sha256: str
    config_sha256: str
    split_digest: str
    fetal_lm: str

    def properties(self) -> dict[str, str]:
        """Names and texts to store."""
        own = {name: value if isinstance(value, str) else json.dumps(value) for name, value in vars(self).items()}
        return {"format": _MARK, "format_version": _VERSION, **own, **_DESCRIPTION}


def about_of(properties: Mapping[str, str]) -> About:
    """Reads what `About.properties` stored.

    Raises:
        ValueError: it is not from this package, or not whole; the message says what is wrong and what to do.
    """
    if properties.get("format") != _MARK:
        raise ValueError("it is a model of something else; give a file that `fetal-lm export` wrote")
    if properties.get("format_version") != _VERSION:
        raise ValueError(
            f"it is in format {properties.get('format_version')} and this version of fetal_lm reads {_VERSION}; "
            "export the run again"
        )
    if properties.get("fit") not in FITS:
        raise ValueError(
            f"it fits images by {properties.get('fit')!r}, not by {' or '.join(FITS)}; export the run again"
        )
    values: dict[str, Any] = {name: properties[name] for name in About.__annotations__ if name in properties}
    try:
        height, width = json.loads(values["size_net"])
        values["size_net"] = int(height), int(width)
        values["low_confidence"] = float(values["low_confidence"])
        return About(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"what it says about itself is damaged ({error!r}); export the run again") from error


@runtime_checkable
class Value(Protocol):
    """What goes into a graph or comes out, as onnxruntime describes it; an axis of any length has a name or None."""

    name: str
    type: str
    shape: Sequence[int | str | None]


def check_graph(inputs: Sequence[Value], outputs: Sequence[Value]) -> None:
    """Makes sure that a graph is what its file says: properties can be copied from another.

    Raises:
        ValueError: something else goes in or comes out; the message says what and what to do.
    """
    for kind, values, expected in (("takes", inputs, _INPUTS), ("gives", outputs, _OUTPUTS)):
        found = {value.name: value for value in values}
        if found.keys() != expected.keys() or not all(_is(found[name], *expected[name]) for name in expected):
            wanted = ", ".join(_described(name, *of) for name, of in expected.items())
            got = ", ".join(_described(value.name, value.type, value.shape) for value in values)
            raise ValueError(f"its graph {kind} {got or 'nothing'}, not {wanted}; export the run again")


def _is(value: Value, kind: str, shape: Sequence[int | None]) -> bool:
    # Of an axis of any length, no number.
    lengths = [length if isinstance(length, int) else None for length in value.shape]
    return value.type == kind and lengths == list(shape)


def _described(name: str, kind: str, shape: Sequence[int | str | None]) -> str:
    return f"{name} {kind} [{', '.join('any' if isinstance(one, str | None) else str(one) for one in shape)}]"
