"""A whole audit over drawn heads: every planted fault is found where it was planted and nowhere else."""

from __future__ import annotations

import csv
import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from fetal_lm.audit.command import FINDINGS_COLUMNS, audit_source
from fetal_lm.data.adapters.challenge import Challenge
from fetal_lm.data.adapters.folder import Folder
from fetal_lm.data.adapters.hc18 import Hc18
from fetal_lm.data.adapters.multicentre import Multicentre
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.adapters.points_csv import COORDINATES
from fetal_lm.errors import InputError


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def planted(labels: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], dict[str, set[str]]]:
    """One fault an image, and what each must be found by."""
    spoiled = dict(labels)
    swapped, shrunk, apart, skewed, outside, good, last = list(labels)
    spoiled[swapped] = labels[swapped][[2, 3, 0, 1]]
    middle = labels[shrunk].mean(axis=0)
    spoiled[shrunk] = middle + 0.6 * (labels[shrunk] - middle)
    points = labels[apart].copy()
    points[2:] += 0.24 * (points[1] - points[0])
    spoiled[apart] = points
    points = labels[skewed].copy()
    along = points[1] - points[0]
    points[2:] += np.outer([-0.26, 0.26], along)
    spoiled[skewed] = points
    points = labels[outside].copy()
    points[1] += 3 * (points[1] - points[0])
    spoiled[outside] = points
    assert good in spoiled
    expected = {
        swapped: {"names_swapped"},
        shrunk: {"off_skull"},
        # Two points that were moved so far lie off the skull as well.
        apart: {"diameters_apart", "off_skull"},
        skewed: {"not_perpendicular", "off_skull"},
        # A point so far outside spoils the shape and the size, too.
        outside: {"off_image", "diameters_apart", "cephalic_index", "head_size", "off_skull"},
        last: set(),
        good: set(),
    }
    return spoiled, expected


def test_planted_faults_are_found_where_they_are_and_nowhere_else(write_labels, phantom_heads, tmp_path) -> None:
    _, labels, _ = phantom_heads
    spoiled, expected = planted(labels)
    source = write_labels(spoiled)
    before = source.csv.read_bytes()
    out = tmp_path / "out"
    assert audit_source(source, out, clean=True) == 1
    found = table(out / "findings.csv")
    assert tuple(found[0]) == FINDINGS_COLUMNS
    by_image = {image: {row["check"] for row in found if row["image"] == image} for image in labels}
    assert by_image == expected
    rows = {row["image"]: row for row in table(out / "rows.csv")}
    assert list(rows) == list(labels)
    assert {image for image, row in rows.items() if row["names_swapped"] == "True"} == {next(iter(labels))}
    suspicion = {image: float(row["suspicion"]) for image, row in rows.items()}
    bad = list(labels)[1:5]
    assert min(suspicion[image] for image in bad) > 0.5 > 0.2 > max(suspicion[image] for image in {*labels} - {*bad})
    assert (out / "worst.png").read_bytes().startswith(b"\x89PNG")
    assert source.csv.read_bytes() == before
    cleaned = {row["image_name"]: row for row in table(out / "cleaned.csv")}
    assert list(cleaned) == [image for image in labels if image not in bad]
    for image, row in cleaned.items():
        assert [float(row[column]) for column in Challenge.columns[1:]] == labels[image].ravel().tolist()
    # The copy is a source in its own right, and a clean one.
    assert audit_source(Challenge(source.root, out / "cleaned.csv"), tmp_path / "again") == 0


def test_clean_labels_have_no_finding(write_labels, phantom_heads, tmp_path) -> None:
    assert audit_source(write_labels(phantom_heads[1]), tmp_path / "out") == 0
    assert table(tmp_path / "out" / "findings.csv") == []


