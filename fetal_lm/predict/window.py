"""The window of a DICOM: which of the numbers that are stored are black and white when the image is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Integer, UInt8
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut

from fetal_lm.predict.elements import value_of

_MODALITY: Final = ("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept")
_VOI: Final = ("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction")
# Where the functional groups of one frame, or of all, have them.
_GROUPED: Final = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
_LEAST_SHOWN: Final = 0.1
"""Share of a frame's pixels between its own darkest and brightest that a window must show neither black nor white."""


def windowed(frame: Integer[np.ndarray, "H W"], header: Dataset, number: int) -> UInt8[np.ndarray, "H W"] | None:
    """A grey frame as its file says that it is to be shown (PS3.3 C.11.1 and C.11.2), by the first if it says several.

    Args:
        frame: as it is stored.
        header: of the file.
        number: of the frame, from 0.

    Returns:
        0 to 255, not yet inverted if it is MONOCHROME1; None where the file gives no window, or a damaged one, or one
        that blanks nearly all of the frame and so is of other pixels than these.
    """
    view = _view(header, number)
    if not any(name in view for name in ("VOILUTSequence", "WindowWidth")):
        return None
    try:
        values = np.asarray(apply_modality_lut(frame, view))
        shown = _looked_up(values, view)
        shown = _scaled(values, view) if shown is None else shown
    except Exception:  # Which one depends on the damage. A window that cannot be read is none.
        return None
    if shown is None:
        return None
    grey = np.rint(255 * shown).astype(np.uint8)
    if grey.min() == grey.max():
        # There is nothing to see in a frame of one grey. Of another, nothing is left.
        return grey if frame.min() == frame.max() else None
    between = grey[(values > values.min()) & (values < values.max())]
    return grey if ((between > 0) & (between < 255)).sum() >= _LEAST_SHOWN * between.size else None


def _view(header: Dataset, number: int) -> Dataset:
    """What of a header concerns one frame; its own goes before that of all."""
    view = Dataset()
    view.file_meta = header.file_meta
    for source in (header, *_groups(header, number)):
        for keyword in (*_MODALITY, *_VOI):
            value = value_of(source, keyword)
            if value not in (None, "", []):
                setattr(view, keyword, value)
    return view


def _groups(header: Dataset, number: int) -> Iterator[Dataset]:
    shared = value_of(header, "SharedFunctionalGroupsSequence") or ()
    of_frames = value_of(header, "PerFrameFunctionalGroupsSequence") or ()
    for group in (*shared[:1], *of_frames[number : number + 1]):
        for name in _GROUPED:
            yield from (value_of(group, name) or ())[:1]


def _looked_up(values: np.ndarray, view: Dataset) -> Float[np.ndarray, "H W"] | None:
    """Through the table, if there is one; pydicom's own takes the index for 8 bits where the entries have them."""
    item = next(iter(value_of(view, "VOILUTSequence") or ()), Dataset())
    descriptor, content = (value_of(item, name) for name in ("LUTDescriptor", "LUTData"))
    if descriptor is None or len(descriptor) != 3 or not content:
        return None
    entries, first, bits = map(int, descriptor)
    entries = entries or 2**16
    if isinstance(content, bytes):
        wide = "<u2" if view.file_meta.TransferSyntaxUID.is_little_endian else ">u2"
        content = np.frombuffer(content[: 2 * entries], wide if len(content) >= 2 * entries else np.uint8)
    table = np.atleast_1d(np.asarray(content, np.float64)) / max(2**bits - 1, 1)
    index = np.clip(np.rint(values) - first, 0, min(entries, table.size) - 1).astype(np.int64)
    return np.asarray(table[index].clip(0, 1))


def _scaled(values: np.ndarray, view: Dataset) -> Float[np.ndarray, "H W"] | None:
    centre, width = (_first(value_of(view, name)) for name in ("WindowCenter", "WindowWidth"))
    function = str(value_of(view, "VOILUTFunction") or "LINEAR")
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    # Of what is no number this holds neither.
    if not (width > 0 and np.isfinite(centre)):
        return None
    values = (values.astype(np.float64) - centre) / width
    if function == "SIGMOID":
        return np.asarray(1 / (1 + np.exp(-4 * values.clip(-100, 100))))
    return np.asarray((values + 0.5).clip(0, 1))


def _first(value: Any) -> float:
    """The first of one or more numbers; NaN where there is none."""
    try:
        return float(next(iter(np.atleast_1d(value))))
    except (TypeError, ValueError, StopIteration):
        return float("nan")
