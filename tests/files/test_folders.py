"""Folders that are replaced: a kill between the two renames costs nothing; of two writers one is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ssl_skel.errors import UserError
from ssl_skel.files import folders
from ssl_skel.files.exclusive import only_worker
from ssl_skel.files.folders import absolute, restore
from ssl_skel.files.partial import whole_folder
from ssl_skel.files.temporary import claim

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX locks and links")

REPLACE = """
import os, sys
from pathlib import Path
from ssl_skel.files import folders
target, stop = Path(sys.argv[1]), int(sys.argv[2])
renames, replace = 0, os.replace
def counted(*paths):
    global renames
    replace(*paths)
    renames += 1
    if renames == stop:
        os._exit(9)
os.replace = counted
(target.parent / "new").mkdir()
(target.parent / "new" / "file").write_text("new")
folders.move(target.parent / "new", target)
"""

HOLD = """
import sys
from pathlib import Path
from ssl_skel.files.partial import whole_folder
with whole_folder(Path(sys.argv[1])) as folder:
    (folder / "file").write_text("first")
    print("writing", flush=True)
    sys.stdin.read()
"""


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "file").write_text("former")
    return tmp_path / "target"


@POSIX
@pytest.mark.parametrize(("stop", "content"), [(1, "former"), (2, "new")])
def test_a_replacement_killed_anywhere_leaves_the_former_or_the_new_folder(
    target: Path, stop: int, content: str
) -> None:
    assert subprocess.run([sys.executable, "-c", REPLACE, target, str(stop)], check=False).returncode == 9
    assert target.exists() == (stop == 2)
    restore(target)
    restore(target)
    assert (target / "file").read_text() == content
    folders.sweep(target)
    assert ".target.old" not in names(target.parent)


@POSIX
def test_nothing_is_put_back_while_the_writer_lives(target: Path) -> None:
    target.rename(target.with_name(".target.old"))
    _, handle = claim(target, Path.mkdir)
    restore(target)
    assert not target.exists()
    assert handle is not None
    os.close(handle)
    restore(target)
    assert (target / "file").read_text() == "former"


def test_what_cannot_be_put_back_is_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    old = target.rename(target.with_name(".target.old"))
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(UserError, match=r"put back: Read-only file system; rename \S+\.target\.old to target$"):
        restore(target)
    assert old.exists()


@POSIX
def test_of_two_writers_of_one_folder_the_second_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    command = [sys.executable, "-c", HOLD, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        with pytest.raises(UserError, match="folder: another process is writing it; wait"), whole_folder(path):
            pass
        first.communicate("")
    assert (path / "file").read_text() == "first"
    assert names(tmp_path) == ["folder"]


@POSIX
def test_a_killed_writer_is_in_nobodys_way(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    command = [sys.executable, "-c", HOLD, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "writing\n"
        first.kill()
    with whole_folder(path) as folder:
        (folder / "file").write_text("second")
    assert (path / "file").read_text() == "second"
    assert names(tmp_path) == ["folder"]


@POSIX
def test_a_worker_sweeps_what_killed_ones_left(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "below" / ".checkpoints.removed").mkdir(parents=True)
    (run / "below" / ".step_3.0123abcd.partial").mkdir()
    (run / ".log.jsonl.0123abcd.partial").touch()
    (run / ".index.old").mkdir()
    (run / "kept").mkdir()
    (run / ".kept.old").mkdir()
    for name in (".hidden", "a.partial", ".mine.partial", ".mine.old"):
        (run / name).touch()
    living, handle = claim(run / "page.html", Path.touch)
    with only_worker(run):
        assert names(run) == sorted(
            [living.name, ".hidden", ".lock", ".mine.old", ".mine.partial", "a.partial", "below", "index", "kept"]
        )
        assert names(run / "below") == []
    assert handle is not None
    os.close(handle)


def loop(folder: Path) -> Path:
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    return folder / "a"


@POSIX
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: Path("/"), "/: is the root of all; choose another path"),
        (loop, "a: its links lead in a circle; choose another path"),
        (lambda folder: loop(folder) / "store", "a/store: its links lead in a circle; choose another path"),
    ],
)
def test_places_where_nothing_can_be_written_are_told(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    path = make(tmp_path)
    with pytest.raises(UserError) as caught:
        absolute(path)
    assert str(caught.value).endswith(words)
    with pytest.raises(UserError), whole_folder(path, overwrite=True, kind="store"):
        pass
