"""What the audit finds in real recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ssl_skel.data.audit.inspection import audit
from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig


@pytest.mark.parametrize("how", [{}, {"orient": True}, {"orient": True, "scale": True, "centre": "frame"}])
def test_the_copies_of_nw_ucla_are_found(real_data: Path, tmp_path: Path, how: dict[str, Any]) -> None:
    convert(
        *("nw-ucla", real_data / "nw_ucla" / "all_sqe", tmp_path / "store"),
        normalize=NormalizeConfig(**how),
        progress=False,
    )
    found = audit(tmp_path / "store", progress=False)
    assert found.counts["differences"] == []
    twice = found.exclude["copy"]
    assert len(twice) == 95
    assert sum(name.startswith("a02_") for name in twice) == 50
    assert sum(name.startswith("a03_") for name in twice) == 45
    assert all(name.endswith("_v03") for name in twice)
    assert found.copies == [[name.replace("_v03", "_v02"), name] for name in twice]
    assert (found.splits["xview"]["copies"], found.splits["xsub"]["copies"]) == (twice, [])
    assert found.near == []
    assert len(found.overlaps) == 15  # the last shares 10 frames of 97, of which rounded coordinates showed 9
    assert sum(pair["share"] > 0.15 for pair in found.overlaps) == 14
    assert len({name for names in found.exclude.values() for name in names}) == 104
    assert all("_s01_" in name for pair in found.overlaps for name in pair["clips"])
    assert len(found.conflicts) == 8


@pytest.mark.parametrize(
    ("format", "folder", "kinds", "shared"),
    [
        ("utd-mhad", "utd_mhad", {"spike": 1, "bone_length_variance": 6}, [["a24_s4_t1", "a25_s4_t1"]]),
        ("sbu", "sbu", {"bone_length_variance": 7}, []),
    ],
)
def test_findings_in_the_other_real_sets(
    real_data: Path, tmp_path: Path, format: str, folder: str, kinds: dict[str, int], shared: list[list[str]]
) -> None:
    convert(format, real_data / folder, tmp_path / "store", normalize=NormalizeConfig(), progress=False)
    found = audit(tmp_path / "store", progress=False)
    assert found.counts["differences"] == []
    assert {kind: len(items) for kind, items in found.findings.items()} == kinds
    assert (found.copies, found.near, found.exclude) == ([], [], {})
    assert [pair["clips"] for pair in found.overlaps] == shared
