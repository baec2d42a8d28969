import albumentations as A  # noqa: N812
import numpy as np
import pytest

from fetal_lm import geometry, landmarks
from fetal_lm.data.transforms import AspectAffine, Augmentation, HorizontalFlipHead, VerticalFlipHead

SIZE_ORIG, SIZE_NET = (540, 800), (192, 256)
TO_NET = geometry.squash(SIZE_ORIG, SIZE_NET)
ASPECT = float(TO_NET[1, 1] / TO_NET[0, 0])


def head(degrees=15.0, centre=(400.0, 270.0), half_axes=(170.0, 130.0)):
    """Axis ends of an ellipse in original pixels, in canonical order."""
    turn = np.radians(degrees)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    ends = [-along * half_axes[0], along * half_axes[0], -across * half_axes[1], across * half_axes[1]]
    return landmarks.canonical_order(np.array(centre) + np.array(ends))


POINTS_NET = geometry.apply(TO_NET, head())


def dots(points_net):
    """An image of four dots, each of its own size."""
    rows, columns = np.mgrid[: SIZE_NET[0], : SIZE_NET[1]]
    image = np.zeros(SIZE_NET)
    for (x, y), width in zip(points_net, (2.0, 3.0, 4.0, 5.0), strict=True):
        image += np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * width**2))
    return np.uint8(255 * image.clip(0, 1))


def centres(image, near, radius=12):
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    found = []
    for x, y in near:
        weight = np.where((columns - x) ** 2 + (rows - y) ** 2 < radius**2, image.astype(float), 0)
        found.append([(weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()])
    return np.array(found)


AFFINE = AspectAffine(rotate=(-30, 30), scale=(0.8, 1.1), keep_ratio=True, translate_percent=(-0.05, 0.05), p=1.0)


@pytest.mark.parametrize("seed", range(8))
def test_landmarks_move_with_the_image(seed):
    augmentation = Augmentation([AFFINE, HorizontalFlipHead(p=0.5), VerticalFlipHead(p=0.5)])
    image, points_net = augmentation(dots(POINTS_NET), POINTS_NET, aspect=ASPECT, seed=seed)
    assert np.abs(centres(image, points_net) - points_net).max() < 0.15


@pytest.mark.parametrize("seed", range(8))
def test_a_turned_head_is_the_same_head(seed):
    _, points_net = Augmentation([AFFINE])(dots(POINTS_NET), POINTS_NET, aspect=ASPECT, seed=seed)
    moved = geometry.apply(geometry.inverse(TO_NET), points_net)
    before, after = (p[1] - p[0] for p in (head(), moved)), (p[3] - p[2] for p in (head(), moved))
    ofd = [np.linalg.norm(v) for v in before]
    bpd = [np.linalg.norm(v) for v in after]
    assert ofd[1] / ofd[0] == pytest.approx(bpd[1] / bpd[0], rel=1e-4)
    assert abs(np.dot(moved[1] - moved[0], moved[3] - moved[2])) < 1e-3 * ofd[1] * bpd[1]


def test_turning_the_squashed_image_instead_misplaces_the_axis_ends():
    """Why AspectAffine exists: ten degrees in a square frame move the labels off the axis ends by several pixels."""
    square = geometry.squash(SIZE_ORIG, (256, 256))
    plain = A.Affine(rotate=(10, 10), p=1.0)
    points_net = geometry.apply(square, head(0.0))
    drawn = A.Compose([plain], keypoint_params=A.KeypointParams(format="xy", remove_invisible=False))(
        image=np.zeros((256, 256), np.uint8), keypoints=points_net
    )["keypoints"]
    moved_orig = geometry.apply(geometry.inverse(square), np.asarray(drawn))
    # The sheared head is an ellipse with these conjugate half axes; its true axis ends come from their singular values.
    centre = moved_orig.mean(0)
    conjugate = np.stack([moved_orig[1] - centre, moved_orig[3] - centre], axis=1)
    directions, lengths, _ = np.linalg.svd(conjugate)
    ends = centre + np.array([s * lengths[k] * directions[:, k] for k in (0, 1) for s in (-1, 1)])
    label_noise = landmarks.matched_order(
        geometry.apply(square, landmarks.canonical_order(moved_orig)),
        geometry.apply(square, landmarks.canonical_order(ends)),
    ) - geometry.apply(square, landmarks.canonical_order(ends))
    assert np.linalg.norm(label_noise, axis=-1).mean() > 4


@pytest.mark.parametrize(
    ("flip", "axis"), [(HorizontalFlipHead(p=1.0), 1), (VerticalFlipHead(p=1.0), 0)], ids=["horizontal", "vertical"]
)
def test_a_flip_renames_so_that_the_order_stays_canonical(flip, axis):
    augmentation = Augmentation([flip])
    image, points_net = augmentation(dots(POINTS_NET), POINTS_NET, aspect=ASPECT, seed=0)
    np.testing.assert_array_equal(image, np.flip(dots(POINTS_NET), axis))
    np.testing.assert_allclose(points_net, landmarks.canonical_order(points_net))
    _, twice = augmentation(image, points_net, aspect=ASPECT, seed=0)
    np.testing.assert_allclose(twice, POINTS_NET, atol=1e-4)


def test_a_draw_is_a_function_of_its_seed():
    augmentation = Augmentation([AFFINE])
    first, again, other = (
        augmentation(dots(POINTS_NET), POINTS_NET, aspect=ASPECT, seed=seed)[1] for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1


def test_two_flips_are_drawn_independently():
    augmentation = Augmentation([HorizontalFlipHead(p=0.5), VerticalFlipHead(p=0.5)])
    outcomes = set()
    for seed in range(40):
        image, _ = augmentation(dots(POINTS_NET), POINTS_NET, aspect=ASPECT, seed=seed)
        outcomes.add(image.tobytes())
    assert len(outcomes) == 4


def test_landmarks_pushed_out_of_the_frame_are_kept_where_they_are():
    away = AspectAffine(translate_percent=(0.4, 0.4), rotate=(0, 0), scale=(1, 1), keep_ratio=True, p=1.0)
    _, points_net = Augmentation([away])(dots(POINTS_NET), POINTS_NET, aspect=ASPECT, seed=0)
    assert points_net.shape == (4, 2)
    assert points_net[1, 0] > SIZE_NET[1]


def test_no_transform_changes_nothing():
    image, points_net = Augmentation([])(dots(POINTS_NET), POINTS_NET, aspect=ASPECT, seed=0)
    np.testing.assert_array_equal(image, dots(POINTS_NET))
    np.testing.assert_allclose(points_net, POINTS_NET, atol=1e-4)  # Albumentations computes in float32.


def test_a_transform_that_drops_landmarks_is_named():
    dropping = A.ElasticTransform(alpha=300, sigma=5, p=1.0)
    outside = np.array([[-20.0, 0.0], [255.0, 191.0], [0.0, 191.0], [255.0, 0.0]])
    augmentation = Augmentation([dropping])
    with pytest.raises(RuntimeError, match="ElasticTransform"):
        augmentation(dots(POINTS_NET), outside, aspect=ASPECT, seed=0)
