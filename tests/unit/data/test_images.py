from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest
from PIL import Image

from fetal_lm.data import images, tiff
from fetal_lm.errors import InputError
from fetal_lm.predict.frames import frames_of

GREY = np.random.default_rng(0).integers(0, 256, (54, 80), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (54, 80, 3), dtype=np.uint8)
LUMA = COLOUR @ np.array([0.114, 0.587, 0.299])  # blue, green, red


def written(path, image):
    assert cv2.imwrite(str(path), image)
    return path


def test_grey_is_read_as_it_is(tmp_path):
    image = images.read_grey(written(tmp_path / "a.png", GREY))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, GREY)


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_becomes_luma_and_transparency_is_left_out(tmp_path, channels):
    transparent = np.zeros((54, 80, 1), np.uint8)
    image = images.read_grey(written(tmp_path / "a.png", np.dstack([COLOUR, transparent])[..., :channels]))
    assert image.shape == (54, 80)
    assert np.abs(image - LUMA).max() < 1.1


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
def test_the_transparency_of_a_tiff_does_not_darken_it(tmp_path, orientation, compression):
    path, alpha = tmp_path / "a.tif", GREY
    page = Image.fromarray(np.dstack([COLOUR[..., ::-1], alpha]))
    options = {"tiffinfo": {274: orientation}, "compression": compression}
    page.save(path, save_all=True, append_images=[page], **options)
    turned = LUMA if orientation == 1 else np.rot90(LUMA, -1)
    for image in (images.read_grey(path), *images.read_pages(path, 2)):
        assert image.shape == turned.shape
        assert np.abs(image - turned).max() < 1.1


def test_a_tiff_of_16_bits_with_transparency_keeps_them(tmp_path):
    deep = np.dstack([GREY, GREY, GREY, GREY]).astype(np.uint16) * 257
    deep[..., :3] -= 100  # 0.4 of 8 bits: rounded, not cut off.
    deep[GREY == 0] = 0
    image = images.read_grey(written(tmp_path / "a.tiff", deep))
    np.testing.assert_array_equal(image, GREY)


def tiff_of(*pages, order, big=False):
    """Uncompressed pages `[H, W]`, each with the grey that 0 is: 0 white, 1 black; no writer here makes white 0."""
    offset, count, size = ("Q", "Q", 8) if big else ("I", "H", 4)
    content = {"<": b"II", ">": b"MM"}[order] + struct.pack(f"{order}H", 43 if big else 42)
    content += struct.pack(f"{order}HH", 8, 0) if big else b""
    for page, photometric in pages:
        data = page.astype(page.dtype.newbyteorder(order)).tobytes()
        start, (height, width) = len(content) + size, page.shape
        # Width, height, bits, compression, what 0 is, where the strip starts, channels, the strip's rows and bytes.
        tags = {256: width, 257: height, 258: 8 * page.itemsize, 259: 1, 262: photometric, 273: start, 277: 1}
        tags |= {278: height, 279: len(data)}
        content += struct.pack(order + offset, start + len(data)) + data + struct.pack(order + count, len(tags))
        for tag, value in tags.items():
            kind, code = (3, "H") if tag in (258, 259, 262, 277) else (4, "I")
            content += struct.pack(f"{order}HH{offset}{code}", tag, kind, 1, value).ljust(4 + 2 * size, b"\0")
    return content + struct.pack(order + offset, 0)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("dtype", "white"), [(np.uint8, 255), (np.uint16, 65535)])
def test_a_tiff_whose_0_is_white_is_inverted_at_any_depth(tmp_path, order, big, dtype, white):
    path, page = tmp_path / "a.tif", GREY.astype(dtype) * dtype(white // 255)
    for photometric, pixels in ((0, white - page), (1, page)):
        path.write_bytes(tiff_of((pixels, photometric), order=order, big=big))
        np.testing.assert_array_equal(images.read_grey(path), GREY)


@pytest.mark.parametrize("big", [False, True])
def test_each_page_of_a_tiff_has_its_own_white(tmp_path, big):
    path, deep = tmp_path / "a.tif", GREY.astype(np.uint16) * 257
    path.write_bytes(tiff_of((deep, 1), (~deep, 0), (deep, 1), order="<", big=big))
    np.testing.assert_array_equal(list(images.read_pages(path, 3)), [GREY] * 3)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pages_that_one_decoder_alone_knows_are_all_frames(tmp_path, order):
    path, deep = tmp_path / "a.tif", ~(GREY.astype(np.uint16) * 257)
    path.write_bytes(tiff_of((deep, 0), (deep[:20], 0), order=order))
    frames = list(frames_of(path))
    assert [frame.number for frame in frames] == [1, 2]
    np.testing.assert_array_equal(frames[0].image, GREY)
    np.testing.assert_array_equal(frames[1].image, GREY[:20])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"its pages cannot be listed|page 2 of 2 cannot be decoded"):
        list(frames_of(path))
    huge = tiff_of((deep, 0), order=order)
    at = huge.rindex(struct.pack(f"{order}HHII", 256, 4, 1, deep.shape[1])) + 8
    path.write_bytes(huge[:at] + struct.pack(f"{order}I", 10**7) + huge[at + 4 :])
    with pytest.raises(InputError, match=r"expected at most 100 megapixels|too large"):
        list(frames_of(path))


