"""Conversion that is stopped, killed, or done by several processes: nothing half is left, and it goes on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_source import PLAIN, motion, small_source, to_store, write_clip

from ssl_skel.data.convert import convert
from ssl_skel.data.meta import Provenance
from ssl_skel.data.readers import READERS
from ssl_skel.data.readers.nw_ucla import NwUclaReader
from ssl_skel.data.store import Store
from ssl_skel.data.writer import StoreWriter
from ssl_skel.errors import UserError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_source(tmp_path)


class InterruptedReader(NwUclaReader):
    def read(self, file: Path) -> Iterator[Any]:
        if file.stem == "a03_s03_e00_v01":
            raise KeyboardInterrupt
        yield from super().read(file)


def test_control_c_leaves_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READERS, "nw-ucla", InterruptedReader)
    with pytest.raises(KeyboardInterrupt):
        to_store(source)
    assert [entry.name for entry in source.parent.iterdir()] == ["source"]


STUCK = """
import sys, time
from pathlib import Path
from ssl_skel.data.convert import convert
from ssl_skel.data.readers import READERS
from ssl_skel.data.normalize import NormalizeConfig

class Stuck(READERS["nw-ucla"]):
    def read(self, file):
        if file.stem == "a03_s03_e00_v01":
            print("stuck", flush=True)
            time.sleep(600)
        yield from super().read(file)

READERS["nw-ucla"] = Stuck
convert("nw-ucla", Path(sys.argv[1]), Path(sys.argv[2]), normalize=NormalizeConfig(), overwrite=True, progress=False)
"""


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
@pytest.mark.parametrize("replace", [False, True])
def test_kill_9_leaves_no_half_store_and_the_next_one_cleans_up(source: Path, replace: bool) -> None:
    store = source.parent / "store"
    if replace:
        to_store(source)
    process = subprocess.Popen([sys.executable, "-c", STUCK, source, store], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "stuck\n"
        (leftover,) = source.parent.glob(".store.*.partial")
        try:
            with pytest.raises(UserError, match="another process is writing it"):
                to_store(source, "store", overwrite=True)
        finally:
            process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert leftover.exists()
    assert store.exists() == replace
    to_store(source, overwrite=True)
    assert sorted(entry.name for entry in source.parent.iterdir()) == ["source", "store"]


class Killed(BaseException):
    """Stands for a kill: what it strikes is told nothing but that it ends."""


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Converts, is killed before the given clip, and returns how many were added; every clip is a checkpoint."""
    monkeypatch.setattr("ssl_skel.data.convert._SECONDS_BETWEEN_CHECKPOINTS", 0)
    add = StoreWriter.add

    def run(format: str, source: Path, store: Path, before: int = 99, **options: Any) -> int:
        added = 0

        def struck(self: StoreWriter, *args: Any) -> None:
            nonlocal added
            added += 1
            if added == before:
                self._file.write(b"half a clip")
                raise Killed
            add(self, *args)

        with monkeypatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr(StoreWriter, "add", struck)
            convert(format, source, store, normalize=PLAIN, skip_bad=True, progress=False, **options)
        return added

    return run


def undated(store: Store) -> Provenance:
    return store.provenance.model_copy(update={"date": ""})


def same_store(one: Path, other: Path) -> bool:
    a, b = Store.open(one), Store.open(other)
    columns = ("offset", "frames", "persons", "label", "subject", "camera", "name", "content")
    for store in (a, b):
        store.verify()
    return (
        a.sha256 == b.sha256
        and (a.layout, a.class_names, a.splits) == (b.layout, b.class_names, b.splits)
        and (a.normalization, a.filled) == (b.normalization, b.filled)
        and undated(a) == undated(b)
        and all(np.array_equal(getattr(a, column), getattr(b, column)) for column in columns)
    )


def test_a_killed_conversion_goes_on_where_it_stopped(source: Path, kill: Callable[..., int]) -> None:
    (source / "a01_s01_e00_v02.json").write_text("{")
    to_store(source, "whole", skip_bad=True)
    store = source.parent / "store"
    for before in (5, 2):  # of 8 sound clips 4 are written, then 1
        kill("nw-ucla", source, store, before)
        assert not store.exists()
    assert kill("nw-ucla", source, store) == 3
    assert same_store(store, source.parent / "whole")
    assert sorted(entry.name for entry in source.parent.iterdir()) == ["source", "store", "whole"]


def test_a_killed_conversion_of_one_file_goes_on_too(tmp_path: Path, kill: Callable[..., int]) -> None:
    joints = np.random.default_rng(0).normal(size=(6, 5, 15, 3))
    joints[1] = np.nan
    source, store = tmp_path / "mine.npz", tmp_path / "store"
    np.savez(source, joints=joints)
    convert("npz", source, tmp_path / "whole", normalize=PLAIN, layout="sbu15", skip_bad=True, progress=False)
    kill("npz", source, store, 4, layout="sbu15")
    assert kill("npz", source, store, layout="sbu15") == 2
    assert same_store(store, tmp_path / "whole")


@pytest.mark.parametrize("change", ["options", "a file"])
def test_work_that_was_killed_is_gone_on_with_only_by_the_same(
    source: Path, change: str, kill: Callable[..., int]
) -> None:
    kill("nw-ucla", source, source.parent / "store", 5)
    options: dict[str, Any] = {"skip_bad": True}
    if change == "a file":
        write_clip(source, "a01_s01_e00_v01", motion(99, 8))
    else:
        options["dtype"] = "float16"
    to_store(source, **options)
    to_store(source, "whole", **options)
    assert same_store(source.parent / "store", source.parent / "whole")
    assert sorted(entry.name for entry in source.parent.iterdir()) == ["source", "store", "whole"]


@pytest.mark.parametrize("cut", ["journal", "joints"])
def test_a_crash_in_the_middle_of_a_note_loses_only_the_note(source: Path, cut: str, kill: Callable[..., int]) -> None:
    store = source.parent / "store"
    kill("nw-ucla", source, store, 5)
    (left,) = source.parent.glob(".store.*.partial")
    if cut == "journal":
        with (left / "journal.jsonl").open("ab") as file:
            file.write(b'{"rows": 12, "chan')
    else:  # a disk that lied
        (left / "joints.npy").write_bytes(b"")
    assert kill("nw-ucla", source, store, 2) == 2
    assert kill("nw-ucla", source, store) == (4 if cut == "journal" else 8)
    to_store(source, "whole", skip_bad=True)
    assert same_store(store, source.parent / "whole")


def test_jobs_change_nothing(source: Path) -> None:
    (source / "a02_s02_e00_v02.json").write_text("{")
    for subject in range(4, 9):
        write_clip(source, f"a01_s0{subject}_e00_v01", motion(subject))
    to_store(source, "one", skip_bad=True)
    to_store(source, "two", skip_bad=True, jobs=2)
    assert same_store(source.parent / "one", source.parent / "two")
    with pytest.raises(UserError, match=r"a02_s02_e00_v02\.json: is damaged.*--skip-bad"):
        to_store(source, "three", jobs=2)
    assert sorted(entry.name for entry in source.parent.iterdir()) == ["one", "source", "two"]
    with pytest.raises(UserError, match="jobs: must be at least 1"):
        to_store(source, "three", jobs=0)
