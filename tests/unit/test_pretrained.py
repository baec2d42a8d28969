"""A run begins with another run's weights only where they know nobody who is to select or to be tested."""

import json
from dataclasses import replace

import pytest
import torch

from fetal_lm import checkpoints, pretrained
from fetal_lm.data.adapters.phantom import Phantom
from fetal_lm.data.manifest import before_digest, read_manifest, split_digest, write_manifest
from fetal_lm.data.splits import Split, by_examination
from fetal_lm.errors import InputError
from fetal_lm.predict.released import FOLDER

HERE, OTHER = Phantom(seed=0, images=60), Phantom(seed=5, images=40)


def contents_of(source):
    return {record.image: source.content_key(record) for record in source.records()}


def write_run(folder, source, split, before=()):
    """What `train` leaves of a run: its split, and a checkpoint with the split's digest."""
    records = source.records()
    (folder / "checkpoints").mkdir(parents=True)
    write_manifest(
        folder / "split.json", split, records, archive=source.archive, contents=contents_of(source), before=before
    )
    identity = {
        "model": "single_hourglass", "split_digest": split_digest(split, records), "before": before_digest(before),
    }  # fmt: skip
    path = folder / "checkpoints" / "best.ckpt"
    torch.save({"state_dict": {"weight": torch.ones(1)}, checkpoints.IDENTITY_KEY: identity}, path)
    return path


def refuse(checkpoint, source, split, *, learnt=None, archive=None):
    pretrained.refuse_known(
        checkpoint, pretrained.learnt_by(checkpoint) if learnt is None else learnt, split, source.records(),
        archive=archive or source.archive, contents=contents_of(source),
    )  # fmt: skip


def test_weights_of_other_heads_may_begin_a_run(tmp_path):
    path = write_run(tmp_path / "other", OTHER, by_examination(OTHER.records(), fold=0))
    refuse(path, HERE, by_examination(HERE.records(), fold=0))


def test_weights_that_only_tested_on_who_is_tested_now_may_begin_a_run(tmp_path):
    whole = by_examination(HERE.records(), fold=0)
    path = write_run(tmp_path / "a", HERE, whole)
    # Whoever was tested there is neither trained nor selected on: they may be tested, or select, here.
    refuse(path, HERE, Split(train=whole.train, val=whole.test[:2], test=whole.test[2:]))


@pytest.mark.parametrize(("part", "verb"), [("test", "tests"), ("val", "selects")])
@pytest.mark.parametrize("learnt", ["train", "val"])
def test_weights_that_know_a_head_of_the_run_are_refused(tmp_path, part, verb, learnt):
    whole = by_examination(HERE.records(), fold=0)
    path = write_run(tmp_path / "a", HERE, whole)
    known = getattr(whole, learnt)[0]
    new = Split(train=whole.train[1:], val=whole.test[:2], test=whole.test[2:])
    leaking = new._replace(**{part: (*getattr(new, part), known)})
    record, count = HERE.records()[known], len(getattr(leaking, part))
    message = rf"init_from=.*best\.ckpt: 1 of the {count} images that this run {verb} on .*{record.image}.*phantom-"
    with pytest.raises(InputError, match=message):
        refuse(path, HERE, leaking)
    # The same pixels under whatever archive's name, too.
    with pytest.raises(InputError, match=message):
        refuse(path, HERE, leaking, archive="elsewhere")


def test_another_frame_of_a_known_examination_is_refused(tmp_path):
    records = HERE.records()
    (first, second), *_ = [
        [index for index, record in enumerate(records) if record.examination == examination][:2]
        for examination in sorted({record.examination for record in records})
        if sum(record.examination == examination for record in records) > 1
    ]
    others = [index for index in range(len(records)) if records[index].examination != records[first].examination]
    path = write_run(tmp_path / "a", HERE, Split((first,), tuple(others[:1]), tuple(others[1:])))
    with pytest.raises(InputError, match="1 of the 1 images that this run tests on"):
        refuse(path, HERE, Split(tuple(others[:1]), tuple(others[1:]), (second,)))
    # Of another archive, where the examination's name means somebody else.
    stranger = [replace(one, images=one.images, contents={}) for one in pretrained.learnt_by(path)]
    refuse(path, HERE, Split(tuple(others[:1]), tuple(others[1:]), (second,)), learnt=stranger, archive="elsewhere")


