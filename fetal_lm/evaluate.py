"""A finished run's weights on other labels or other images, never silently on examinations they know."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fetal_lm.atomic import atomic_path
from fetal_lm.choices import Flips, Images, Seen
from fetal_lm.configuration import read_configuration, write_with_source
from fetal_lm.data.manifest import FILE_NAME as MANIFEST_FILE
from fetal_lm.data.manifest import Manifest
from fetal_lm.data.records import Record, Source
from fetal_lm.errors import InputError
from fetal_lm.measure import measure
from fetal_lm.provenance import code_version
from fetal_lm.report.row import FILE_NAME as ROW_FILE
from fetal_lm.report.row import RunRow, write_row
from fetal_lm.report.sweep import Sweep
from fetal_lm.trained import load_run, with_views

log = logging.getLogger(__name__)


def evaluate(
    sweep: Sweep,
    source: Source,
    *,
    images: Images,
    seen: Seen,
    output: Path,
    settings: Mapping[str, Any] | None = None,
    flips: Flips | None = None,
    rotations: Sequence[float] | None = None,
) -> list[RunRow]:
    """Tests the selected weights of each run of a sweep, or of a single run, on a source.

    Args:
        sweep: of finished runs, or a single run; its folder is only read.
        source: labels and images.
        images: which of its images.
        seen: what to do with images that the weights know; allowed ones are counted in the row, and the report says so.
        output: gets a folder for each run (for a single run it is that folder) with predictions.csv, heatmaps.npz,
            overlay.png, copies of history.csv and split.json and, last of all, row.json; `report_sweep` reads it.
        settings: the source's, of `data.sources.source_settings`. With them config.yaml is written too, the run's with
            this source, so that a report can show the images.
        flips: as in `load_run`.
        rotations: as in `load_run`.

    Raises:
        InputError: a run is missing, damaged or where the results would go, other results are there, images were
            trained on and that is refused, or none is left.
    """
    targets = {
        run.folder: output if run.folder.resolve() == sweep.folder.resolve() else output / run.folder.name
        for run in sweep.runs
    }
    for folder, target in targets.items():
        if target.resolve() == folder.resolve():
            raise InputError(f"{target}: is the run itself, which is only read; name another folder with --output")
        if settings is not None:
            _refuse_others(target, settings, flips=flips, rotations=rotations)
    if missing := [problem for problem in sweep.problems if problem.fatal]:
        raise InputError(f"{missing[0].folder}: {missing[0].reason}")
    records = source.records()
    rows = []
    for run in sweep.runs:
        target = targets[run.folder]
        rows.append(
            _evaluate_run(
                run.folder,
                source,
                records,
                images=images,
                seen=seen,
                output=target,
                name=run.name,
                settings=settings,
                flips=flips,
                rotations=rotations,
            )
        )
    return rows


def _refuse_others(
    folder: Path, settings: Mapping[str, Any], *, flips: Flips | None, rotations: Sequence[float] | None
) -> None:
    """Keeps results on another source, or from other views of the images, from being overwritten by these."""
    config = folder / "config.yaml"
    if not (folder / ROW_FILE).is_file() or not config.is_file():
        return
    found = read_configuration(config)
    before = dict((found.get("data") or {}).get("source") or {})
    wanted = dict(settings)
    if flips is not None:
        before["test_flips"], wanted["test_flips"] = found.get("test_flips"), flips
    if rotations is not None:
        before["test_rotations"] = [*(found.get("test_rotations") or ())]
        wanted["test_rotations"] = [*rotations]
    different = "; ".join(
        f"{key} was {before.get(key)} and is {wanted.get(key)}"
        for key in sorted(before.keys() | wanted.keys())
        if before.get(key) != wanted.get(key)
    )
    if different:
        raise InputError(
            f"{folder}: holds other results ({different}), which would be overwritten; name another folder with "
            "--output"
        )


def _evaluate_run(
    folder: Path,
    source: Source,
    records: Sequence[Record],
    *,
    images: Images,
    seen: Seen,
    output: Path,
    name: str,
    settings: Mapping[str, Any] | None,
    flips: Flips | None,
    rotations: Sequence[float] | None,
) -> RunRow:
    run = load_run(folder, flips=flips, rotations=rotations)
    chosen, known = _chosen(source, records, run.manifest, images=images, seen=seen)
    output.mkdir(parents=True, exist_ok=True)
    (output / ROW_FILE).unlink(missing_ok=True)
    measured = measure(
        run.model, run.data(source, records, chosen), accelerator=run.accelerator,
        precision=run.precision, folder=output, name=name,
    )  # fmt: skip
    for copied in ("history.csv", MANIFEST_FILE):
        with atomic_path(output / copied) as temporary:
            shutil.copyfile(folder / copied, temporary)
    if settings is not None:
        write_with_source(run.cfg, output / "config.yaml", name=source.name, settings=settings)
    evaluated = replace(
        run.row,
        data=source.name,
        ms_per_image=measured.ms_per_image,
        code_version=code_version(),
        overrides=with_views(run.row.overrides, flips=flips, rotations=rotations),
        metrics=measured.metrics,
        test_images_seen=known,
    )
    write_row(evaluated, output / ROW_FILE)
    return evaluated


def _chosen(
    source: Source, records: Sequence[Record], manifest: Manifest, *, images: Images, seen: Seen
) -> tuple[tuple[int, ...], int]:
    """Which records to test, and how many of them the weights know."""
    chosen = [
        index for index, record in enumerate(records) if images is Images.all or record.image in manifest.parts["test"]
    ]
    if images is Images.test:
        if absent := len(manifest.parts["test"]) - len(chosen):
            log.warning("%d of the run's test images are not in %s", absent, source.name)
        if not chosen:
            raise InputError(f"{manifest.path}: none of the run's test images is in {source.name}; try --images all")
    known = {
        index
        for index in chosen
        if manifest.seen(records[index], archive=source.archive, content=source.content_key(records[index]))
    }
    if known and seen is Seen.refuse:
        example = records[min(known)]
        raise InputError(
            f"{manifest.path}: {len(known)} of the {len(chosen)} images show an examination that these weights were "
            f"trained or selected on (for example {example.image}, examination {example.examination}); leave them out "
            "with --seen leave-out, or test on them with --seen allow, which the table will say"
        )
    if seen is Seen.leave_out:
        if known:
            log.warning("%d of %d images are left out: their examinations were trained on", len(known), len(chosen))
        chosen, known = [index for index in chosen if index not in known], set()
        if not chosen:
            raise InputError(f"{manifest.path}: every image shows an examination that these weights were trained on")
    return tuple(chosen), len(known)
