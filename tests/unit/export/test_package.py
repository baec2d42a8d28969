"""What must not be given away."""

from types import SimpleNamespace

import pytest

from fetal_lm.data.manifest import Learnt, Manifest
from fetal_lm.errors import InputError
from fetal_lm.export import package as packaging


@pytest.mark.parametrize(
    "name", ["/clinic/smith/a.png", "../smith/a.png", "sub/../../smith/a.png", "C:\\clinic\\a.png", "..\\a.png"]
)
@pytest.mark.parametrize("place", ["image", "examination", "content", "before"])
def test_names_that_lead_out_of_their_folder_are_refused(tmp_path, monkeypatch, place, name):
    def named(where):
        return name if where == place else "sub/a..b.png"

    manifest = Manifest(
        path=tmp_path / "split.json",
        digest="0",
        parts={"train": {"b.png": "C:1"}, "val": {}, "test": {named("image"): named("examination")}},
        archive="folder",
        contents={named("content"): "1"},
        labels={},
        before=(Learnt("folder", {named("before"): "d"}, {}),),
    )
    monkeypatch.setattr(packaging, "load_run", lambda _, **__: SimpleNamespace(manifest=manifest))
    with pytest.raises(InputError, match="but 1 names lead out of it, for example ") as raised:
        packaging.package(tmp_path, tmp_path / "out" / "model")
    assert name in str(raised.value)
    assert "convert --copy-images" in str(raised.value)
    assert not (tmp_path / "out").exists()
