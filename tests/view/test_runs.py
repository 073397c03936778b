"""What a run has to show: neighbours as loops find them, the map, and what is said where something is missing."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.embedding.embedder import Embedder
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.view.draw.run_pages import Curves
from ssl_skel.view.runs import charts, compare, embedding_map, page_of_run


def vectors(run: Path, store: Store) -> np.ndarray:
    encoder, _ = load_encoder(run)
    features = extract_features(encoder, whole_clips(store, num_frames=16)).astype(np.float64)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.mark.parametrize("name", ["unseen", "all"])
def test_neighbours_are_those_of_a_loop(done: Path, motions: Path, name: str) -> None:
    store = Store.open(motions)
    found = compare(Embedder(done, device="cpu"), store, name)
    split, unit = load_split(store, name), vectors(done, store)
    queries = split.test if len(split.test) else split.train
    confusion = np.zeros((store.num_classes,) * 2, int)
    for query in queries:
        others = [row for row in split.train if row != query]
        nearest = max(others, key=lambda row: unit[row] @ unit[query])
        confusion[store.label[query], store.label[nearest]] += 1
    np.testing.assert_array_equal(found.confusion, confusion)
    right = 100 * np.trace(confusion) / len(queries)
    assert found.note.startswith(f"{right:.1f} % of {len(queries)} clips are classified correctly")
    assert [clip.name for clip in found.clips] == store.name[queries].tolist()
    assert found.places is not None
    assert found.places.shape == (len(queries), 2)


def test_a_run_beside_raw_recordings_that_know_no_such_split(done: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", joints=np.random.default_rng(0).normal(size=(2, 9, 25, 3)))
    (tmp_path / "mine.yaml").write_text("layout: ntu25\n")
    with pytest.raises(UserError, match=r"mine\.npz: unknown split 'unseen'; known: all, random$"):
        page_of_run(done, tmp_path / "mine.npz")


def test_failures_show_a_wrong_neighbour_first(done: Path, motions: Path) -> None:
    store = Store.open(motions)
    found = compare(Embedder(done, device="cpu"), store, "unseen")
    label = dict(zip(store.name.tolist(), (store.class_names[at] for at in store.label), strict=True))
    train = set(store.name[load_split(store, "unseen").train].tolist())
    assert found.failures
    for failure in found.failures:
        assert label[failure.clip.name] != label[failure.nearest[0].name]
        assert all(clip.name in train for clip in failure.nearest)
        similarity = [float(clip.facts["similarity"]) for clip in failure.nearest]
        assert similarity == sorted(similarity, reverse=True)


def test_the_map_keeps_groups_apart_and_repeats() -> None:
    rng = np.random.default_rng(0)
    middles = np.eye(3, 16).repeat(12, 0)
    features = (middles + 0.02 * rng.normal(size=middles.shape)) * rng.uniform(1, 5, size=(36, 1))
    places = embedding_map(features)
    assert places is not None
    distance = np.linalg.norm(places[:, None] - places[None], axis=-1)
    np.fill_diagonal(distance, np.inf)
    assert (distance.argmin(1) // 12 == np.arange(36) // 12).all()
    np.testing.assert_array_equal(places, embedding_map(features))
    assert embedding_map(features[:7]) is None
    alike = embedding_map(np.ones((9, 4)))
    assert alike is not None
    assert np.isfinite(alike).all()


def test_charts_hold_what_was_logged() -> None:
    records = [
        {"epoch": 1, "step": 5, "loss": 2.0, "lr": 0.1, "seconds": 1.0},
        {"epoch": 2, "step": 10, "loss": None, "lr": 0.1, "knn_1": 0.5, "knn_1_raw": 0.25, "rankme": 3.0},
    ]
    found = charts(records)
    main, more = (
        [re.findall(r"<figcaption>(.*?)</figcaption>", chart)[0] for chart in part] for part in (found.main, found.more)
    )
    assert (main, more) == (["loss", "accuracy on test clips"], ["lr", "rankme"])
    assert "kNN, k = 1 ends at 50.0 %; kNN, k = 1 on raw coordinates is 25.0 %" in found.main[1]
    assert charts([]) == Curves([], [])


def test_the_page_of_a_run(done: Path, motions: Path, tmp_path: Path) -> None:
    page = page_of_run(done)
    assert "Missing here" not in page
    assert all(text in page for text in ("skeleton_mae", "2 of 2", "Map of the movements", "Errors", "kNN, k = 1"))
    assert f"ssl-skel pretrain {done / 'config.yaml'} name=again" in page
    assert re.search(r"<dt>begun</dt><dd>\d{4}-\d\d-\d\d \d\d:\d\d UTC</dd>", page)
    assert "decoder_dim: 16" in page  # the config
    moved = shutil.copytree(done, tmp_path / "moved")
    card = json.loads((moved / "encoder" / "card.json").read_text())
    card["data"]["store"] = "nowhere/store"
    (moved / "encoder" / "card.json").write_text(json.dumps(card))
    page = page_of_run(moved)
    assert "there is no longer a store at nowhere/store. Give its present path with --store." in page
    assert "Map of the movements" not in page
    assert "Map of the movements" in page_of_run(moved, motions)
    card["data"]["sha256"] = "another"
    (moved / "encoder" / "card.json").write_text(json.dumps(card))
    assert "their hash differs" in page_of_run(moved, motions)
    shutil.rmtree(moved / "encoder")
    (moved / "log.jsonl").unlink()
    page = page_of_run(moved)
    assert "the run has no encoder yet" in page
    assert "the run has logged nothing yet" in page


def test_an_evaluation_without_its_report_is_no_run(tmp_path: Path) -> None:
    damaged = r"config\.yaml: is damaged"
    for text, told in (("{name: x, protocols: []}", "holds no report.json"), ("[1]", damaged), ("text", damaged)):
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(UserError, match=told):
            page_of_run(tmp_path)


def test_comparing_leaves_the_network_and_the_random_numbers_alone(done: Path, motions: Path) -> None:
    encoder, card = load_encoder(done)
    encoder.train()
    torch.manual_seed(0)
    compare(Embedder.of(encoder, card), Store.open(motions), "unseen")
    drawn = torch.rand(1)
    torch.manual_seed(0)
    assert drawn == torch.rand(1)
    assert encoder.training


def test_a_split_without_labels_is_refused(done: Path, motions: Path) -> None:
    store = Store.open(motions)
    store.label[:] = -1
    with pytest.raises(UserError, match=r"split 'unseen' has too few clips with labels"):
        compare(Embedder(done, device="cpu"), store, "unseen")


def test_features_that_are_no_numbers_are_refused(done: Path, motions: Path) -> None:
    embedder = Embedder(done, device="cpu")
    with torch.no_grad():
        for weights in embedder.encoder.parameters():
            weights.fill_(torch.nan)
    with pytest.raises(UserError, match="hold NaN or infinity"):
        compare(embedder, Store.open(motions), "unseen")
