"""From paths to frames and spacings: everything before the network."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders import HTJ2KLosslessDecoder
from pydicom.uid import (
    MPEG4HP41,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from fetal_lm.errors import InputError
from fetal_lm.predict.calibration import UNKNOWN, Calibration, Region, Spacing
from fetal_lm.predict.frames import frames_of
from fetal_lm.predict.inputs import common_folder, image_files

GREY = np.random.default_rng(0).integers(0, 256, (54, 80), dtype=np.uint8)


def write_dicom(path: Path, frames: np.ndarray, *, syntax: UID = ExplicitVRLittleEndian, **fields: object) -> Path:
    """Frames `[N, H, W]` or `[N, H, W, 3]` of 8 or 16 bits."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = frames.shape[:3]
    dataset.SamplesPerPixel = 3 if frames.ndim == 4 else 1
    dataset.PhotometricInterpretation = "RGB" if frames.ndim == 4 else "MONOCHROME2"
    if frames.ndim == 4:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8 * frames.dtype.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    dataset.PixelData = frames.tobytes()
    dataset["PixelData"].VR = "OW"
    for name, value in fields.items():
        setattr(dataset, name, value)
    dataset["PixelData"].is_undefined_length = syntax.is_encapsulated
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def region(left: int, top: int, right: int, bottom: int, cm: tuple[float, float], units: int = 3) -> Dataset:
    item = Dataset()
    item.RegionSpatialFormat, item.PhysicalUnitsXDirection, item.PhysicalUnitsYDirection = 1, units, units
    item.RegionLocationMinX0, item.RegionLocationMinY0 = left, top
    item.RegionLocationMaxX1, item.RegionLocationMaxY1 = right, bottom
    item.PhysicalDeltaX, item.PhysicalDeltaY = cm
    return item


