"""``--overwrite`` replaces a thing of the same kind, and never what is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_skel.errors import UserError
from ssl_skel.files.partial import whole_folder
from ssl_skel.files.taken import refuse_taken_file, refuse_taken_folder

FILES = {
    "store": ["meta.json", "joints.npy", "clips.npz", "subsets/x.json"],
    "index": ["meta.json", "vectors.npy", "rows.npy", "encoder/card.json"],
    "run": ["config.yaml", "log.jsonl", "encoder/card.json"],
    "thesis": ["text"],
    "export": ["meta.json", "text"],
    "damaged store": ["meta.json", "clips.npz"],
}


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Path]:
    def write(kind: str) -> Path:
        for name in FILES[kind]:
            (tmp_path / kind / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / kind / name).write_text(kind)
        return tmp_path / kind

    return write


@pytest.mark.parametrize("there", FILES)
@pytest.mark.parametrize("kind", ["store", "index", None])
def test_only_the_same_kind_is_replaced(make: Callable[[str], Path], there: str, kind: str | None) -> None:
    path = make(there)
    with pytest.raises(UserError, match="exists already; choose another path, or replace it with --overwrite"):
        refuse_taken_folder(path, False, kind)
    if kind is not None and kind in there:
        refuse_taken_folder(path, True, kind)
        with whole_folder(path, overwrite=True, kind=kind) as part:
            (part / "new").touch()
        assert [file.name for file in path.iterdir()] == ["new"]
        return
    with pytest.raises(UserError, match=r"exists and is no \w+.*, so it will not be replaced"):
        refuse_taken_folder(path, True, kind)
    with pytest.raises(UserError), whole_folder(path, overwrite=True, kind=kind):
        pass
    assert {file.read_text() for file in path.rglob("*") if file.is_file()} == {there}


@pytest.mark.parametrize("kind", ["store", "index"])
def test_own_files_in_a_folder_are_not_lost(make: Callable[[str], Path], kind: str) -> None:
    path = make(kind)
    (path / ".DS_Store").touch()
    refuse_taken_folder(path, True, kind)
    (path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=f"holds 'notes.txt', which is not part of the {kind}.*move that file away"):
        refuse_taken_folder(path, True, kind)


def test_an_input_is_not_replaced_whatever_it_is_called(make: Callable[[str], Path], tmp_path: Path) -> None:
    store = make("store")
    (tmp_path / "link").symlink_to(store)
    for given in (store, tmp_path / "link", store / "subsets", tmp_path / "run" / ".." / "store"):
        (tmp_path / "run").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="is read, so it will not be replaced"):
            refuse_taken_folder(store, True, "store", [given])
        with pytest.raises(UserError, match="is read, so it will not be replaced"):
            refuse_taken_folder(tmp_path / "link", True, "store", [given])
    refuse_taken_folder(store, True, "store", [tmp_path, tmp_path / "nowhere", Path("x" * 5000), make("index")])


def test_files(make: Callable[[str], Path], tmp_path: Path) -> None:
    path = tmp_path / "features.npz"
    refuse_taken_file(path, False, [path])
    path.touch()
    refuse_taken_file(path, True, [tmp_path / "other.npz"])
    with pytest.raises(UserError, match="exists already"):
        refuse_taken_file(path, False)
    with pytest.raises(UserError, match="is read, so it will not be replaced"):
        refuse_taken_file(path, True, [tmp_path / "." / "features.npz"])
    with pytest.raises(UserError, match="is a folder"):
        refuse_taken_file(tmp_path, True)
    for part in (make("store") / "clips.npz", make("run") / "config.yaml", make("index") / "encoder" / "card.json"):
        with pytest.raises(UserError, match="may be a part of a store, an index or a run; choose another path"):
            refuse_taken_file(part, True)
