"""What was said at conversion holds for raw recordings afterwards, at every door; what contradicts it is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import raw_files
import torch
import yaml
from typer.testing import CliRunner

from finetune.config import FinetuneConfig
from finetune.predict import predict
from finetune.run import run as evaluate
from ssl_skel.backbones.configs.tcn import TCNConfig
from ssl_skel.cli.app import build
from ssl_skel.config import parse_config
from ssl_skel.data.convert import convert
from ssl_skel.data.merge import merge
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.repair import RepairConfig
from ssl_skel.data.store import Store
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.embedding.table import embed
from ssl_skel.encoders.card import EncoderCard
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import save_encoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import unit
from ssl_skel.retrieval.build import build_index
from ssl_skel.retrieval.index import MotionIndex
from ssl_skel.retrieval.merge import merge_indexes
from ssl_skel.retrieval.queries import load_queries
from ssl_skel.view.runs import store_of_run


def bvh(folder: Path) -> Path:
    for number, name in enumerate(("wave/one", "bow/two", "bow/three")):
        raw_files.bvh(folder, name, motion=40 * raw_files.points(9, 24, seed=number).astype(np.float64))
    return folder


def table(folder: Path) -> Path:
    folder.mkdir(parents=True)
    for number, label in enumerate(("wave", "bow", "wave")):
        joints = 1000 * raw_files.walk(number, 8, 15)[0]
        header = ["seen", "what", *(f"{axis}{joint}" for joint in range(15) for axis in "xyz")]
        rows = [[str(t), label, *map(str, frame.ravel())] for t, frame in enumerate(joints)]
        lines = [",".join(row) for row in [header, *rows]]
        (folder / f"clip{number}.csv").write_text("\n".join(lines) + "\n")
    return folder


def openpose(folder: Path) -> Path:
    for number, name in enumerate(("wave/one", "bow/two", "wave/three")):
        chance = np.random.default_rng(number)
        people = np.stack([chance.uniform(100, 300, (6, 25)), chance.uniform(100, 600, (6, 25))], -1)
        scored = np.concatenate([people, chance.uniform(0, 1, (6, 25, 1))], -1)
        (folder / name).mkdir(parents=True)
        for t, frame in enumerate(scored):
            found = [frame, frame + np.array([2000, 0, 0])][: 2 if t else 1]
            said = {"people": [{"pose_keypoints_2d": person.ravel().tolist()} for person in found]}
            (folder / name / f"{t}_keypoints.json").write_text(json.dumps(said))
    return folder


@dataclass(frozen=True)
class Case:
    """Recordings, how they are converted, and one file of them."""

    write: Callable[[Path], Path]
    one: str
    options: Sequence[str] = ()
    more: Mapping[str, Any] = ()  # type: ignore[assignment]


CASES = {
    "bvh": Case(bvh, "bow/two.bvh", ["units=mm", "fps=60"], {"layout": "common15", "rate": 24.0}),
    "table": Case(
        table,
        "clip1.csv",
        ["units=mm", "up=z", "columns={frame: seen, label: what}", "joint_columns={axis}{joint}", "layout=sbu15"],
    ),
    "openpose": Case(openpose, "bow/two", ["height=720", "persons=1", "min_score=0.3", "min_seen=0"]),
    "repaired": Case(bvh, "bow/two.bvh", ["scale=2"], {"repairs": RepairConfig(steps=("jumps",), jump=0.1)}),
}


@dataclass(frozen=True)
class Desk:
    """Recordings, their store, and a run with an encoder that takes its clips."""

    raw: Path
    one: Path
    store: Store
    run: Path


def desk(folder: Path, case: str) -> Desk:
    format, how = "bvh" if case == "repaired" else case, CASES[case]
    raw = how.write(folder / "raw")
    convert(format, raw, folder / "store", normalize=NormalizeConfig(), options=how.options, progress=False,
            **dict(how.more))  # fmt: skip
    store = Store.open(folder / "store")
    return Desk(raw, raw / how.one, store, trained(folder / "run", store))


def trained(run: Path, store: Store) -> Path:
    torch.manual_seed(0)
    encoder = build_encoder(
        TCNConfig(size="tiny"), store.layout, channels=store.channels, num_frames=16, stream="joint"
    )
    card = EncoderCard.of(encoder, normalization=store.normalization, conversions=store.conversions)
    save_encoder(run / "encoder", encoder, card)
    return run


@pytest.fixture(params=CASES)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return desk(tmp_path, request.param)


def test_a_raw_query_has_the_stores_own_vector_at_every_door(made: Desk, tmp_path: Path) -> None:
    embedder = Embedder(made.run, device="cpu", batch_size=1)
    expected = embedder.encode(made.store)
    row = expected[[next(r for r, name in enumerate(made.store.name) if made.one.stem in name)]]
    scale = np.abs(expected).max()

    def same(found: np.ndarray) -> None:
        np.testing.assert_allclose(found, row, rtol=0, atol=1e-6 * scale)

    same(embedder.encode(made.one))
    assert np.abs(embedder.encode(made.raw) - expected).max() <= 1e-6 * scale
    embed(made.run, made.one, tmp_path / "f.npz", device="cpu", batch_size=1)
    with np.load(tmp_path / "f.npz") as data:
        same(data["features"])
    index = build_index(made.run, made.store.path, tmp_path / "index", device="cpu", batch_size=1)
    (query,) = load_queries(index, made.one)
    np.testing.assert_allclose(query.vector, row[0], rtol=0, atol=1e-6 * scale)
    assert index.search_vectors(unit(query.vector[None]), 1)[1][0, 0] == pytest.approx(1, abs=1e-6)
    same(embedder.features(store_of_run(made.run, embedder, made.one)))


def test_a_classifier_converts_as_its_training_clips_were(tmp_path: Path) -> None:
    made = desk(tmp_path, "table")
    config = {
        "name": "evaluation",
        "data": {"store": str(made.store.path)},
        "encoders": {"random": str(made.run)},
        "protocols": [{"name": "linear", "c": 0.1, "save": True}],
        "baselines": [],
        "device": "cpu",
        "runs": str(tmp_path),
    }
    evaluate(parse_config(FinetuneConfig, config, "test"))
    stored = predict(tmp_path / "evaluation", made.store.path)
    found = predict(tmp_path / "evaluation", made.one)
    assert found.clips == ("clip1",)
    np.testing.assert_allclose(found.probability[0], stored.probability[stored.clips.index("clip1")], atol=1e-6)
    other = predict(tmp_path / "evaluation", made.one, options=["units=cm"]).probability
    assert np.abs(other - found.probability).max() > 1e-6
    (made.raw / "broken.csv").write_text("")
    with pytest.raises(UserError, match=r"raw/broken\.csv: is empty$"):
        predict(tmp_path / "evaluation", made.raw)
    words = ["predict", str(tmp_path / "evaluation"), str(made.raw), "--skip-bad"]
    answer = CliRunner().invoke(build(), words, catch_exceptions=False)
    assert "left out: broken.csv: is empty\n" in answer.stderr
    assert "clip1" in answer.stdout


def test_options_of_the_query_win_and_what_contradicts_is_refused(tmp_path: Path) -> None:
    made = desk(tmp_path, "table")
    embedder = Embedder(made.run, device="cpu")
    as_before = embedder.encode(made.one)
    in_metres = tmp_path / "metres" / "clip1.csv"
    in_metres.parent.mkdir()
    in_metres.write_bytes(made.one.read_bytes())
    for description in ({"units": "m"}, {"units": "mm", "names": "(?P<subject>[0-9]+)"}):
        (in_metres.parent / "recordings.yaml").write_text(yaml.safe_dump(description))
        if description["units"] == "mm":  # says the same
            assert np.array_equal(embedder.encode(in_metres), as_before)
        else:
            with pytest.raises(UserError, match=r"clip1.csv: units: is m here, and was mm at conversion; give units="):
                embedder.encode(in_metres)
            larger = embedder.clips(in_metres, options=["units=m"]).joints
            np.testing.assert_allclose(larger, 1000 * embedder.clips(made.one).joints, rtol=1e-4, atol=1e-2)
    assert np.array_equal(embedder.encode(made.one, format="table"), as_before)
    with pytest.raises(UserError, match="unitz"):
        embedder.encode(made.one, format="table", options=["unitz=m"])
    for source in (made.store, made.store.path, [np.ones((9, 15, 3))]):
        with pytest.raises(UserError, match="units=m: options are for raw recordings"):
            embedder.encode(source, options=["units=m"])


def test_an_encoder_of_a_merged_store_keeps_the_options_of_each_format(tmp_path: Path) -> None:
    parts = {case: desk(tmp_path / case, case) for case in ("bvh", "table")}
    for case, part in parts.items():
        part.store.path.rename(tmp_path / f"store_{case}")
    merge([tmp_path / "store_bvh", tmp_path / "store_table"], tmp_path / "all", "common15")
    store = Store.open(tmp_path / "all")
    assert [one.format for one in store.conversions] == ["bvh", "table"]
    embedder = Embedder(trained(tmp_path / "run", store), device="cpu", batch_size=1)
    expected = embedder.encode(store)
    found = np.concatenate([embedder.encode(part.raw) for part in parts.values()])
    assert np.abs(found - expected).max() <= 1e-6 * np.abs(expected).max()
    # a format that none of its stores came from is brought to its layout too
    raw_files.sbu(tmp_path / "sbu")
    assert embedder.clips(tmp_path / "sbu", "sbu").layout == store.layout


def test_several_conversions_of_one_format_need_a_word_where_they_differ(tmp_path: Path) -> None:
    made = desk(tmp_path / "one", "table")
    convert("table", made.raw, tmp_path / "two", normalize=NormalizeConfig(), progress=False,
            options=[*CASES["table"].options[1:], "units=cm"])  # fmt: skip
    made.store.path.rename(tmp_path / "one_store")
    merge([tmp_path / "one_store", tmp_path / "two"], tmp_path / "all", "common15")
    embedder = Embedder(trained(tmp_path / "run", Store.open(tmp_path / "all")), device="cpu")
    with pytest.raises(UserError, match="table: units: recordings were converted with mm and cm; give units="):
        embedder.encode(made.one)
    assert embedder.encode(made.one, options=["units=mm"]).shape == (1, embedder.dim)


def test_an_index_goes_by_its_own_store(tmp_path: Path) -> None:
    made = desk(tmp_path, "table")
    convert("table", made.raw, tmp_path / "other", normalize=NormalizeConfig(), progress=False,
            options=[*CASES["table"].options[1:], "units=cm"])  # fmt: skip
    parts = [
        build_index(made.run, tmp_path / "other", tmp_path / f"part{part}", shard=(part, 2), device="cpu")
        for part in (1, 2)
    ]
    whole = merge_indexes([part.path for part in parts], tmp_path / "whole")
    assert [one.options["units"] for one in whole.conversions] == ["cm"]
    (query,) = load_queries(whole, made.one)
    assert whole.search_vectors(query.vector[None], 1)[1][0, 0] == pytest.approx(1, abs=1e-6)


def test_an_index_that_says_nothing_of_conversions_goes_by_its_encoder(tmp_path: Path) -> None:
    made = desk(tmp_path, "table")
    index = build_index(made.run, made.store.path, tmp_path / "index", device="cpu")
    index.meta.pop("conversions")
    assert MotionIndex.conversions.fget(index) == ()  # type: ignore[attr-defined]
    assert load_queries(index, made.one)[0].name == "clip1"


def test_a_raw_file_is_found_as_itself_on_the_command_line(tmp_path: Path) -> None:
    made = desk(tmp_path, "bvh")
    build_index(made.run, made.store.path, tmp_path / "index", device="cpu")
    result = CliRunner().invoke(build(), ["search", str(tmp_path / "index"), str(made.one)], catch_exceptions=False)
    first = result.output.splitlines()[2].split()
    assert (first[0], float(first[1])) == ("1", 1.0)
    assert "bow_two" in first
    assert "copy of the query" in result.output
