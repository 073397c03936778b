"""Pickles of strangers: plain data comes through, code does not run, damage does not hang or swell."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssl_skel.data.readers.plain_pickle import LateArray, load_plain
from ssl_skel.errors import UserError

PROTOCOLS = range(2, pickle.HIGHEST_PROTOCOL + 1)
ARRAYS = {
    "float16": np.arange(24, dtype=np.float16).reshape(2, 3, 4),
    "float32": np.linspace(0, 1, 7, dtype=np.float32),
    "float64": np.array(3.5),
    "int64": np.arange(5),
    "big": np.arange(6, dtype=">f4"),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "view": np.arange(20.0).reshape(4, 5)[::2, 1:3],
    "bool": np.array([True, False]),
    "text": np.array(["ab", "c"]),
    "bytes": np.array([b"ab", b"c"]),
    "empty": np.zeros((0, 3), np.float32),
}


def load(folder: Path, data: bytes) -> Any:
    (folder / "anno.pkl").write_bytes(data)
    return load_plain(folder / "anno.pkl")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_arrays_and_containers_come_through(protocol: int, tmp_path: Path) -> None:
    plain = {
        "list": [1, -2.5, "text", None, True, b"bytes", (1, (2,))],
        "dict": {"a": 1, 2: {"b": [3]}},
        "long": 2**70,
        "ordered": collections.OrderedDict(a=1),
        "scalars": [np.float32(1.5), np.int64(7)],
    }
    shared = [1]
    found = load(tmp_path, pickle.dumps(plain | ARRAYS | {"twice": [shared, shared]}, protocol))
    assert {key: found[key] for key in plain} == plain
    assert found["twice"] == [[1], [1]]
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


class Evil:
    def __init__(self, function: Any, *words: Any) -> None:
        self.call = (function, words)

    def __reduce__(self) -> Any:
        return self.call


class Plain:
    pass


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("where", ["alone", "in an array", "in a list", "as a type"])
def test_code_does_not_run(protocol: int, where: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    evil = Evil(os.mkdir, str(proof))
    thing = {
        "alone": evil,
        "in an array": np.array([evil, None], object),
        "in a list": [np.zeros(3), evil],
        "as a type": Evil(np.dtype, evil),
    }[where]
    data = pickle.dumps(thing, protocol)
    with pytest.raises(UserError, match=r"anno\.pkl: is refused or damaged: .*; only plain data and arrays are read"):
        load(tmp_path, data)
    assert not proof.exists()
    pickle.loads(data)  # it would have worked
    assert proof.exists()


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (pickle.dumps(print), "builtins.print, which could run code"),
        (pickle.dumps(Path("a")), "which could run code"),
        (b"cos\nsystem\n(S'true'\ntR.", "os.system, which could run code"),
        (pickle.dumps(np.load), "which could run code"),
        (pickle.dumps(np.array([{}], object)), "an array of 'O8'"),
        (pickle.dumps(np.zeros(2, [("a", "f4")])), "an array of 'V4'"),
        (pickle.dumps(np.dtype("f4")), "a _Type"),
        (pickle.dumps(np.ndarray), "a type"),
        (pickle.dumps({1, 2}, 4), "a set"),
        (b"cnumpy\nndarray\n(tR}S'array'\ncos\nsystem\nsb.", "os.system"),
        (b"", "ends too early"),
        (b"not a pickle", ""),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.", "the file ends too early"),
        (b"\x80\x05\x96" + struct.pack("<Q", 2**62) + b"x.", ""),
        (b"Pab\n.", ""),
    ],
)
def test_what_is_not_plain_is_refused(data: bytes, reason: str, tmp_path: Path) -> None:
    with pytest.raises(UserError) as told:
        load(tmp_path, data)
    assert reason.lower() in str(told.value).lower()
    assert "\n" not in str(told.value)


def test_a_memo_of_a_huge_number_takes_no_room(tmp_path: Path) -> None:
    assert load(tmp_path, b"\x80\x02]r\xff\xff\xff\xff.") == []


def test_a_list_in_itself_and_a_tower_of_doubles_end(tmp_path: Path) -> None:
    ring: list[Any] = []
    ring.append(ring)
    with pytest.raises(UserError, match="contains itself"):
        load(tmp_path, pickle.dumps(ring))
    tower: Any = []
    for _ in range(60):
        tower = [tower, tower]
    assert len(load(tmp_path, pickle.dumps(tower))) == 2
    deep: Any = []
    for _ in range(100):
        deep = [deep]
    load(tmp_path, pickle.dumps(deep))
    with pytest.raises(UserError, match="refused or damaged"):
        load(tmp_path, b"]" * 100_000 + b"a" * 99_999 + b".")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_flipped_bytes_are_refused_or_give_other_data(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    protocol = data.draw(st.sampled_from(PROTOCOLS))
    whole = bytearray(pickle.dumps({"a": [1, "b", np.arange(4.0), np.float32(2)], "c": (None, 2**40)}, protocol))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(UserError):
        load(tmp_path_factory.getbasetemp(), bytes(whole))


# Arrays that stay in their file


LARGE = {
    "plain": np.arange(3000, dtype=np.float16).reshape(2, 30, 50),
    "fortran": np.asfortranarray(np.arange(3000.0).reshape(60, 50)),
    "bytes above 127": np.arange(5000, dtype=np.int32) * 12_345,
    "beyond a frame": np.arange(90_000, dtype=np.float32),
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_large_arrays_are_read_when_asked_for(protocol: int, tmp_path: Path) -> None:
    file = tmp_path / "anno.pkl"
    data = [{"name": name, "array": array, "twice": array, "small": array.ravel()[:3]} for name, array in LARGE.items()]
    file.write_bytes(pickle.dumps({"a": data, "more": list(range(9000)), "end": LARGE["plain"]}, protocol))
    found = load_plain(file, late=True)
    for (name, array), clip in zip(LARGE.items(), found["a"], strict=True):
        assert clip["name"] == name
        np.testing.assert_array_equal(clip["small"], array.ravel()[:3])
        for late in (clip["array"], clip["twice"]):
            assert isinstance(late, LateArray)
            assert (late.shape, late.dtype) == (array.shape, array.dtype)
            np.testing.assert_array_equal(late.load(), array)
    np.testing.assert_array_equal(found["end"].load(), LARGE["plain"])


@pytest.mark.parametrize("protocol", [2, 4])
def test_what_stays_in_the_file_takes_no_room(protocol: int, tmp_path: Path) -> None:
    file = tmp_path / "anno.pkl"
    arrays = np.random.default_rng(0).normal(size=(40, 50_000)).astype(np.float32)  # 8 MB
    file.write_bytes(pickle.dumps(list(arrays), protocol))
    tracemalloc.start()
    found = load_plain(file, late=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6
    np.testing.assert_array_equal(found[-1].load(), arrays[-1])


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_bytes_that_do_not_fill_their_array_are_refused_at_once(protocol: int, tmp_path: Path) -> None:
    data = pickle.dumps([np.zeros((60, 50), np.float16)], protocol)
    assert data.count(b"K\x3cK\x32") == 1
    (tmp_path / "anno.pkl").write_bytes(data.replace(b"K\x3cK\x32", b"K\x3dK\x32"))
    with pytest.raises(UserError, match="an array that its bytes do not fill"):
        load_plain(tmp_path / "anno.pkl", late=True)


@pytest.mark.parametrize("thing", ["a" * 5000, b"a" * 5000, {"a" * 5000: 1}])
def test_long_text_is_not_left_in_the_file(thing: Any, tmp_path: Path) -> None:
    (tmp_path / "anno.pkl").write_bytes(pickle.dumps([thing], 4))
    with pytest.raises(UserError, match="is refused or damaged"):
        load_plain(tmp_path / "anno.pkl", late=True)


@pytest.mark.parametrize("protocol", [2, 4])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_damage_of_what_stays_is_refused_or_gives_other_data(
    protocol: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(pickle.dumps({"a": LARGE["plain"], "b": [1, "text"]}, protocol))
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, 300) | st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    file = tmp_path_factory.mktemp("late") / "anno.pkl"
    file.write_bytes(whole[: data.draw(st.integers(0, len(whole))) if data.draw(st.booleans()) else None])
    with contextlib.suppress(UserError):
        found = load_plain(file, late=True)
        if isinstance(found, dict) and isinstance(found.get("a"), LateArray):
            with contextlib.suppress(ValueError):  # text that is none shows when it is read
                assert found["a"].load().shape == found["a"].shape