def test_what_a_run_began_with_is_known_to_evaluation_and_to_a_third_run(tmp_path):
    first = write_run(tmp_path / "first", HERE, by_examination(HERE.records(), fold=0))
    second = write_run(
        tmp_path / "second", OTHER, by_examination(OTHER.records(), fold=0), before=pretrained.learnt_by(first)
    )
    manifest, records = read_manifest(tmp_path / "second" / "split.json"), HERE.records()
    assert manifest.digest == split_digest(by_examination(OTHER.records(), fold=0), OTHER.records())
    for part, indices in by_examination(records, fold=0)._asdict().items():
        for record in (records[index] for index in indices):
            content = HERE.content_key(record)
            assert manifest.seen(record, archive=HERE.archive, content="new") == (part != "test")
            assert manifest.seen(record, archive="elsewhere", content=content) == (part != "test")
    with pytest.raises(InputError, match="that this run tests on"):
        refuse(second, HERE, by_examination(records, fold=1))
    # A run that goes on keeps it.
    assert pretrained.learnt_before(second) == pretrained.learnt_by(first)
    assert pretrained.learnt_before(first) == ()


def test_a_checkpoint_whose_split_forgot_whom_it_began_with_is_of_another_run(tmp_path):
    split = by_examination(OTHER.records(), fold=0)
    first = write_run(tmp_path / "first", HERE, by_examination(HERE.records(), fold=0))
    second = write_run(tmp_path / "second", OTHER, split, before=pretrained.learnt_by(first))
    alone = write_run(tmp_path / "alone", OTHER, split)
    identity = {
        "model": "single_hourglass",
        "split_digest": split_digest(split, OTHER.records()),
        "before": before_digest(pretrained.learnt_before(alone)),
    }
    checkpoints.check(alone, identity)
    second.replace(alone)
    with pytest.raises(InputError, match="is of another run than the checkpoint"):
        pretrained.learnt_by(alone)
    with pytest.raises(InputError, match="began with other weights"):
        checkpoints.check(alone, identity)


def test_weights_of_which_nobody_knows_whom_they_know_are_refused(tmp_path):
    path = write_run(tmp_path / "a", OTHER, by_examination(OTHER.records(), fold=0))
    with pytest.raises(InputError, match=r"nowhere\.ckpt: not a readable checkpoint"):
        pretrained.learnt_by(tmp_path / "nowhere.ckpt")
    other = write_run(tmp_path / "b", OTHER, by_examination(OTHER.records(), fold=1))
    other.replace(path)
    with pytest.raises(InputError, match=r"split\.json is of another run than the checkpoint"):
        pretrained.learnt_by(path)
    (tmp_path / "a" / "split.json").unlink()
    with pytest.raises(InputError, match=r"there is no .*split\.json, so that nobody knows whom"):
        pretrained.learnt_by(path)


def test_a_damaged_list_of_earlier_heads_is_an_error(tmp_path):
    first = write_run(tmp_path / "first", HERE, by_examination(HERE.records(), fold=0))
    second = write_run(
        tmp_path / "second", OTHER, by_examination(OTHER.records(), fold=0), before=pretrained.learnt_by(first)
    )
    path = tmp_path / "second" / "split.json"
    content = json.loads(path.read_text())
    del content["before"][0]["images"]
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="expected a split as this program writes it, but KeyError"):
        pretrained.learnt_by(second)


def test_packed_weights_know_their_images_too():
    (learnt,) = pretrained.learnt_by(FOLDER / checkpoints.PACKED)
    assert len(learnt.images) == 802
