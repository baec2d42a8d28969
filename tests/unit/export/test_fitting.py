"""The graph's own resize against OpenCV's."""

import numpy as np
import pytest
import torch

from fetal_lm import geometry
from fetal_lm.export.fitting import axes, fitted

SIZE_NET = (48, 80)
SHRINKING = [(540, 800), (96, 160), (144, 240), (192, 320), (144, 320), (49, 81), (61, 407)]
EXACT = [(48, 80), (48, 70), (30, 80), (30, 50), (24, 40), (1, 5), (47, 300), (300, 79)]


@pytest.mark.parametrize("fit", ["squash", "letterbox"])
@pytest.mark.parametrize("size_orig", SHRINKING + EXACT, ids=str)
def test_images_come_out_as_opencv_makes_them(fit, size_orig):
    images = np.random.default_rng(0).integers(0, 256, (2, *size_orig), dtype=np.uint8)
    expected = np.stack([geometry.fit_image(image, SIZE_NET, fit) for image in images]).astype(float)
    found = fitted(torch.from_numpy(images), *axes(size_orig, SIZE_NET, fit)).double().numpy()
    different = found - expected
    # A mean on a half may be rounded to either side.
    assert np.abs(different).max() <= 1
    assert (different != 0).mean() <= (0.002 if size_orig in SHRINKING else 0)


@pytest.mark.parametrize("fit", ["squash", "letterbox"])
@pytest.mark.parametrize("size_orig", SHRINKING + EXACT, ids=str)
def test_points_go_back_as_geometry_moves_them(fit, size_orig):
    points_net = np.random.default_rng(0).uniform(-5, 85, (6, 2))
    expected = geometry.apply(geometry.inverse(geometry.FITS[fit](size_orig, SIZE_NET)), points_net)
    rows, columns = axes(size_orig, SIZE_NET, fit)
    x, y = torch.from_numpy(points_net).unbind(1)
    np.testing.assert_allclose(columns.to_orig(x), expected[:, 0], atol=1e-9)
    np.testing.assert_allclose(rows.to_orig(y), expected[:, 1], atol=1e-9)
