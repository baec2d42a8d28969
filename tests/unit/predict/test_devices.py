"""DICOM as devices write it: the ultrasound images that pydicom brings along."""

import numpy as np
import pytest
from PIL import Image
from pydicom import examples
from pydicom.pixels import pixel_array

from fetal_lm.predict.frames import frames_of

PHILIPS, SONOSITE, GE, GE_JPEG2000 = "palette_color", "ybr_color", "rgb_color", "jpeg2k"


def frames(name):
    return list(frames_of(examples.get_path(name)))


@pytest.mark.parametrize(
    ("name", "count", "size"), [(SONOSITE, 30, (240, 320)), (GE, 1, (240, 320)), (GE_JPEG2000, 1, (480, 640))]
)
def test_every_frame_comes_out_as_grey_as_pillow_makes_it(name, count, size):
    found = frames(name)
    assert [frame.image.shape for frame in found] == [size] * count
    colours = pixel_array(examples.get_path(name)).reshape(count, *size, 3)
    for frame, colour in zip(found, colours, strict=True):
        grey = np.asarray(Image.fromarray(colour).convert("L"))
        assert np.abs(frame.image.astype(int) - grey).max() <= 1
        assert np.ptp(frame.image) > 100


def test_a_palette_is_looked_up():
    (frame,) = frames(PHILIPS)
    assert frame.image.shape == (350, 800)
    assert np.ptp(frame.image) > 100


@pytest.mark.parametrize("name", [PHILIPS, SONOSITE])
def test_regions_that_reach_beyond_the_image_give_no_spacing(name):
    # The first was cut from 600 rows to 350, where the spacing would still hold; the second was scaled from 640 columns
    # to 320, where it would be half of the true one. Neither says so.
    for frame in frames(name):
        assert not frame.calibration.whole.known
        assert frame.calibration.regions == ()
