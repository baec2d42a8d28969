"""Another run's weights to begin with, never silently those that know who will select or be tested.

A run's `split.json` names whom its weights know. One that begins with them takes that over into its own, so that
`fetal-lm evaluate` refuses those examinations too, and so does a third run that begins with the second one's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from fetal_lm import checkpoints
from fetal_lm.data.manifest import FILE_NAME as MANIFEST_FILE
from fetal_lm.data.manifest import Learnt, before_digest, read_manifest
from fetal_lm.data.records import Record
from fetal_lm.data.splits import Split
from fetal_lm.errors import InputError


def learnt_by(checkpoint: Path) -> tuple[Learnt, ...]:
    """Whom the weights of a checkpoint were trained or selected on, in its run and in those before.

    Raises:
        InputError: the checkpoint cannot be read, or the `split.json` of its run does not lie beside its folder. There
            is no way round it: weights that know nobody knows whom can be tested on nobody.
    """
    identity = checkpoints.read(checkpoint).get(checkpoints.IDENTITY_KEY) or {}
    path = _manifest_beside(checkpoint)
    if not path.is_file():
        raise InputError(
            f"init_from={checkpoint}: expected a checkpoint where its run wrote it (RUN/checkpoints/best.ckpt), but "
            f"there is no {path}, so that nobody knows whom these weights were trained on; give it in its run's folder"
        )
    manifest = read_manifest(path)
    of_the_same_run = identity.get("split_digest") == manifest.digest
    if not of_the_same_run or identity.get("before", "") != before_digest(manifest.before):
        raise InputError(
            f"init_from={checkpoint}: {path} is of another run than the checkpoint, so that nobody knows whom these "
            "weights were trained on; restore the run's folder"
        )
    return manifest.learnt


def learnt_before(checkpoint: Path) -> tuple[Learnt, ...]:
    """What a run that goes on from its checkpoint had taken over when it began, if its `split.json` is there.

    `checkpoints.check` compares it with what the checkpoint says.

    Raises:
        InputError: the `split.json` is damaged.
    """
    path = _manifest_beside(checkpoint)
    return read_manifest(path).before if path.is_file() else ()


def refuse_known(
    checkpoint: Path,
    learnt: Sequence[Learnt],
    split: Split,
    records: Sequence[Record],
    *,
    archive: str,
    contents: Mapping[str, str],
) -> None:
    """Refuses to begin with weights that know a head which is to select or to be tested.

    Args:
        checkpoint: the weights.
        learnt: whom they know.
        split: of `records`.
        records: of the run's source.
        archive: of that source.
        contents: `Source.content_key` of each image.

    Raises:
        InputError: they do.
    """
    for part, verb in (("test", "tests"), ("val", "selects")):
        images = [records[index] for index in getattr(split, part)]
        known = [
            record
            for record in images
            if any(one.knows(record, archive=archive, content=contents[record.image]) for one in learnt)
        ]
        if known:
            example = f"{known[0].image}, examination {known[0].examination}"
            raise InputError(
                f"init_from={checkpoint}: {len(known)} of the {len(images)} images that this run {verb} on show an "
                f"examination that these weights were trained or selected on (for example {example}); begin with "
                "weights that never saw them, for example of phantoms"
            )


def _manifest_beside(checkpoint: Path) -> Path:
    return checkpoints.run_of(checkpoint) / MANIFEST_FILE
