"""What is watched while training: in the log and in TensorBoard, with and without labels, changing nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pretrain.config import PretrainConfig
from pretrain.monitor import watcher
from pretrain.run import run
from ssl_skel.config import parse_config
from ssl_skel.data.augment.config import BonesConfig, OffsetConfig, RotateConfig, ScaleConfig
from ssl_skel.data.splits import Split, load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.encoder import SkeletonEncoder, build_encoder
from ssl_skel.pretexts import build_pretext
from ssl_skel.pretexts.configs.combined import CombinedConfig, Part
from ssl_skel.pretexts.configs.psp import PSPConfig
from ssl_skel.pretexts.configs.skeleton_mae import SkeletonMAEConfig
from ssl_skel.pretexts.skeleton_mae import SkeletonMAE
from ssl_skel.training.accelerator import make_accelerator

OF_FEATURES = {"feature_std", "rankme", "uniformity", "alignment"}
WITHOUT_LABELS = OF_FEATURES | {"shortcut"}
BY_LABELS = {"knn_1", "knn_1_raw", "linear"}
FIGURES = WITHOUT_LABELS | BY_LABELS
Watching = Callable[[int], dict[str, float]]


def config(store: Path, runs: Path = Path("runs"), *, split: str = "unseen", eval_every: int = 1) -> PretrainConfig:
    """Three epochs of a very small network, with BatchNorm."""
    data: dict[str, Any] = {
        "name": "tiny",
        "data": {"store": str(store), "split": split, "num_frames": 16},
        "augment": [{"name": "rotate"}],
        "backbone": {"name": "mpae_net", "channels": [16], "strides": [4]},
        "pretext": {"name": "skeleton_mae", "decoder_dim": 16},
        "train": {"epochs": 3, "batch_size": 12, "eval_every": eval_every, "device": "cpu", "progress": False},
        "runs": str(runs),
    }
    return parse_config(PretrainConfig, data, "test")


@pytest.fixture(scope="module")
def watched(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run(config(motions, tmp_path_factory.mktemp("runs")))


@pytest.fixture
def store(motions: Path) -> Store:
    return Store.open(motions)


@pytest.fixture
def encoder(store: Store) -> SkeletonEncoder:
    torch.manual_seed(0)
    return build_encoder(config(store.path).backbone, store.layout, channels=3, num_frames=16, stream="joint").train()


def watching(
    store: Store, split: Split, encoder: SkeletonEncoder, *, progress: bool = False, **changes: Any
) -> Watching:
    plain = config(store.path)
    train = plain.train.model_copy(update={"progress": progress})
    watched = plain.model_copy(update={"train": train} | changes)
    return watcher(watched, store, split, build_pretext(watched.pretext, encoder), make_accelerator(train))


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text("utf-8").splitlines()]


def test_the_log_has_every_figure_within_its_range(watched: Path) -> None:
    log = records(watched)
    assert len(log) == 3
    for record in log:
        assert record.keys() >= FIGURES
        assert all(0 <= record[name] <= 1 for name in BY_LABELS | {"feature_std", "shortcut"})
        assert 1 <= record["rankme"] <= 16
        assert -8 <= record["uniformity"] <= 0
        assert 0 < record["alignment"] < 4
    assert all(len({record[name] for record in log}) == 1 for name in ("knn_1_raw", "shortcut"))
    assert all(len({record[name] for record in log}) == 3 for name in OF_FEATURES)


def test_tensorboard_has_what_the_log_has(watched: Path) -> None:
    events = EventAccumulator(str(watched / "tensorboard"))
    events.Reload()
    log = records(watched)
    assert set(events.Tags()["scalars"]) == set(log[0]) - {"step"}
    for name in FIGURES:
        scalars = events.Scalars(name)
        assert [scalar.step for scalar in scalars] == [record["step"] for record in log]
        assert [scalar.value for scalar in scalars] == pytest.approx([record[name] for record in log], rel=1e-6)


def test_watching_changes_no_weight_and_no_loss(watched: Path, motions: Path, tmp_path: Path) -> None:
    unwatched = run(config(motions, tmp_path, eval_every=0))
    assert [record.keys() >= FIGURES for record in records(unwatched)] == [False, False, True]
    assert [record["loss"] for record in records(unwatched)] == [record["loss"] for record in records(watched)]
    one, other = (folder / "encoder" / "encoder.safetensors" for folder in (watched, unwatched))
    assert one.read_bytes() == other.read_bytes()


def test_a_look_leaves_modes_buffers_gradients_and_random_numbers_alone(store: Store, encoder: SkeletonEncoder) -> None:
    watch = watching(store, load_split(store, "unseen"), encoder)
    next(encoder.backbone.modules()).eval()  # a part that somebody froze
    state = {name: value.clone() for name, value in encoder.state_dict().items()}
    modes = [module.training for module in encoder.modules()]
    drawn, legacy = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]
    first = watch(1)
    assert [module.training for module in encoder.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in encoder.state_dict().items())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in encoder.parameters())
    assert torch.equal(torch.get_rng_state(), drawn)
    assert np.array_equal(np.random.get_state()[1], legacy)  # type: ignore[index]
    assert watch(2) == first  # the same clips, the same draws


def test_all_clips_without_a_test_part_have_the_figures_without_labels(
    store: Store, encoder: SkeletonEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = watching(store, load_split(store, "all"), encoder, progress=True)
    assert watch(7).keys() == WITHOUT_LABELS
    assert capsys.readouterr().err.startswith("epoch 7: rank ")


def test_purity_is_the_share_of_positives_from_other_clips_that_have_the_clips_label(
    store: Store, encoder: SkeletonEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = np.flatnonzero(store.label == 0), np.flatnonzero(store.label == 1)
    unknown, label = int(np.flatnonzero(store.label == 2)[0]), store.label.copy()
    label[unknown] = -1
    object.__setattr__(store, "label", label)  # a store is frozen
    pairs = [[one[0], one[1]], [one[0], other[0]], [other[0], other[1]], [other[1], one[1]], [one[0], unknown]]
    monkeypatch.setattr(SkeletonMAE, "matches", property(lambda self: torch.tensor(np.array(pairs))))
    watch = watching(store, load_split(store, "unseen"), encoder)
    assert watch(1)["purity"] == 0.5
    monkeypatch.setattr(SkeletonMAE, "matches", torch.zeros(0, 2, dtype=torch.long))  # nothing matched yet
    assert "purity" not in watch(2)


@pytest.mark.parametrize("known", ["none", "one class", "test clips only", "train clips only"])
def test_labels_that_teach_nothing_are_not_used(store: Store, encoder: SkeletonEncoder, known: str) -> None:
    split = load_split(store, "unseen")
    label = np.full_like(store.label, -1)
    if known == "one class":
        label[:] = 0
    elif known != "none":
        rows = split.test if known == "test clips only" else split.train
        label[rows] = store.label[rows]
    expected = watching(store, split, encoder)(1)
    object.__setattr__(store, "label", label)  # a store is frozen
    figures = watching(store, split, encoder)(1)
    assert figures == {name: expected[name] for name in WITHOUT_LABELS}


def test_unlabelled_clips_are_left_out_of_the_accuracies_only(store: Store, encoder: SkeletonEncoder) -> None:
    split = load_split(store, "unseen")
    label = store.label.copy()
    label[split.train[::3]] = label[split.test[::2]] = -1
    keep = Split("some", split.train[label[split.train] >= 0], split.test[label[split.test] >= 0])
    expected = watching(store, keep, encoder)(1), watching(store, split, encoder)(1)
    object.__setattr__(store, "label", label)
    figures = watching(store, split, encoder)(1)
    assert {name: figures[name] for name in BY_LABELS} == {name: expected[0][name] for name in BY_LABELS}
    assert {name: figures[name] for name in WITHOUT_LABELS} == {name: expected[1][name] for name in WITHOUT_LABELS}


def test_an_encoder_with_constant_output_is_reported_as_collapsed(
    store: Store, encoder: SkeletonEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = watching(store, load_split(store, "unseen"), encoder)
    sound = watch(1)
    assert sound["rankme"] > 1.1
    monkeypatch.setattr(SkeletonEncoder, "forward", lambda self, x, present: torch.full((len(x), self.dim), 0.3))
    figures = watch(2)
    assert figures["rankme"] == pytest.approx(1, abs=1e-3)
    assert figures["feature_std"] == pytest.approx(0, abs=1e-6)
    assert figures["uniformity"] == pytest.approx(0, abs=1e-6)
    assert figures["alignment"] == 0
    share = np.bincount(store.label).max() / len(store)
    assert figures["linear"] <= 2 * share


def test_features_that_are_not_finite_stop_no_run(
    store: Store, encoder: SkeletonEncoder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(SkeletonEncoder, "forward", lambda self, x, present: torch.full((len(x), self.dim), torch.nan))
    assert watching(store, load_split(store, "unseen"), encoder, progress=True)(4) == {}
    assert capsys.readouterr().err == "epoch 4: the features are not finite\n"


def test_the_line_is_one_and_says_what_matters(
    store: Store, encoder: SkeletonEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = watching(store, load_split(store, "unseen"), encoder, progress=True)(20)
    assert capsys.readouterr().err == (
        f"epoch 20: 1-NN {100 * figures['knn_1']:.1f} %, raw coordinates {100 * figures['knn_1_raw']:.1f} %, "
        f"linear {100 * figures['linear']:.1f} %, rank {figures['rankme']:.1f}\n"
    )


# ---- the shortcut

LINEAR_MAPS = (RotateConfig(), ScaleConfig())  # all joints share them
HIDDEN = (BonesConfig(), *LINEAR_MAPS, OffsetConfig())


def test_proportions_match_the_draws_unless_they_are_drawn_anew(store: Store, encoder: SkeletonEncoder) -> None:
    split = load_split(store, "all")
    seen, hidden = (watching(store, split, encoder, augment=rows)(1)["shortcut"] for rows in (LINEAR_MAPS, HIDDEN))
    assert seen > 0.8
    assert hidden < 0.2


@pytest.mark.parametrize(
    ("augment", "remedy"),
    [(LINEAR_MAPS, "add bones and offset"), ((*LINEAR_MAPS, BonesConfig(amount=0.01)), "add offset")],
)
def test_a_contrast_is_warned_of_the_shortcut_before_it_trains(
    store: Store, encoder: SkeletonEncoder, capsys: pytest.CaptureFixture[str], augment: Any, remedy: str
) -> None:
    both = CombinedConfig(parts=(Part(pretext=SkeletonMAEConfig(decoder_dim=16)), Part(pretext=PSPConfig())))
    for pretext in (PSPConfig(), both):
        watching(store, load_split(store, "all"), encoder, augment=augment, pretext=pretext)
        words = capsys.readouterr().err
        assert words.startswith("warning: augment: body proportions alone match ")
        assert words.endswith(f"so {pretext.name} may learn who moves instead of what is done; {remedy}\n")
        assert words.count("\n") == 1


def test_nobody_is_warned_who_has_no_shortcut_or_no_use_for_it(
    store: Store, encoder: SkeletonEncoder, capsys: pytest.CaptureFixture[str]
) -> None:
    split = load_split(store, "all")
    watching(store, split, encoder, augment=HIDDEN, pretext=PSPConfig())
    watching(store, split, encoder, augment=LINEAR_MAPS)  # reconstruction compares no clips
    few = Split("few", split.train[:5], split.test)  # one in five by chance
    watching(store, few, encoder, augment=LINEAR_MAPS, pretext=PSPConfig())
    assert capsys.readouterr().err == ""


def test_two_draws_are_sampled_as_the_run_samples(store: Store, encoder: SkeletonEncoder) -> None:
    split, data = load_split(store, "all"), config(store.path).data
    crop, frames = (
        watching(store, split, encoder, augment=(), data=data.model_copy(update={"sampling": sampling}))(1)
        for sampling in ("crop", "sorted")
    )
    assert crop["uniformity"] == frames["uniformity"]  # of whole clips
    assert crop["alignment"] != pytest.approx(frames["alignment"], rel=1e-3)
