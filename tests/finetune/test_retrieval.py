"""The protocol ``retrieval``: figures of the report equal those computed by hand, with and without duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest

from finetune.config import FinetuneConfig
from finetune.run import run
from ssl_skel.data.clip import RawClip
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.embedding.features import extract_features, whole_clips
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.knn import nearest
from ssl_skel.evaluation.ranking import MEASURES

MakeConfig = Callable[..., FinetuneConfig]
Rewrite = Callable[[Callable[[RawClip, int], Iterable[RawClip]]], Path]


def by_hand(store: Store, run_dir: Path, duplicates: bool) -> list[list[bool]]:
    """Whether each answer of each query of ``unseen`` is of its class, in rank order."""
    encoder, _ = load_encoder(run_dir)
    x = extract_features(encoder, whole_clips(store, num_frames=4))
    split = load_split(store, "unseen")
    listed = nearest(x[split.train], x[split.test], len(split.train))[0]
    found = []
    for query, rows in zip(split.test, split.train[listed], strict=True):
        kept = [row for row in rows if duplicates or store.content[row] != store.content[query]]
        found.append([bool(store.label[row] == store.label[query]) for row in kept])
    return found


@pytest.mark.parametrize("duplicates", [False, True])
def test_figures_are_those_of_the_ranked_lists(
    duplicates: bool, make_config: MakeConfig, rewrite: Rewrite, run_dir: Path
) -> None:
    def double(clip: RawClip, row: int) -> list[RawClip]:
        # the first test clip is in train too, by another name
        same = RawClip("twin", clip.joints, label=clip.label, subject=1, camera=1)
        return [clip, same] if row == first else [clip]

    plain = Store.open(make_config().data.store)
    first = int(load_split(plain, "unseen").test[0])
    store = Store.open(rewrite(double))
    config = make_config(protocols=[{"name": "retrieval", "duplicates": duplicates}], data={"store": str(store.path)})
    report = run(config)
    lists = by_hand(store, run_dir, duplicates)

    measure = "retrieval, duplicates among the answers" if duplicates else "retrieval"

    def figure(name: str) -> float:
        return report.figure("unseen", "pretrained", measure, name).mean

    for name, depth in (("accuracy", 1), ("R@5", 5), ("R@10", 10)):
        assert figure(name) == pytest.approx(np.mean([any(row[:depth]) for row in lists]))
    precision = [[sum(row[: at + 1]) / (at + 1) for at, hit in enumerate(row) if hit] for row in lists]
    assert figure("mAP") == pytest.approx(np.mean([np.mean(values) for values in precision]))
    assert 0 < figure("nDCG@10") < 1
    notes = [note for row in report.measurements for note in row.notes]
    assert ("1 answers left out, duplicates of their query" in notes) is not duplicates
    text = report.to_markdown()
    assert all(name in text for name in MEASURES)
    assert {row.features for row in report.measurements} == {"raw", "untrained", "pretrained"}


def test_nothing_to_find(make_config: MakeConfig, rewrite: Rewrite) -> None:
    """Every training clip of the one class that is tested is a copy of the query."""

    def only(clip: RawClip, row: int) -> list[RawClip]:
        if row > 1:
            return []
        asks = RawClip(f"asks{row}", clip.joints, label=row, subject=2, camera=2)
        return [asks] if row == 0 else [RawClip("other", clip.joints, label=1, subject=1, camera=1)]

    def with_twin(clip: RawClip, row: int) -> list[RawClip]:
        twin = RawClip("twin", clip.joints, label=0, subject=1, camera=1)
        return [*only(clip, row), *([twin] if row == 0 else [])]

    config = make_config(protocols=[{"name": "retrieval"}], data={"store": str(rewrite(with_twin))})
    with pytest.raises(UserError, match="no query has a clip of its class left to find"):
        run(config)