def test_bad_rows_and_images_are_findings_and_the_rest_is_judged(write_labels, phantom_heads, tmp_path) -> None:
    drawn, labels, _ = phantom_heads
    names = list(labels)
    cells = ",".join(map(str, labels[names[0]].ravel().tolist()))
    lines = [
        f"{names[0]},{cells}",
        f"nowhere.png,{cells}",
        f"broken_1.png,{cells}",
        f"copy_1.png,{cells}",
        f"text_1.png,a,{cells[cells.index(',') + 1 :]}",
        f"short_1.png,{cells[: cells.rindex(',')]}",
        f",{cells}",
        # A quote that is never closed makes a cell of all that follows: no file system has such a name.
        f"{'long' * 100}_1.png,{cells}",
    ]
    source = write_labels({name: labels[name] for name in names[:2]}, lines)
    images = source.root / "training_set"
    whole = (drawn / names[0]).read_bytes()
    (images / "copy_1.png").write_bytes(whole)
    (images / "broken_1.png").write_bytes(whole[:5000])
    for number, name in enumerate(("text_1.png", "short_1.png")):
        (images / name).write_bytes((drawn / names[2 + number]).read_bytes())
    assert audit_source(source, tmp_path / "out") == 1
    found = [(row["image"], int(row["row"]), row["check"]) for row in table(tmp_path / "out" / "findings.csv")]
    assert [finding for finding in found if finding[2] != "spacing_missing"] == [
        (names[0], 4, "duplicate_row"),
        ("nowhere.png", 5, "image_missing"),
        ("broken_1.png", 6, "image_unreadable"),
        ("copy_1.png", 7, "duplicate_image"),
        ("text_1.png", 8, "bad_row"),
        ("short_1.png", 9, "bad_row"),
        ("short_1.png", 9, "bad_row"),
        ("", 10, "bad_row"),
        (f"{'long' * 100}_1.png", 11, "image_missing"),
    ]
    assert len(table(tmp_path / "out" / "rows.csv")) == 10


def test_notes_alone_leave_the_exit_code_at_0(write_labels, phantom_heads, tmp_path) -> None:
    source = write_labels(phantom_heads[1])
    (source.root / "training_set_pixel_size_and_HC.csv").unlink()
    assert audit_source(source, tmp_path / "out") == 0
    assert {row["check"] for row in table(tmp_path / "out" / "findings.csv")} == {"spacing_missing"}


def test_a_spacing_that_no_source_accepts_is_empty_in_the_copy(phantom_heads, tmp_path) -> None:
    drawn, labels, mm_per_px = phantom_heads
    spacings = dict(zip(labels, [mm_per_px, 0.0, -1.0], strict=False))
    for image in spacings:
        (tmp_path / image).symlink_to(drawn / image)
    with (tmp_path / "labels.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(("image", *COORDINATES, "mm_per_px", "examination"))
        writer.writerows([image, *labels[image].ravel().tolist(), mm, image] for image, mm in spacings.items())
    printed = io.StringIO()
    audit_source(Folder(tmp_path), tmp_path / "out", clean=True, console=Console(file=printed))
    assert "cleaned.csv: 2 rows written without their spacing, which was not above 0" in printed.getvalue()
    (tmp_path / "out" / "cleaned.csv").rename(tmp_path / "cleaned.csv")
    records = Folder(tmp_path, tmp_path / "cleaned.csv").records()
    assert [record.mm_per_px for record in records] == pytest.approx([mm_per_px, np.nan, np.nan], nan_ok=True)


def test_the_summary_counts_by_check(write_labels, phantom_heads, tmp_path) -> None:
    spoiled, _ = planted(phantom_heads[1])
    printed = io.StringIO()
    audit_source(write_labels(spoiled), tmp_path / "out", clean=True, console=Console(file=printed, width=80))
    lines = printed.getvalue().splitlines()
    (apart,) = [line for line in lines if "diameters_apart" in line]
    assert [cell.strip() for cell in apart.split("│")[1:4]] == ["diameters_apart", "warning", "2"]
    assert "cleaned.csv: 3 rows written" in lines
    assert "cleaned.csv: 1 rows written with OFD and BPD exchanged" in lines
    assert "cleaned.csv: 4 rows left out, suspicion above 0.5" in lines


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "missing"),
        (b"image_name,ofd_1_x\n", "ofd_1_y"),
        (",".join(Challenge.columns).encode() + b"\n", "at least one row"),
        (",".join(Challenge.columns).encode() + b"\n\xff\xfe\n", "UTF-8"),
        (None, "cannot be read"),
    ],
    ids=["empty", "columns", "no rows", "no text", "no file"],
)
def test_a_csv_that_cannot_be_read_is_an_error_and_leaves_nothing(tmp_path, content, expected) -> None:
    path = tmp_path / "labels.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=expected):
        audit_source(Challenge(tmp_path, path), tmp_path / "out", clean=True)
    assert not list((tmp_path / "out").glob("*"))


def test_no_input_is_overwritten(write_labels, phantom_heads, tmp_path) -> None:
    source = write_labels(phantom_heads[1])
    for name in ("cleaned.csv", "rows.csv"):
        labels = source.csv.rename(source.root / name)
        with pytest.raises(InputError, match="would be overwritten"):
            audit_source(Challenge(source.root, labels), source.root, clean=True)
        labels.rename(source.csv)
    image = source.root / "training_set" / "worst.png"
    image.write_bytes(b"an image")
    source.csv.write_text(source.csv.read_text() + "worst.png,1,1,9,1,5,0,5,4\n")
    with pytest.raises(InputError, match="would be overwritten"):
        audit_source(source, image.parent)
    assert image.read_bytes() == b"an image"


