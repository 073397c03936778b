"""PSP's semi-supervised training: what the loss is made of, which clips a step holds, what reports say."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from finetune.config import FinetuneConfig
from finetune.protocols.base import EvalContext
from finetune.protocols.configs.psp import PSPSemiConfig
from finetune.protocols.psp import PairedLoader, PSPClassifier, PSPSemi
from finetune.run import run
from finetune.trainings.layer_decay import layer_groups
from finetune.trainings.supervised import TrainingSpec
from ssl_skel.backbones.configs.mpae_net import MPAENetConfig
from ssl_skel.batch import Batch
from ssl_skel.config import parse_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.subsets import Budget, label_subset
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.streams import motion
from ssl_skel.errors import UserError
from ssl_skel.training.accelerator import make_accelerator
from ssl_skel.training.config import TrainConfig

MakeConfig = Callable[..., FinetuneConfig]
NET: dict[str, Any] = {"name": "mpae_net", "channels": [16], "strides": [4], "heads": 2, "norm": "layer"}
SCRATCH = {"splits": ["xsub"], "backbone": NET, "num_frames": 16}
PRETEXT = {"name": "psp", "norm": "layer", "projection": 16}
QUICK: dict[str, Any] = {
    "name": "psp",
    "pretext": PRETEXT,
    "fractions": [0.5],
    "batch_size": 5,
    "unlabelled": 12,
    "optim": {"lr": 1e-2, "warmup_epochs": 1},
    "epochs": 2,
    "eval_every": 1,
    "crop": [0.5, 1.0],
}


def options(**changes: Any) -> PSPSemiConfig:
    return parse_config(PSPSemiConfig, QUICK | changes, "test")


def protocol(path: Path, folder: Path, **changes: Any) -> PSPSemi:
    store = Store.open(path)
    accelerator = make_accelerator(TrainConfig(device="cpu"))
    context = EvalContext(store, (load_split(store, "xview"),), (0,), accelerator, "auto", folder)
    return PSPSemi(options(**changes), context)


def classifier(store: Store, **changes: Any) -> PSPClassifier:
    torch.manual_seed(0)
    net = parse_config(MPAENetConfig, NET, "test")
    encoder = build_encoder(net, store.layout, channels=store.channels, num_frames=16, stream="joint")
    return PSPClassifier(encoder, store.num_classes, options(**changes))


def spec_for(rows: PSPSemi, seed: int = 3) -> TrainingSpec:
    store, (split,) = rows.context.store, rows.context.splits
    train = label_subset(store, split, Budget(fraction=0.5), 0).rows
    none = train[:0]
    encoder = classifier(store).encoder
    return TrainingSpec("test", encoder, train, none, split.test, seed, False, rows.unlabelled(split, none))


def paired(rows: PSPSemi, seed: int = 3) -> PairedLoader:
    loader = rows.loader(spec_for(rows, seed))
    assert isinstance(loader, PairedLoader)
    return loader


def same(one: Batch, other: Batch) -> bool:
    return all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("x", "present", "label", "index"))


def naive_logits(task: PSPClassifier, batch: Batch, clip: int) -> Tensor:
    """FC(f_joint) + FC(f_motion) of one clip, person by person."""
    layer, total = task.head[0], torch.zeros(task.head[0].out_features)
    for view, change in enumerate((lambda x: x, motion)):
        vectors = [
            task.encoder.backbone(change(batch.x[clip : clip + 1, view, ..., person : person + 1])[..., 0])[0].mean(
                (1, 2)
            )
            for person in torch.nonzero(batch.present[clip])[:, 0]
        ]
        total = total + layer.weight @ torch.stack(vectors).mean(0) + layer.bias
    return total


@pytest.mark.parametrize("weight", [0.2, 3.0])
def test_the_loss_is_cross_entropy_of_the_labelled_and_contrast_of_the_others(
    motions: Path, tmp_path: Path, weight: float
) -> None:
    rows = protocol(motions, tmp_path)
    loader = paired(rows)
    batch = next(loader.epoch())
    labelled, others = next(loader.labelled.epoch()), next(loader.unlabelled.epoch())
    assert batch.present.sum() > len(batch.label)  # some clips have two persons
    task = classifier(rows.context.store, weight=weight, label_smoothing=0.1).train()
    out = task(batch)
    logits = torch.stack([naive_logits(task, labelled, clip) for clip in range(5)])
    entropy = F.cross_entropy(logits, labelled.label, label_smoothing=0.1)
    contrast = task.pretext(others)
    torch.testing.assert_close(out["cross_entropy"], entropy)
    torch.testing.assert_close(out["contrast"], contrast["loss"])
    torch.testing.assert_close(out["loss"], entropy + weight * contrast["loss"])
    assert out["accuracy"] == (logits.argmax(1) == labelled.label).float().mean()
    torch.testing.assert_close(out["positive"], contrast["positive"])
    torch.testing.assert_close(out["negative"], contrast["negative"])


def test_labels_reach_the_encoder_from_labelled_clips_and_contrast_from_the_others(
    motions: Path, tmp_path: Path
) -> None:
    rows = protocol(motions, tmp_path)
    batch = next(paired(rows).epoch())
    task = classifier(rows.context.store)
    x = batch.x.clone().requires_grad_()
    out = task(replace(batch, x=x))
    touched = {
        name: torch.autograd.grad(out[name], x, retain_graph=True)[0].flatten(1).abs().amax(1) > 0
        for name in ("cross_entropy", "contrast")
    }
    assert touched["cross_entropy"].tolist() == [True] * 5 + [False] * 12
    assert touched["contrast"].tolist() == [False] * 5 + [True] * 12


def test_a_whole_clip_is_told_by_the_summed_logits_of_its_views(motions: Path, tmp_path: Path) -> None:
    rows = protocol(motions, tmp_path)
    task = classifier(rows.context.store).eval()
    batch = next(paired(rows).labelled.epoch())
    torch.testing.assert_close(task.logits(batch), torch.stack([naive_logits(task, batch, clip) for clip in range(5)]))
    whole = replace(batch, x=batch.x[:, :1])
    twice = replace(batch, x=batch.x[:, [0, 0]])
    torch.testing.assert_close(task.logits(whole), task.logits(twice))
    assert not torch.allclose(task.logits(whole), task.logits(batch))


def test_labelled_clips_go_round_while_the_unlabelled_are_gone_through_once(motions: Path, tmp_path: Path) -> None:
    rows = protocol(motions, tmp_path)
    loader, (split,) = paired(rows), rows.context.splits
    assert len(split.train) == 52
    assert (len(loader), len(loader.labelled)) == (4, 5)  # 52 by 12, 26 by 5
    batches = [batch for epoch in range(3) for batch in loader.epoch(epoch)]
    assert len(batches) == 12
    rounds = list(chain.from_iterable(loader.labelled.epoch(number) for number in range(3)))
    others = list(chain.from_iterable(loader.unlabelled.epoch(epoch) for epoch in range(3)))
    for batch, labelled, unlabelled in zip(batches, rounds, others, strict=False):
        assert batch.x.shape[:2] == (17, 2)  # one draw a view
        assert torch.equal(batch.x, torch.cat([labelled.x, unlabelled.x]))
        assert torch.equal(batch.present, torch.cat([labelled.present, unlabelled.present]))
        assert batch.index.tolist() == [*labelled.index.tolist(), *unlabelled.index.tolist()]
        assert batch.label.tolist() == [*rows.context.store.label[labelled.index], *[-1] * 12]
        assert (batch.rng.rows, batch.rng.start, batch.rng.total) == (17, 0, 17)
    train = set(label_subset(rows.context.store, split, Budget(fraction=0.5), 0).rows.tolist())
    assert {row for batch in batches for row in batch.index[:5].tolist()} <= train
    seen = {row for batch in batches for row in batch.index[5:].tolist()}
    assert seen <= set(split.train.tolist())
    assert seen - train


def test_an_epoch_goes_on_from_its_middle_as_if_unbroken(motions: Path, tmp_path: Path) -> None:
    for weight in (0.2, 0.0):
        loader = paired(protocol(motions, tmp_path, weight=weight))
        whole = list(loader.epoch(2))
        for start in range(len(loader) + 1):
            rest = list(loader.epoch(2, start))
            assert len(rest) == len(whole) - start
            assert all(same(one, other) for one, other in zip(rest, whole[start:], strict=True))


def test_clips_of_either_kind_are_drawn_apart(motions: Path, tmp_path: Path) -> None:
    """A labelled clip and an unlabelled one at the same place of a step do not share random numbers."""
    loader = paired(protocol(motions, tmp_path))
    numbers = [next(part.epoch()).rng.uniform(2)[:5] for part in (loader.labelled, loader.unlabelled)]
    assert not torch.equal(*numbers)
    other = paired(protocol(motions, tmp_path), seed=4)
    assert next(other.epoch()).index[5:].tolist() != next(loader.epoch()).index[5:].tolist()


@pytest.mark.parametrize("sampling", ["crop", "sorted"])
def test_clips_of_either_kind_are_sampled_as_configured(motions: Path, tmp_path: Path, sampling: str) -> None:
    """Sorted frames are frames of the clip, those of a crop lie between some."""
    rows = protocol(motions, tmp_path, sampling=sampling, augment=[])
    batch = next(paired(rows).epoch())
    for x, row in zip(batch.x, batch.index, strict=True):
        recorded = torch.from_numpy(rows.context.store.clip(int(row))[0]).flatten(1)  # (frames, V * C)
        drawn = x[0, ..., 0].permute(1, 2, 0).flatten(1)
        found = (drawn[:, None] == recorded).all(2).any(1)
        assert bool(found.all()) is (sampling == "sorted")


def test_two_ranks_hold_equal_shares_of_both_kinds(motions: Path, tmp_path: Path) -> None:
    rows = protocol(motions, tmp_path, batch_size=4)
    one, parts = paired(rows), []
    for rank in range(2):
        told = SimpleNamespace(num_processes=2, process_index=rank, device=torch.device("cpu"))
        parts.append(paired(PSPSemi(rows.config, replace(rows.context, accelerator=told))))
    for whole, *ranks in zip(one.epoch(1), *(part.epoch(1) for part in parts), strict=True):
        for rank, batch in enumerate(ranks):
            assert [int(label >= 0) for label in batch.label] == [1] * 2 + [0] * 6
            assert (batch.rng.rows, batch.rng.start, batch.rng.total) == (8, 8 * rank, 16)
        joined = [batch.index[kind] for kind in (slice(2), slice(2, None)) for batch in ranks]
        assert torch.equal(torch.cat(joined), whole.index)


def test_hidden_labels_change_nothing(motions: Path, tmp_path: Path, rewrite: Callable[..., Path]) -> None:
    honest = protocol(motions, tmp_path)
    spec = spec_for(honest)
    known = set(spec.train.tolist())
    path = rewrite(lambda clip, row: [clip if row in known else replace(clip, label=(clip.label + 1) % 13)])
    poisoned = protocol(path, tmp_path)
    assert (poisoned.context.store.label != honest.context.store.label).sum() > len(known)
    pairs = zip(honest.loader(spec).epoch(1), poisoned.loader(spec).epoch(1), strict=True)
    assert all(same(one, other) for one, other in pairs)


def test_clips_that_never_had_a_label_are_contrasted_and_not_classified(motions: Path, tmp_path: Path) -> None:
    rows = protocol(motions, tmp_path)
    (whole,) = rows.context.splits
    split, without = replace(whole, train=whole.train[3:]), whole.train[:3]
    rows.context = replace(rows.context, splits=(split,), unlabelled={split.name: without})
    assert rows.unlabelled(split, split.train[:0]).tolist() == whole.train.tolist()
    labelled, *_ = rows._labelled(split, Budget(fraction=1.0), 0)
    assert not set(labelled.tolist()) & set(without.tolist())


def test_weight_zero_is_the_same_training_without_unlabelled_clips(motions: Path, tmp_path: Path) -> None:
    both, alone = (paired(protocol(motions, tmp_path, weight=weight)) for weight in (0.2, 0.0))
    assert len(both) == len(alone)
    for epoch in range(2):
        for one, other in zip(both.epoch(epoch), alone.epoch(epoch), strict=True):
            assert other.rng.total == 5
            assert torch.equal(one.x[:5], other.x)
            assert torch.equal(one.label[:5], other.label)
    store = Store.open(motions)
    ours, theirs = classifier(store, weight=0.0), classifier(store)
    assert {n: p.shape for n, p in ours.named_parameters()} == {n: p.shape for n, p in theirs.named_parameters()}
    out = ours(next(alone.epoch()))
    assert out["loss"] == out["cross_entropy"]
    assert set(out) == {"loss", "cross_entropy", "accuracy"}


def test_validation_subjects_are_not_seen_without_their_labels_either(motions: Path, tmp_path: Path) -> None:
    rows = protocol(motions, tmp_path, select="validation", validation_share=0.3)
    store, (split,) = rows.context.store, rows.context.splits
    _, held = rows._parted(label_subset(store, split, Budget(fraction=0.5), 0).rows, 0)
    aside = set(store.subject[held].tolist())
    pool = rows.unlabelled(split, held)
    assert len(aside) == 1
    assert sorted(pool) == [row for row in split.train if store.subject[row] not in aside]
    assert 0 < len(pool) < len(split.train)


def test_layer_decay_leaves_both_heads_at_the_full_rate(motions: Path) -> None:
    task = classifier(Store.open(motions), pretext=PRETEXT | {"momentum": 0.9})
    groups = layer_groups(task, 0.05, 0.5)
    rate = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    heads = [*task.head.parameters(), *task.pretext.head.parameters()]
    assert {rate[id(p)] for p in heads} == {1.0}
    assert max(rate[id(p)] for p in task.encoder.parameters()) == 0.5
    assert task.pretext.keys is not None
    assert not [p for p in task.pretext.keys.parameters() if id(p) in rate]


def test_a_momentum_network_follows(motions: Path) -> None:
    task = classifier(Store.open(motions), pretext=PRETEXT | {"momentum": 0.5})
    assert task.pretext.keys is not None
    with torch.no_grad():
        for parameter in task.encoder.parameters():
            parameter.add_(1.0)
    task.after_step(0.1)
    for key, query in zip(task.pretext.keys["backbone"].parameters(), task.encoder.parameters(), strict=True):
        torch.testing.assert_close(key, query - 0.5)


def test_from_fresh_weights_beyond_chance_with_both_rows_in_the_report(make_config: MakeConfig) -> None:
    row = QUICK | {"fractions": [1.0], "epochs": 12, "batch_size": 16, "unlabelled": 8, "crop": [1.0, 1.0]}
    row |= {"optim": {"lr": 3e-2, "warmup_epochs": 1}, "eval_every": 6}
    scratch = SCRATCH | {"backbone": NET | {"norm": "batch"}, "num_frames": 8}
    config = make_config(encoders={}, scratch=scratch, protocols=[row, row | {"weight": 0.0}], baselines=[])
    report = run(config)
    assert [(m.split, m.features, m.measure) for m in report.measurements] == [
        ("xsub", "scratch", "psp, 100 %"),
        ("xsub", "scratch", "psp without unlabelled clips, 100 %"),
    ]
    assert all(m.figures["accuracy"].mean > 0.2 for m in report.measurements)  # chance: 1 of 13
    trained = {}
    for folder in (config.runs / config.name / "trainings").iterdir():
        log = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
        trained["contrast" in log[0]] = log
    with_clips, alone = trained[True], trained[False]
    assert len(with_clips) == len(alone) == 12
    assert [r["step"] for r in with_clips] == [r["step"] for r in alone]
    assert with_clips[-1]["contrast"] < with_clips[0]["contrast"]
    assert (
        with_clips[-1]["positive"] - with_clips[-1]["negative"] > with_clips[0]["positive"] - with_clips[0]["negative"]
    )
    for record in with_clips:
        assert record["loss"] == pytest.approx(record["cross_entropy"] + 0.2 * record["contrast"], rel=1e-4)


def test_pretrained_encoders_stand_beside_fresh_ones(make_config: MakeConfig, run_dir: Path) -> None:
    row = QUICK | {"per_class": [1], "layer_decay": 0.5, "epochs": 1}
    config = make_config(encoders={"xview": str(run_dir)}, protocols=[row], baselines=["untrained"])
    report = run(config)
    assert [(m.features, m.measure) for m in report.measurements] == [
        (features, f"psp, {budget}") for features in ("scratch", "pretrained") for budget in ("50 %", "1-shot")
    ]
    first = list(islice((config.runs / config.name / "trainings").glob("*/predictions.npz"), 4))
    stamps = [path.stat().st_mtime_ns for path in first]
    assert run(config).measurements == report.measurements
    assert [path.stat().st_mtime_ns for path in first] == stamps


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": [QUICK], "pooling": "part"}, "pooling: psp needs mean, not part"),
        ({"protocols": [QUICK | {"min_clips": 480}]}, "min_clips: psp repeats labelled clips"),
        ({"protocols": [QUICK | {"unlabelled": 1}]}, r"protocols\.0\.unlabelled"),
        ({"protocols": [QUICK | {"weight": -0.1}]}, r"protocols\.0\.weight"),
        ({"protocols": [QUICK | {"pretext": {"levels": ["joint", "joint"]}}]}, "name each once"),
        ({"protocols": [QUICK | {"pretext": {"name": "skeleton_mae"}}]}, r"pretext\.name"),
    ],
)
def test_mistakes_in_configs_are_named(make_config: MakeConfig, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as told:
        make_config(encoders={}, scratch=SCRATCH, **changes)
    assert "\n" not in str(told.value)


def test_what_ranks_cannot_share_is_refused(motions: Path, tmp_path: Path) -> None:
    rows = protocol(motions, tmp_path, batch_size=10, unlabelled=45)
    (split,) = rows.context.splits
    told = SimpleNamespace(num_processes=2)
    with pytest.raises(UserError, match="psp: unlabelled: 45 clips cannot be shared evenly by 2 ranks"):
        PSPSemi(rows.config, replace(rows.context, accelerator=told)).check(
            split, classifier(rows.context.store).encoder
        )
    rows.check(split, classifier(rows.context.store).encoder)


def test_a_network_that_the_contrast_does_not_fit_is_refused(make_config: MakeConfig) -> None:
    row = QUICK | {"pretext": {"name": "psp", "heads": 3}}
    config = make_config(encoders={}, scratch=SCRATCH, protocols=[{"name": "knn"}, row])
    with pytest.raises(UserError, match="3 does not divide the backbone's width 16"):
        run(config)
    assert not (config.runs / config.name).exists()  # told ahead of all measuring
