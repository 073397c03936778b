"""``ssl-skel describe``: what it writes is true of the recordings, and ``convert`` reads them by it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from ssl_skel.cli.describe import describe as command
from ssl_skel.data.convert import convert
from ssl_skel.data.describing.formats import DESCRIBED, guess_format, table_settings
from ssl_skel.data.describing.names import guess_names
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.plausibility import implausible
from ssl_skel.data.readers import READERS
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.plain_yaml import read_yaml
from tests.data import raw_files

app = typer.Typer()
app.command()(command)


def call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


@pytest.fixture
def people(motions: Path) -> tuple[list[np.ndarray], Sequence[str]]:
    """A few clips (T, 25, 3) of one person each, in metres, y up; and the names of the joints."""
    store = Store.open(motions)
    rows = [row for row in range(len(store)) if store.persons[row] == 1][:8]
    return [store.clip(row)[0, :12] for row in rows], store.layout.joints


def converted(format: str, source: Path, store: Path) -> Store:
    convert(format, source, store, normalize=NormalizeConfig(), progress=False)
    return Store.open(store)


def test_arrays_of_motion_capture(people: tuple[list[np.ndarray], Sequence[str]], tmp_path: Path) -> None:
    """Millimetres with z up, and names that tell who does what."""
    source = tmp_path / "arrays"
    source.mkdir()
    for number, joints in enumerate(people[0]):
        name = f"{('anna', 'bert')[number % 2]}_{('bow', 'wave')[number // 2 % 2]}_{number // 4}"
        np.save(source / f"{name}.npy", np.stack([-joints[..., 0], joints[..., 2], joints[..., 1]], -1) * 1000)
    printed = call(source).output
    found = read_yaml((source / "recordings.yaml").read_text(), "recordings.yaml")
    assert (found["layout"], found["up"], found["units"]) == ("ntu25", "z", "mm")
    assert found["class_names"] == ["bow", "wave"]
    assert "guessed" in printed
    assert f"ssl-skel convert npy {source} STORE" in printed
    store = converted("npy", source, tmp_path / "store")
    assert not implausible(store)
    assert store.value_names["subject"] == {"anna": 1, "bert": 2}
    assert sorted(set(store.replication)) == [0, 1]
    assert [str(store.name[row])[:4] for row in load_split(store, "by_subject").test] == ["bert"] * 4
    with pytest.raises(UserError, match=r"recordings\.yaml: exists already.*--overwrite"):
        call(source)
    assert call(source, "--overwrite").exit_code == 0


def test_a_wide_table(people: tuple[list[np.ndarray], Sequence[str]], tmp_path: Path) -> None:
    source = tmp_path / "tables"
    source.mkdir()
    header = ";".join(["Frame_ID", *(f"{joint}_{axis}" for joint in people[1] for axis in "xyz")])
    for number, joints in enumerate(people[0][:3]):
        rows = [";".join([str(t), *map(str, frame.ravel())]) for t, frame in enumerate(joints * 100)]
        (source / f"s{number}_a1_t2.csv").write_text("\n".join([header, *rows, ""]))
    call(source)
    found = read_yaml((source / "recordings.yaml").read_text(), "recordings.yaml")
    assert (found["delimiter"], found["columns"], found["units"]) == (";", {"frame": "Frame_ID"}, "cm")
    store = converted("table", source, tmp_path / "store")
    assert len(store) == 3
    np.testing.assert_allclose(store.clip(1)[0], people[0][1] - people[0][1][0, store.layout.centre], atol=1e-3)


def test_every_described_format_is_read_by_what_was_written(tmp_path: Path) -> None:
    for number, (format, write) in enumerate(
        {
            "npy": lambda folder: [raw_files.npy(folder, name) for name in ("wave/a", "bow/b")],
            "npz": raw_files.npz,
            "bvh": lambda folder: raw_files.bvh(folder),
            "table": raw_files.table,
            "mediapipe": lambda folder: raw_files.mediapipe(folder),
            "openpose": lambda folder: raw_files.openpose(folder),
            "text": lambda folder: np.savetxt(folder / "s1_a2.txt", raw_files.walk(0, 9)[0].reshape(9, 75)),
        }.items()
    ):
        source = tmp_path / format
        source.mkdir()
        write(source)
        for left in source.rglob("*.yaml"):
            left.unlink()
        assert guess_format(source) == format
        call(source)
        assert "cannot be read" not in (source / "recordings.yaml").read_text()
        assert len(converted(format, source, tmp_path / f"store{number}")) >= 1


@pytest.mark.parametrize("format", DESCRIBED)
def test_one_description_goes_with_every_open_format(format: str) -> None:
    keys = {"layout", "units", "up", "scale", "fps", "names", "labels", "splits", "class_names"}
    assert keys <= set(READERS[format].Options.model_fields)


@pytest.mark.parametrize(
    ("names", "pattern"),
    [
        (["S001C002P003R002A013", "S002C001P001R001A014"], "P(?P<subject>[0-9]+)"),
        (["rec1.x", "rec2.y"], r"rec(?P<recording>[0-9]+)\.(?P<label>[A-Za-z]+)$"),
        (["day1/p1", "day2/p2"], "p(?P<subject>[0-9]+)$"),
        (["a_b", "a_b_c"], ""),
        (["only"], ""),
        (["äö_1", "üß_2"], ""),
    ],
)
def test_patterns_of_names(names: list[str], pattern: str) -> None:
    found = guess_names(names)
    assert pattern in found
    assert bool(pattern) == bool(found)


def test_columns_by_other_names(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("video\tkeypoint\tFrame\tx\ty\taction\nv1\tnose\t0\t1\t2\twave\n")
    settings, joints = table_settings(tmp_path / "t.csv")
    columns = {"clip": "video", "joint": "keypoint", "frame": "Frame", "label": "action"}
    assert settings == {"delimiter": "\t", "columns": columns}
    assert joints == ["nose"]


def test_decimal_commas_are_noted(tmp_path: Path) -> None:
    rows = [f"0;{joint};0,00076;1,5;2,25\n" for joint in LAYOUTS["sbu15"].joints]
    (tmp_path / "t.csv").write_text("".join(["frame;joint;x;y;z\n", *rows]))
    assert call(tmp_path).exit_code == 0
    text = (tmp_path / "recordings.yaml").read_text()
    assert "# they cannot be read yet: t.csv: line 2, column 'x': '0,00076' is not a number; save it with a" in text


def test_what_cannot_be_described(tmp_path: Path) -> None:
    for source, message in ((tmp_path / "no", "does not exist"), (tmp_path, "other formats need no description")):
        with pytest.raises(UserError, match=message):
            call(source)
    with pytest.raises(UserError, match="unknown format 'ntu'"):
        call(tmp_path, "--format", "ntu")
    (tmp_path / "x.npy").write_bytes(b"no array")
    call(tmp_path)  # damage is told, and does not stop it
    assert "# they cannot be read yet: " in (tmp_path / "recordings.yaml").read_text()