@pytest.mark.parametrize(
    "make", [lambda _: Phantom(seed=0, images=1), Hc18, Multicentre], ids=["phantom", "hc18", "multicentre"]
)
def test_what_is_not_written_again_cannot_be_cleaned(tmp_path, make) -> None:
    with pytest.raises(InputError, match=r"--clean: .* challenge and folder, not of those of .*`fetal-lm convert`"):
        audit_source(make(tmp_path), tmp_path / "out", clean=True)
    assert not (tmp_path / "out").exists()


def test_outlines_are_audited_and_a_bad_one_is_a_finding(make_hc18, tmp_path) -> None:
    root = make_hc18()
    folder = root / "training_set"
    (folder / "001_HC_Annotation.png").write_bytes((folder / "001_HC.png").read_bytes())
    (folder / "002_HC.png").unlink()
    assert audit_source(Hc18(root), tmp_path / "out") == 1
    found = {(row["image"], row["check"]) for row in table(tmp_path / "out" / "findings.csv")}
    assert found == {("001_HC.png", "bad_row"), ("002_HC.png", "image_missing"), ("002_HC.png", "bad_row")}


def write_many(folder: Path, count: int) -> None:
    """Writes a CSV of good labels, whose images are all missing."""
    folder.mkdir()
    with (folder / "labels.csv").open("w") as handle:
        handle.write(",".join(Challenge.columns) + "\n")
        handle.writelines(f"{number:06d}_HC.png,100,200,300,200,200,120,200,280\n" for number in range(count))


AUDITED_ALONE = """
import io, sys, time, tracemalloc
from pathlib import Path
from rich.console import Console
from fetal_lm.audit import command
from fetal_lm.data.adapters.challenge import Challenge

def audit(folder):
    folder = Path(folder)
    source = Challenge(folder, folder / "labels.csv")
    assert command.audit_source(source, folder / "out", console=Console(file=io.StringIO())) == 1
"""


def audited_alone(code: str, *folders: Path) -> list[float]:
    """Runs code in a process of its own, where arrays are not checked against their annotations at every call."""
    command = [sys.executable, "-c", AUDITED_ALONE + code, *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return [float(number) for number in done.stdout.split()]


def test_memory_does_not_grow_with_the_rows(tmp_path) -> None:
    counts = (100, 500, 4000)
    for count in counts:
        write_many(tmp_path / str(count), count)
    # The picture is of as many rows whatever their number and needs more memory than all else; the first audit pays for
    # what is loaded once.
    code = """
command.contact_sheet = lambda *_: True
for folder in sys.argv[1:]:
    tracemalloc.start()
    audit(folder)
    print(tracemalloc.get_traced_memory()[1])
    tracemalloc.stop()
"""
    _, few, many = audited_alone(code, *(tmp_path / str(count) for count in counts))
    # 3500 rows more; each would need 1 kB.
    assert many - few < 100_000


@pytest.mark.slow
def test_a_hundred_thousand_rows(tmp_path) -> None:
    write_many(tmp_path / "many", 100_000)
    code = "start = time.process_time(); audit(sys.argv[1]); print(time.process_time() - start)"
    (cpu_seconds,) = audited_alone(code, tmp_path / "many")
    # 10 s on a quiet core.
    assert cpu_seconds < 60
    with (tmp_path / "many" / "out" / "rows.csv").open() as handle:
        assert sum(1 for _ in handle) == 100_001


@pytest.mark.slow
def test_the_challenge_is_judged_as_promised(hc18_root, tmp_path) -> None:
    path = Path(__file__).parents[3] / "experiments" / "audit" / "judge.py"
    spec = importlib.util.spec_from_file_location("judge", path)
    assert spec is not None
    assert spec.loader is not None
    judge = importlib.util.module_from_spec(spec)
    # Its data class looks itself up.
    sys.modules["judge"] = judge
    try:
        spec.loader.exec_module(judge)
    finally:
        del sys.modules["judge"]
    assert audit_source(Challenge(hc18_root), tmp_path / "out") == 1
    judged = judge.judge_rows(tmp_path / "out" / "rows.csv", hc18_root)
    assert judged.gross.sum() == 185
    assert judge.area_under_roc(judged.suspicion, judged.gross) >= 0.98
    assert judge.half_areas(judged)[0] >= 0.95
    right = judged.said_swapped == judged.swapped
    assert right[~judged.gross].mean() >= 0.99
    assert right.mean() >= 0.92