def test_folders_are_searched_to_the_bottom_and_each_file_is_taken_once(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("c.PNG", "a.jpg", "b/d.tif", "b/e.bmp", "._a.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    write_dicom(tmp_path / "b" / "IM_0001", GREY[None])
    (tmp_path / "out").mkdir(parents=True)
    (tmp_path / "out" / "c.png").write_bytes(b"x")
    paths = [str(tmp_path), str(tmp_path / "*.jpg"), str(tmp_path / "b" / "e.bmp")]
    found = image_files(paths, overlays=tmp_path / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in found] == [
        "a.jpg", "b/IM_0001", "b/d.tif", "b/e.bmp", "c.PNG",
    ]  # fmt: skip
    (matched,) = image_files([str(tmp_path / "**" / "*.tif")], overlays=tmp_path / "out")
    assert matched == tmp_path / "b" / "d.tif"


def test_what_an_earlier_call_drew_is_no_scan(tmp_path):
    for name in ("a.png", "overlays/b.png", "measured/overlays/sub/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "measured" / "made_with.json").write_text("{}")
    for text in (tmp_path, tmp_path / "**" / "*.png"):
        found = image_files([str(text)], overlays=tmp_path / "out")
        # Any other folder may have that name.
        assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a.png", "overlays/b.png"]
    named = tmp_path / "measured" / "overlays" / "sub" / "a.png"
    assert image_files([str(named)], overlays=tmp_path / "out") == [named]


def test_the_directory_of_a_dicom_medium_is_no_image(tmp_path):
    scan, listed = (write_dicom(tmp_path / name, GREY[None]) for name in ("IM_0001", "DICOMDIR"))
    for text in (tmp_path, tmp_path / "*"):
        assert image_files([str(text)], overlays=tmp_path / "out") == [scan]
    assert image_files([str(listed)], overlays=tmp_path / "out") == [listed]


def test_linked_folders_are_searched_once(tmp_path):
    for folder in ("scans", "disk", "disk/.hidden"):
        (tmp_path / folder).mkdir()
    (tmp_path / "disk" / "a.png").write_bytes(b"x")
    (tmp_path / "disk" / ".hidden" / "b.png").write_bytes(b"x")
    (tmp_path / "scans" / "p1").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "scans")
    found = image_files([str(tmp_path / "scans")], overlays=tmp_path / "out")
    assert found == [tmp_path / "scans" / "p1" / "a.png"]
    # By its own folder where that is searched too.
    assert image_files([str(tmp_path)], overlays=tmp_path / "out") == [tmp_path / "disk" / "a.png"]


def test_the_common_folder_does_not_depend_on_the_images(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c.png").touch()
    monkeypatch.chdir(tmp_path)
    assert common_folder(["a"]) == tmp_path / "a"
    assert common_folder(["a/b", "a/b/c.png"]) == common_folder(["a/b/*.png"]) == tmp_path / "a" / "b"
    assert common_folder(["a/**/*.png"]) == tmp_path / "a"
    assert common_folder(["*.png", "a"]) == tmp_path


@pytest.mark.parametrize(
    ("text", "message"), [("", "at least one image"), ("no", "does not exist"), ("*.gif", "nothing")]
)
def test_nothing_to_measure_is_said(tmp_path, text, message):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError, match=message):
        image_files([str(tmp_path / text)], overlays=tmp_path / "out")


def test_an_empty_path_is_not_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cv2.imwrite("a.png", GREY)
    assert image_files(["."], overlays=tmp_path / "out") == [Path("a.png")]
    for paths in ([""], [".", ""]):
        with pytest.raises(InputError, match="got an empty path"):
            image_files(paths, overlays=tmp_path / "out")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_a_still_image_is_one_frame_without_a_spacing(tmp_path, suffix):
    cv2.imwrite(str(tmp_path / f"a{suffix}"), GREY)
    (frame,) = frames_of(tmp_path / f"a{suffix}")
    assert frame.number == 1
    assert not frame.calibration.whole.known
    np.testing.assert_array_equal(frame.image, GREY)


def test_a_huge_image_is_refused_by_its_header(tmp_path):
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    for name, side in (("huge", 20_000), ("large", 11_000)):
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        content = (
            b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
        )
        path = tmp_path / f"{name}.png"
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"megapixels|too large"):
            list(frames_of(path))


def test_every_page_of_a_tiff_is_a_frame(tmp_path):
    other = (255 - GREY)[:-3, :-5]
    wide = GREY.astype(np.uint16) * 257
    cv2.imwritemulti(str(tmp_path / "a.tif"), [GREY, other, wide])
    frames = list(frames_of(tmp_path / "a.tif"))
    assert [frame.number for frame in frames] == [1, 2, 3]
    for frame, expected in zip(frames, (GREY, other, GREY), strict=True):
        np.testing.assert_array_equal(frame.image, expected)


@pytest.mark.filterwarnings("ignore")  # Pillow warns as well.
def test_a_tiff_cut_off_before_its_second_page_is_an_error(tmp_path):
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    Image.fromarray(noise).save(path, save_all=True, append_images=[Image.fromarray(noise)])
    content = path.read_bytes()
    with Image.open(path) as header:
        header.seek(1)
        second = header.tag_v2[273][0]
    # Its pixels and the directory behind them are gone, the first page still names it.
    path.write_bytes(content[: second - 200])
    with pytest.raises(InputError, match=r"whole TIFF|whole image"):
        list(frames_of(path))


def test_a_still_tiff_without_its_last_rows_is_an_error(tmp_path):
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[: -20 * 96])
    with pytest.raises(InputError, match="whole image"):
        list(frames_of(path))