@pytest.mark.parametrize("far", [10**6, 2**63, 2**64 - 8])
def test_a_directory_behind_the_end_is_said(far):
    content = tiff_of((GREY, 1), order="<", big=True)
    with pytest.raises(struct.error, match="a directory would lie at byte"):
        tiff.page_sizes(content[:-8] + struct.pack("<Q", far))


def test_directories_that_lead_back_are_read_once():
    content = tiff_of((GREY, 1), order="<")
    (first,) = struct.unpack_from("<I", content, 4)
    assert tiff.page_sizes(content[:-4] + struct.pack("<I", first)) == [GREY.shape]


def test_a_png_is_not_turned_and_a_jpeg_is(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    smooth = cv2.GaussianBlur(GREY, (0, 0), 4)
    for name, expected in (("a.png", smooth), ("a.jpg", np.rot90(smooth, -1)), ("a.webp", smooth)):
        Image.fromarray(smooth).save(tmp_path / name, exif=exif)
        image = images.read_grey(tmp_path / name)
        assert images.read_size(tmp_path / name) == image.shape == expected.shape
        assert np.abs(image.astype(int) - expected).max() < 12


def test_16_bits_are_scaled_to_8(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    np.testing.assert_array_equal(images.read_grey(written(tmp_path / "a.png", deep)), GREY)
    half = np.full((5, 7), 32768, np.uint16)
    assert images.read_grey(written(tmp_path / "b.png", half))[0, 0] == 128


def test_a_jpeg_is_read(tmp_path):
    smooth = cv2.GaussianBlur(GREY, (0, 0), 4)
    assert np.abs(images.read_grey(written(tmp_path / "a.jpg", smooth)).astype(int) - smooth).max() < 6


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tiff"])
@pytest.mark.parametrize("left", [0.97, 0.5, 0.02])
def test_a_truncated_image_is_an_error_and_not_a_partial_image(tmp_path, suffix, left):
    path = written(tmp_path / f"a{suffix}", GREY)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * left)])
    with pytest.raises(
        InputError, match=rf"a{suffix}: expected a whole image file, but .*; copy or download"
    ) as caught:
        images.read_grey(path)
    if suffix in (".png", ".jpg"):
        assert "no end" in str(caught.value)


def test_a_png_that_lacks_its_last_byte_is_truncated(tmp_path):
    path = written(tmp_path / "a.png", GREY)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(InputError, match="truncated"):
        images.read_grey(path)


def test_a_png_with_a_wrong_byte_is_an_error(tmp_path):
    path = written(tmp_path / "a.png", GREY)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="checksum of the PNG's IDAT chunk"):
        images.read_grey(path)


def test_the_end_of_a_jpeg_is_its_own(tmp_path):
    path, thumbnail = tmp_path / "a.jpg", b"a thumbnail \xff\xd8\xff\xda\x00\x02\xff\xd9"
    for options in ({"quality": 90}, {"quality": 90, "progressive": True}, {"restart_marker_blocks": 1}):
        Image.fromarray(GREY).save(path, **options)
        plain, whole = images.read_grey(path), path.read_bytes()
        segment = b"\xff\xe1" + (2 + len(thumbnail)).to_bytes(2, "big") + thumbnail
        content = whole[:2] + segment + b"\xff" + whole[2:]
        path.write_bytes(content + bytes(5000))
        np.testing.assert_array_equal(images.read_grey(path), plain)
        for left in (content[: len(content) // 2], content[:-2], whole[:2] + segment, whole[:3]):
            path.write_bytes(left)
            with pytest.raises(InputError, match="no end marker"):
                images.read_grey(path)


def test_bytes_after_the_end_of_a_png_do_no_harm(tmp_path):
    path = written(tmp_path / "a.png", GREY)
    path.write_bytes(path.read_bytes() + b"appended by some tool")
    np.testing.assert_array_equal(images.read_grey(path), GREY)


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_image_is_an_error(tmp_path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match="expected a whole image file"):
        images.read_grey(path)
    with pytest.raises(InputError, match="expected a whole image file"):
        images.read_size(path)


@pytest.mark.parametrize("function", [images.read_grey, images.read_size, images.digest])
def test_a_missing_file_or_a_folder_is_an_error(tmp_path, function):
    with pytest.raises(InputError, match=r"none\.png: cannot be read \(No such file"):
        function(tmp_path / "none.png")
    with pytest.raises(InputError, match="cannot be read"):
        function(tmp_path)


def test_float_pixels_are_an_error(tmp_path):
    with pytest.raises(InputError, match="8 or 16 bits per channel, got float32"):
        images.read_grey(written(tmp_path / "a.tiff", GREY.astype(np.float32)))


def test_another_size_is_an_error(tmp_path):
    path = written(tmp_path / "a.png", GREY)
    assert images.read_grey(path, size_orig=(54, 80)).shape == (54, 80)
    with pytest.raises(InputError, match=r"expected 54 x 80 px \(width x height\), got 80 x 54"):
        images.read_grey(path, size_orig=(80, 54))


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_the_size_is_height_and_width(tmp_path, suffix):
    assert images.read_size(written(tmp_path / f"a{suffix}", GREY)) == (54, 80)


def test_the_digest_is_of_content(tmp_path):
    one, same = written(tmp_path / "a.png", GREY), written(tmp_path / "b.png", GREY)
    assert images.digest(one) == images.digest(same)
    assert images.digest(one) != images.digest(written(tmp_path / "c.png", GREY ^ 1))
