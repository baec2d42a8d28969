"""How a DICOM says that its numbers are shown."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian

from fetal_lm.predict.window import windowed

GREY = np.random.default_rng(0).integers(0, 256, (54, 80), dtype=np.uint8)
DEEP = GREY.astype(np.uint16) * 16


def header(syntax=ExplicitVRLittleEndian, **fields):
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.BitsStored, dataset.PixelRepresentation = 16, 0
    for name, value in fields.items():
        setattr(dataset, name, value)
    return dataset


def table(values, *, entries, bits):
    item = Dataset()
    item.LUTDescriptor = [entries, 0, bits]
    item.add_new("LUTData", "OW" if isinstance(values, bytes) else "US", values)
    return [item]


def off(grey, expected=GREY):
    return int(np.abs(grey.astype(int) - expected).max())


def test_a_window_of_8_bits_that_hides_nothing_changes_nothing():
    np.testing.assert_array_equal(windowed(GREY, header(WindowCenter=128, WindowWidth=256), 0), GREY)
    assert windowed(GREY, header(), 0) is None


def test_ends_of_a_window_are_those_of_the_standard():
    """By hand, PS3.3 C.11.2.1.2.1: black up to 99.5 - 199 / 2 = 0, white from 199.5, and 2 of 199 between."""
    frame = np.array([[0, 2, 50, 199, 200, 300]], np.uint16)
    grey = windowed(frame, header(WindowCenter=100, WindowWidth=200), 0)
    assert grey.tolist() == [[0, 3, 64, 255, 255, 255]]
    exact = windowed(frame, header(WindowCenter=100, WindowWidth=200, VOILUTFunction="LINEAR_EXACT"), 0)
    assert exact.tolist() == [[0, 3, 64, 254, 255, 255]]
    sigmoid = windowed(frame, header(WindowCenter=100, WindowWidth=200, VOILUTFunction="SIGMOID"), 0)
    assert sigmoid.tolist() == [[30, 31, 69, 224, 225, 250]]


@pytest.mark.parametrize(
    "fields",
    [
        {"WindowCenter": 2048, "WindowWidth": 4096},
        {"WindowCenter": [2048, 1000], "WindowWidth": [4096, 50]},
        {"WindowCenter": 2047.5, "WindowWidth": 4095, "VOILUTFunction": "LINEAR_EXACT"},
        {"WindowCenter": 128, "WindowWidth": 256, "RescaleSlope": 0.0625, "RescaleIntercept": 0},
        {"WindowCenter": 28, "WindowWidth": 256, "RescaleSlope": 0.0625, "RescaleIntercept": -100},
        {"VOILUTSequence": table(list(range(4096)), entries=4096, bits=12)},
        {"VOILUTSequence": table(np.arange(4096, dtype="<u2").tobytes(), entries=4096, bits=12)},
        {
            "VOILUTSequence": table(np.arange(4096, dtype=">u2").tobytes(), entries=4096, bits=12),
            "syntax": ExplicitVRBigEndian,
        },
        {"VOILUTSequence": table((np.arange(4096) // 16).astype(np.uint8).tobytes(), entries=4096, bits=8)},
        {"VOILUTSequence": [], "WindowCenter": 2048, "WindowWidth": 4096},
    ],
)
def test_12_bits_in_16_are_shown_as_the_file_says(fields):
    assert off(windowed(DEEP, header(**fields), 0)) <= 1


def test_numbers_beyond_a_table_are_its_ends():
    frame = np.array([[0, 9, 10, 11, 12, 500]], np.uint16)
    tables = table([5, 100, 200], entries=3, bits=8)
    tables[0].LUTDescriptor = [3, 10, 8]
    assert windowed(frame, header(VOILUTSequence=tables), 0).tolist() == [[5, 5, 5, 100, 200, 200]]


@pytest.mark.parametrize(
    ("centre", "width"), [(2048, 1), (2048, 0), (2048, -5), (30000, 400), (-30000, 400), (2048, 2), (None, 4096)]
)
def test_a_window_that_blanks_the_image_is_not_used(centre, width):
    assert windowed(DEEP, header(WindowCenter=centre, WindowWidth=width), 0) is None


def test_black_around_the_picture_and_a_black_frame_are_no_reason_against_a_window():
    mostly_black, fields = np.zeros((400, 400), np.uint16), {"WindowCenter": 2048, "WindowWidth": 4096}
    mostly_black[:54, :80] = DEEP
    assert off(windowed(mostly_black, header(**fields), 0)[:54, :80]) <= 1
    assert not windowed(np.zeros_like(DEEP), header(**fields), 0).any()
    # As MONOCHROME1 has it.
    assert off(windowed(4095 - mostly_black, header(**fields), 0)[:54, :80], 255 - GREY) <= 1


def group(centre):
    window, pixels, both = Dataset(), Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = centre, 256
    pixels.RescaleSlope, pixels.RescaleIntercept = 0.0625, 0
    both.FrameVOILUTSequence, both.PixelValueTransformationSequence = [window], [pixels]
    return both


def test_a_frame_has_its_own_window_before_that_of_all():
    shared = header(SharedFunctionalGroupsSequence=[group(128)], WindowCenter=9, WindowWidth=9)
    assert off(windowed(DEEP, shared, 1)) <= 1
    shared.PerFrameFunctionalGroupsSequence = [group(128), group(228)]
    assert off(windowed(DEEP, shared, 0)) <= 1
    assert off(windowed(DEEP, shared, 1), GREY.clip(100, 255) - 100) <= 1


@pytest.mark.parametrize(
    "fields",
    [
        {"RescaleSlope": ["1", "1"], "RescaleIntercept": 0},
        {"RescaleSlope": 1, "RescaleIntercept": [0, 0]},
        {"ModalityLUTSequence": [Dataset()]},
        {"VOILUTSequence": table([0, 1], entries=2, bits=60000)},
        # Everything the same grey, and below a frame of two greys that are both black.
        {"RescaleSlope": 0, "RescaleIntercept": 0},
    ],
)
def test_a_damaged_window_is_none(fields):
    assert windowed(GREY, header(WindowCenter=128, WindowWidth=256, **fields), 0) is None
    assert windowed(GREY // 128 * 200, header(WindowCenter=1000, WindowWidth=10), 0) is None