def test_a_tiff_whose_second_page_is_damaged_is_an_error_after_the_first(tmp_path):
    path = tmp_path / "a.tif"
    noise = np.random.default_rng(0).integers(0, 256, (64, 96), dtype=np.uint8)
    Image.fromarray(noise).save(path, save_all=True, append_images=[Image.fromarray(noise)], compression="tiff_lzw")
    with Image.open(path) as header:
        header.seek(1)
        start, length = header.tag_v2[273][0], header.tag_v2[279][0]
    content = bytearray(path.read_bytes())
    content[start : start + length] = bytes(length)
    path.write_bytes(content)
    frames = frames_of(path)
    np.testing.assert_array_equal(next(frames).image, noise)
    with pytest.raises(InputError, match="page 2"):
        next(frames)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_every_frame_of_a_dicom_is_read(tmp_path, syntax):
    frames = np.stack([GREY, 255 - GREY, GREY // 2])
    read = list(frames_of(write_dicom(tmp_path / "a.dcm", frames, syntax=syntax)))
    assert [frame.number for frame in read] == [1, 2, 3]
    np.testing.assert_array_equal([frame.image for frame in read], frames)
    assert not read[0].calibration.whole.known


def test_dicom_colours_depths_and_inversion_become_grey(tmp_path):
    colour = np.dstack([GREY, GREY, GREY])[None]
    (frame,) = frames_of(write_dicom(tmp_path / "c.dcm", colour))
    np.testing.assert_array_equal(frame.image, GREY)
    twelve = (GREY.astype(np.uint16) * 16)[None]
    (frame,) = frames_of(write_dicom(tmp_path / "d.dcm", twelve, BitsStored=12, HighBit=11))
    assert np.abs(frame.image.astype(int) - GREY).max() <= 1
    wide = GREY.astype(np.uint16)[None]
    (frame,) = frames_of(write_dicom(tmp_path / "w.dcm", wide, BitsStored=8, HighBit=7))
    np.testing.assert_array_equal(frame.image, GREY)
    inverted = write_dicom(tmp_path / "i.dcm", GREY[None], PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(next(frames_of(inverted)).image, 255 - GREY)


def test_the_window_of_a_dicom_goes_before_its_depth(tmp_path):
    twelve, window = GREY.astype(np.uint16) * 16, {"WindowCenter": 2048, "WindowWidth": 4096}
    frames = list(frames_of(write_dicom(tmp_path / "a.dcm", np.stack([twelve, twelve // 2]), **window)))
    for frame, expected in zip(frames, (GREY, GREY // 2), strict=True):
        assert np.abs(frame.image.astype(int) - expected).max() <= 1
    inverted = write_dicom(tmp_path / "b.dcm", twelve[None], PhotometricInterpretation="MONOCHROME1", **window)
    assert np.abs(next(frames_of(inverted)).image + GREY.astype(int) - 255).max() <= 1
    colour = write_dicom(tmp_path / "c.dcm", np.dstack([GREY] * 3)[None], WindowCenter=9, WindowWidth=9)
    np.testing.assert_array_equal(next(frames_of(colour)).image, GREY)


def test_dicom_regions_go_before_pixel_spacing_and_rows_are_y(tmp_path):
    plain = write_dicom(tmp_path / "a.dcm", GREY[None], PixelSpacing=[0.3, 0.2])
    assert next(frames_of(plain)).calibration.whole == Spacing(0.2, 0.3)
    regions = [region(0, 0, 79, 53, (0.01, -0.02)), region(0, 0, 5, 5, (1.0, 1.0), units=4)]
    both = write_dicom(tmp_path / "b.dcm", GREY[None], PixelSpacing=[0.3, 0.2], SequenceOfUltrasoundRegions=regions)
    assert next(frames_of(both)).calibration.whole == pytest.approx((0.1, 0.2))


def test_a_spacing_that_cannot_be_read_is_not_known(tmp_path):
    for value in ("0.3", "0.3\\0.2\\0.1", "1e-320\\1e-320", "0.2\\1e6"):
        alone = write_dicom(tmp_path / "a.dcm", GREY[None], PixelSpacing=value)
        assert not next(frames_of(alone)).calibration.whole.known
    odd = region(0, 0, 79, 53, (0.01, 0.02))
    odd.RegionLocationMinX0 = [0, 1]
    path = write_dicom(tmp_path / "b.dcm", GREY[None], PixelSpacing=[0.3, 0.2], SequenceOfUltrasoundRegions=[odd])
    assert next(frames_of(path)).calibration.whole == Spacing(0.2, 0.3)


def test_the_region_with_the_head_gives_its_spacing(tmp_path):
    regions = [region(0, 0, 39, 53, (0.01, 0.01)), region(40, 0, 79, 53, (0.03, 0.03))]
    path = write_dicom(tmp_path / "a.dcm", GREY[None], SequenceOfUltrasoundRegions=regions)
    calibration = next(frames_of(path)).calibration
    head = np.array([[5.0, 20.0], [35.0, 20.0], [20.0, 5.0], [20.0, 35.0]])
    assert calibration.at(head).x_mm == pytest.approx(0.1)
    assert calibration.at(head + np.array([40, 0])).x_mm == pytest.approx(0.3)
    assert not calibration.at(head + np.array([20, 0])).known


@pytest.mark.parametrize("left", [0.9, 0.02])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_a_broken_dicom_is_an_error(tmp_path, syntax, left):
    path = write_dicom(tmp_path / "a.dcm", np.stack([GREY] * 4), syntax=syntax)
    content = path.read_bytes()
    path.write_bytes(content[: int(left * len(content))])
    with pytest.raises(InputError, match=r"a\.dcm"):
        list(frames_of(path))


@pytest.mark.parametrize(
    ("syntax", "advice"),
    [
        (HTJ2KLossless, "export it uncompressed, or install a decoder that pydicom names"),
        (MPEG4HP41, "export it uncompressed"),
        (JPEGBaseline8Bit, "copy the file again, or export it uncompressed"),
        (ExplicitVRLittleEndian, "copy or export the file again"),
    ],
)
def test_what_to_do_about_pixels_that_cannot_be_decoded_depends_on_their_coding(tmp_path, syntax, advice):
    if syntax == HTJ2KLossless and HTJ2KLosslessDecoder.is_available:
        pytest.skip("a decoder for it is installed")
    data = encapsulate([b"no picture"]) if syntax.is_encapsulated else b"no picture"
    with pytest.raises(InputError) as caught:
        list(frames_of(write_dicom(tmp_path / "a.dcm", GREY[None], syntax=syntax, PixelData=data)))
    assert str(caught.value).endswith(f"); {advice}")
    assert "\n" not in str(caught.value)
    # It stands on the second line of what pydicom says.
    assert ("requires pylibjpeg" in str(caught.value)) == (syntax == HTJ2KLossless)


def test_a_head_outside_the_only_region_is_said(tmp_path):
    inset = region(40, 0, 79, 53, (0.01, 0.01))
    path = write_dicom(tmp_path / "a.dcm", GREY[None], SequenceOfUltrasoundRegions=[inset])
    calibration = next(frames_of(path)).calibration
    head = np.array([[5.0, 20.0], [35.0, 20.0], [20.0, 5.0], [20.0, 35.0]])
    assert calibration.at(head).x_mm == pytest.approx(0.1)
    outside = ["lies outside the part of the image whose spacing is known"]
    assert [calibration.doubts_at(head + np.array([dx, 0]), 1.0) for dx in (0, 20, 40)] == [outside, outside, []]
    # Across two pictures of one spacing every end lies in one of them.
    both = [region(0, 0, 39, 53, (0.01, 0.01)), inset]
    path = write_dicom(tmp_path / "b.dcm", GREY[None], SequenceOfUltrasoundRegions=both)
    assert next(frames_of(path)).calibration.doubts_at(head + np.array([20, 0]), 1.0) == []


def test_the_shape_of_pixels_is_that_of_the_largest_region_or_of_the_whole_image():
    flat, high = Spacing(0.2, 0.1), Spacing(0.1, 0.2)
    regions = (Region(0, 0, 9, 53, flat), Region(10, 0, 79, 53, high))
    assert [Calibration(whole, regions).aspect for whole in (flat, UNKNOWN)] == [2.0, 2.0]
    assert [one.aspect for one in (Calibration(), Calibration(high))] == [1.0, 2.0]
    head = np.array([[15.0, 20.0], [45.0, 20.0], [30.0, 5.0], [30.0, 35.0]])
    calibration = Calibration(flat, regions)
    assert calibration.doubts_at(head, 2.0) == []
    assert calibration.doubts_at(head, 0.5) == ["lies where pixels are of another shape than they were taken for"]
