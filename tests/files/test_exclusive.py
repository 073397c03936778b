"""Of two processes on one run, one works and the other is told."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from ssl_skel.errors import UserError
from ssl_skel.files.exclusive import LOCK, only_worker

HOLD = """
import sys
from pathlib import Path
from ssl_skel.files.exclusive import only_worker
with only_worker(Path(sys.argv[1])):
    print("locked", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "locked\n"
        with (
            pytest.raises(UserError, match="run: another process works on this run; wait"),
            only_worker(tmp_path / "run"),
        ):
            pass
        other.kill()
        other.wait()
        with only_worker(tmp_path / "run"):
            assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]


def test_other_ranks_neither_lock_nor_write(tmp_path: Path) -> None:
    with only_worker(tmp_path), only_worker(tmp_path, here=False), only_worker(tmp_path / "run", here=False):
        assert not (tmp_path / "run").exists()


def test_an_error_lets_go(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), only_worker(tmp_path):
        _ = 1 // 0
    with only_worker(tmp_path):
        pass


def test_a_folder_on_a_read_only_disk_is_open_to_who_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    (tmp_path / ".log.jsonl.0123abcd.partial").touch()
    monkeypatch.setattr(FileLock, "acquire", refuse)
    with only_worker(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [".log.jsonl.0123abcd.partial"]
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(UserError, match="new: cannot be written: Read-only"), only_worker(tmp_path / "new"):
        pass


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(UserError, match=r"cannot be written: .*; choose another folder for runs"),
        only_worker(tmp_path / "file" / "run"),
    ):
        pass
