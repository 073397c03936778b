"""A file appears whole or not at all: by errors, Ctrl-C, kill -9, a full disk, and two writers at once."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ssl_skel.errors import UserError
from ssl_skel.files.atomic import replacing, write_bytes, write_json, write_text
from ssl_skel.files.taken import refuse_taken_file
from ssl_skel.files.temporary import claim, left_behind

POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX signals and locks")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_texts_bytes_and_json_are_what_was_given(tmp_path: Path) -> None:
    write_bytes(tmp_path / "new" / "folder" / "bytes", b"\x00\xff")
    write_text(tmp_path / "text", "Grüße\n")
    write_json(tmp_path / "json", {"a": ["ü", 0.1]})
    assert (tmp_path / "new" / "folder" / "bytes").read_bytes() == b"\x00\xff"
    assert (tmp_path / "text").read_bytes() == "Grüße\n".encode()
    assert (tmp_path / "json").read_text("utf-8") == '{\n "a": [\n  "ü",\n  0.1\n ]\n}\n'
    assert names(tmp_path) == ["json", "new", "text"]


def test_the_former_file_stays_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("former")
    with replacing(path) as file:
        file.write(b"half")
        file.flush()
        assert path.read_text() == "former"
        assert left_behind(path) == [Path(file.name)]
        file.seek(0)
        assert file.read() == b"half"
        file.write(b" and half")
    assert path.read_text() == "half and half"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_an_error_and_control_c_leave_the_former_file(tmp_path: Path, error: type[BaseException]) -> None:
    def stopped() -> None:
        with replacing(tmp_path / "file") as file:
            file.write(b"half")
            raise error

    (tmp_path / "file").write_text("former")
    with pytest.raises(error):
        stopped()
    assert (tmp_path / "file").read_text() == "former"
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_is_one_line_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    (tmp_path / "file").write_text("former")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(UserError) as told:
        write_text(tmp_path / "file", "new", remedy="buy a disk")
    assert str(told.value) == f"{tmp_path / 'file'}: cannot be written: No space left on device; buy a disk"
    assert (tmp_path / "file").read_text() == "former"
    assert names(tmp_path) == ["file"]


@POSIX
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_is_written_as_it_is() -> None:
    write_text(Path(os.devnull), "text")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(UserError, match=r"/dev/full: cannot be written: No space left on device"):
        write_text(Path("/dev/full"), "text")


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_not_ours_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UserError, match="file: cannot be written: Permission denied"):
            write_text(tmp_path / "file", "text")
    finally:
        tmp_path.chmod(0o700)


def test_folders_in_the_way_and_missing_ones_are_told(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("former")
    with pytest.raises(UserError, match="folder: cannot be written: Is a directory"):
        write_text(tmp_path / "folder", "text")
    with pytest.raises(UserError, match="cannot be written"):
        write_text(tmp_path / "file" / "below", "text")
    with pytest.raises(UserError, match="below: cannot be written: No such file or directory"):
        write_text(tmp_path / "missing" / "below", "text", make_folder=False)
    assert names(tmp_path) == ["file", "folder"]


@POSIX
def test_links_in_a_circle_are_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    for path in (tmp_path / "a", tmp_path / "a" / "file"):
        refuse_taken_file(path, overwrite=False, inputs=[tmp_path / "a", tmp_path])
        with pytest.raises(UserError, match=r"cannot be written: (Too many levels of symbolic links|File exists)"):
            write_text(path, "text")
    assert names(tmp_path) == ["a", "b"]


@POSIX
def test_a_link_goes_on_pointing_where_it_does(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("former")
    (tmp_path / "link").symlink_to(Path("there") / "file")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there" / "file").read_text() == "new"


STUCK = """
import sys, time
from pathlib import Path
from ssl_skel.files.atomic import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("stuck", flush=True)
    time.sleep(600)
"""


@POSIX
def test_kill_9_leaves_the_former_file_and_the_next_writer_sweeps(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("former")
    other = claim(tmp_path / "file2", Path.mkdir)[0]
    process = subprocess.Popen([sys.executable, "-c", STUCK, path], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        (leftover,) = left_behind(path)
        write_text(path, "meanwhile")  # while it lives, its work is let be
        assert leftover.read_bytes() == b"half"
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "meanwhile"
    assert leftover.exists()
    write_text(path, "after")
    assert path.read_text() == "after"
    assert names(tmp_path) == sorted([other.name, "file"])


MANY = """
import sys
from pathlib import Path
from ssl_skel.files.atomic import write_text
path, letter = Path(sys.argv[1]), sys.argv[2]
for _ in range(150):
    write_text(path, letter * 50_000)
    text = path.read_text()
    assert len(text) == 50_000 and len(set(text)) == 1, "half a file"
"""


@POSIX
def test_of_two_processes_the_last_wins_with_a_whole_file(tmp_path: Path) -> None:
    words = [[sys.executable, "-c", MANY, str(tmp_path / "file"), letter] for letter in "ab"]
    processes = [subprocess.Popen(word, stderr=subprocess.PIPE, text=True) for word in words]
    assert [process.communicate()[1] for process in processes] == ["", ""]
    assert [process.returncode for process in processes] == [0, 0]
    assert names(tmp_path) == ["file"]
