"""A conversion in parts: joined, they are what one machine would have made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_source import motion, small_source, to_store, write_clip

from ssl_skel.data import shards as module
from ssl_skel.data.merge import merge
from ssl_skel.data.repair import RepairConfig
from ssl_skel.data.shards import merge_shards
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return small_source(tmp_path)


def in_parts(source: Path, count: int, prefix: str = "part", **options: Any) -> list[Path]:
    for number in range(1, count + 1):
        to_store(source, f"{prefix}{number}", shard=(number, count), **options)
    return [source.parent / f"{prefix}{number}" for number in range(1, count + 1)]


def without_date(store: Path) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((store / "meta.json").read_text("utf-8"))
    del meta["provenance"]["date"]
    return meta


@pytest.mark.parametrize("stopped", [False, True])
def test_joined_parts_are_the_whole(source: Path, stopped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all that a conversion counts and lists; the merge goes on where it was stopped."""
    jump = motion(5, 9)
    jump[4:] += 5
    write_clip(source, "a03_s03_e01_v01", jump)
    (source / "a02_s02_e05_v01.json").write_text("{")
    (source.parent / "list.txt").write_text("a01_s01_e00_v02\nnowhere\n")
    options = {"skip_bad": True, "exclude": source.parent / "list.txt", "dtype": "float16"}
    options["repairs"] = RepairConfig(steps=("jumps", "gaps"))
    whole, joined = source.parent / "store", source.parent / "joined"
    to_store(source, **options)
    parts = in_parts(source, 3, **options)
    copied: list[Path] = []
    copy = module._copy

    def stops(part: Store, *others: Any) -> None:
        copied.append(part.path)
        if stopped and len(copied) == 2:
            raise KeyboardInterrupt
        copy(part, *others)

    monkeypatch.setattr(module, "_copy", stops)
    if stopped:
        with pytest.raises(KeyboardInterrupt):
            merge_shards(parts, joined, progress=False)
        assert not joined.exists()
    merge_shards([*reversed(parts)], joined, progress=False)
    assert copied == ([parts[0], parts[1], *parts[1:]] if stopped else parts)
    for file in ("joints.npy", "clips.npz", "repairs.json"):
        assert (joined / file).read_bytes() == (whole / file).read_bytes(), file
    assert without_date(joined) == without_date(whole)
    Store.open(joined).verify()
    assert not [*source.parent.glob(".*")]


def test_what_does_not_belong_together_is_refused_in_one_line(source: Path, tmp_path: Path) -> None:
    parts = in_parts(source, 3)
    to_store(source)
    other = in_parts(source, 2, "half")
    with (source.parent / "list.txt").open("w") as file:
        file.writelines(f"{name}\n" for name in Store.open(parts[0]).name)
    with pytest.raises(UserError, match=r"part 1/3 holds no clips besides 3 left out; convert in fewer parts"):
        to_store(source, "empty", shard=(1, 3), exclude=source.parent / "list.txt")
    (tmp_path / "more").mkdir()
    more = small_source(tmp_path / "more")
    (more / "a03_s03_e00_v03.json").rename(more / "a03_s03_e01_v03.json")
    elsewhere = in_parts(more, 3)[2]
    centred = in_parts(source, 3, "f16", dtype="float16")
    cases: dict[str, list[Path]] = {
        "part 2/3 is missing; make it with convert --shard 2/3": [parts[0], parts[2]],
        "part 1/3 and 1 more are missing": [parts[1]],
        "and so is": [*parts, parts[0]],
        "is one of 3 parts": [*parts[:2], other[0]],
        "of other files": [*parts[:2], elsewhere],
        "dtype: differs": [*parts[:2], centred[2]],
        "is not made by convert --shard": [source.parent / "store"],
        "give the stores to join": [],
    }
    for message, given in cases.items():
        with pytest.raises(UserError, match=message) as told:
            merge_shards(given, tmp_path / "joined", progress=False)
        assert "\n" not in str(told.value)
    with pytest.raises(UserError, match=r"part2: is part 2/3 .*part1 is a part of; join .* with ssl-skel merge-shards"):
        merge(parts[:2], tmp_path / "merged", "common15", progress=False)
    for shard, message in (((3, 2), "counts parts from 1"), ((1, 99), "has fewer files than parts, 9; use fewer")):
        with pytest.raises(UserError, match=message):
            to_store(source, "none", shard=shard)
    with (parts[1] / "joints.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\7")
    with pytest.raises(UserError, match="convert this part again"):
        merge_shards(parts, tmp_path / "joined", progress=False)
    assert not (tmp_path / "joined").exists()


def test_a_name_in_two_parts_is_refused(source: Path, tmp_path: Path) -> None:
    parts = in_parts(source, 2)
    names = Store.open(parts[0]).name
    with np.load(parts[1] / "clips.npz") as data:
        columns = dict(data)
    columns["name"][-1] = names[2]
    np.savez(parts[1] / "clips.npz", **columns)
    with pytest.raises(UserError, match=f"two clips are called '{names[2]}'"):
        merge_shards(parts, tmp_path / "joined", progress=False)
