"""Fine-tuning, few labels and training from scratch: one recipe, one runner."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from finetune.classifiers.linear import Classifier
from finetune.config import FinetuneConfig
from finetune.protocols import trained
from finetune.run import run
from finetune.trainings import supervised
from finetune.trainings.evaluations import EVALUATIONS, conclude
from finetune.trainings.layer_decay import layer_groups
from ssl_skel.backbones.configs.st_transformer import STTransformerConfig
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.data.subsets import Budget, label_subset
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.report import Report
from ssl_skel.layouts import LAYOUTS
from ssl_skel.training.loop import fit
from ssl_skel.training.rundir import RunDir

MakeConfig = Callable[..., FinetuneConfig]
NET = {"name": "mpae_net", "channels": [16], "strides": [4], "heads": 2, "norm": "layer"}
SCRATCH = {"splits": ["xview"], "backbone": NET, "num_frames": 16}
QUICK: dict[str, Any] = {
    "optim": {"lr": 3e-3, "warmup_epochs": 1},
    "epochs": 4,
    "batch_size": 16,
    "eval_every": 2,
    "crop": [1.0, 1.0],
}
FULL = {"name": "full"} | QUICK
SEMI = {"name": "semi", "fractions": [0.01, 0.5]} | QUICK | {"epochs": 2, "eval_every": 1}


def folders(config: FinetuneConfig) -> list[Path]:
    return sorted((config.runs / config.name / "trainings").iterdir())


def predicted(report: Report) -> list[list[int]]:
    """How often each class was predicted; does not depend on the truth."""
    return [np.sum(run.confusion, axis=0).tolist() for m in report.measurements for run in m.runs]


@pytest.fixture
def specs(monkeypatch: pytest.MonkeyPatch) -> list[supervised.TrainingSpec]:
    """The specs of the trainings."""
    seen: list[supervised.TrainingSpec] = []
    train = trained.train_classifier
    monkeypatch.setattr(trained, "train_classifier", lambda *a: seen.append(a[2]) or train(*a))
    return seen


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What ``fit`` was called with."""
    seen: list[dict[str, Any]] = []
    fit = supervised.fit
    monkeypatch.setattr(supervised, "fit", lambda *a, **k: seen.append({"args": a, **k}) or fit(*a, **k))
    return seen


def test_training_from_scratch_learns_far_beyond_chance(make_config: MakeConfig) -> None:
    row = FULL | {"epochs": 15, "optim": {"lr": 1e-2, "warmup_epochs": 1}, "label_smoothing": 0.0, "augment": []}
    config = make_config(encoders={}, scratch=SCRATCH | {"splits": ["xsub"]}, protocols=[row], baselines=[])
    report = run(config)
    assert [(m.split, m.features, m.measure) for m in report.measurements] == [("xsub", "scratch", "fine-tuned")]
    assert report.measurements[0].figures["accuracy"].mean > 0.4  # chance: 1 of 13
    assert report.measurements[0].figures["best_on_test"].mean >= report.measurements[0].figures["accuracy"].mean
    assert report.splits[0].warnings == ()
    assert report.splits[0].pretrained_on == "nothing"
    log = [json.loads(line) for line in (folders(config)[0] / "log.jsonl").read_text().splitlines()]
    assert log[-1]["loss"] < 0.7 * log[0]["loss"]
    assert [record["epoch"] for record in log if "test_accuracy" in record] == [*range(2, 15, 2), 15]


def test_few_labels_of_the_same_subset_for_scratch_and_pretrained(
    make_config: MakeConfig, motions: Path, run_dir: Path, specs: list[supervised.TrainingSpec]
) -> None:
    store = Store.open(motions)
    split = load_split(store, "xview")
    encoders = {name: str(run_dir) for name in ("xview", "xview_dedup")}
    config = make_config(encoders=encoders, protocols=[SEMI], seeds=[0, 1], baselines=["raw", "untrained"])
    report = run(config)
    assert [(m.split, m.features, m.measure) for m in report.measurements] == [
        (split_name, features, f"fine-tuned, {budget} %")
        for split_name in encoders
        for features in ("scratch", "pretrained")
        for budget in (1, 50)
    ]
    assert all(m.figures["accuracy"].count == 2 for m in report.measurements)
    assert len(specs) == 8  # 2 kinds x 2 budgets x 2 seeds: xview_dedup trains as xview does
    for spec in specs:
        budget = Budget(fraction=0.01 if "_0.01_" in spec.name else 0.5)
        assert spec.train.tolist() == label_subset(store, split, budget, spec.seed).rows.tolist()
        assert spec.test.tolist() == split.test.tolist()
        assert spec.pretrained == ("pretrained" in spec.name)
    assert {len(spec.train) for spec in specs} == {13, 26}
    few = report.measurements[0]
    assert "1 % is less than one clip for 13 of 13 classes: one is kept of each, 13 of 52 clips" in few.notes[0]
    assert label_subset(store, split, Budget(fraction=0.01), 1).sha256[:12] in few.notes[1]
    assert "13 of 52 clips" in report.to_markdown()


def test_each_seed_and_each_encoder_is_a_training_of_its_own(
    make_config: MakeConfig, motions: Path, save_run, tmp_path: Path, specs: list[supervised.TrainingSpec]
) -> None:
    """MAMP's loop of five repetitions uses one seed five times."""
    paths = [str(save_run(tmp_path / f"seed{seed}", Store.open(motions), seed=seed)) for seed in (1, 2)]
    config = make_config(encoders={"unseen": paths}, protocols=[FULL], seeds=[0, 1, 2], baselines=["untrained"])
    report = run(config)
    assert [len(m.runs) for m in report.measurements] == [3, 6]
    assert len({spec.name for spec in specs}) == 9
    logits = [np.load(folder / "predictions.npz")["logits"].tobytes() for folder in folders(config)]
    assert len(set(logits)) == 9


def test_what_is_done_is_not_done_again(make_config: MakeConfig, fits: list[dict[str, Any]], run_dir: Path) -> None:
    config = make_config(protocols=[FULL], seeds=[0, 1], baselines=[])
    first = run(config)
    assert len(fits) == 2
    assert run(config).measurements == first.measurements
    assert len(fits) == 2
    for folder in folders(config):
        assert sorted(path.name for path in folder.iterdir()) == [
            "config.yaml",
            "log.jsonl",
            "predictions.npz",
            "tensorboard",
        ]


def test_another_encoder_under_the_same_path_is_trained_anew(
    make_config: MakeConfig, motions: Path, save_run, tmp_path: Path
) -> None:
    path = save_run(tmp_path / "run", Store.open(motions), seed=1)
    config = make_config(encoders={"unseen": str(path)}, protocols=[FULL], baselines=[])
    first = run(config)
    save_run(path, Store.open(motions), seed=2)
    second = run(config)
    assert len(folders(config)) == 2
    assert second.measurements != first.measurements


def test_an_interrupted_training_continues_to_the_same_figures(
    make_config: MakeConfig, interrupt: Callable[[FinetuneConfig], None]
) -> None:
    config = make_config(protocols=[FULL | {"select": "validation"}], encoders={}, scratch=SCRATCH)
    whole = run(make_config(name="whole", protocols=[FULL | {"select": "validation"}], encoders={}, scratch=SCRATCH))
    interrupt(config)
    (folder,) = folders(config)
    assert not (folder / "predictions.npz").exists()
    report = run(config)
    assert report.measurements == whole.measurements
    assert [record["epoch"] for record in RunDir.open(folder).records()] == [1, 2, 3, 4]


def test_validation_subjects_are_not_trained_on_and_choose_the_epoch(
    make_config: MakeConfig, motions: Path, specs: list[supervised.TrainingSpec], fits: list[dict[str, Any]]
) -> None:
    store = Store.open(motions)
    split = load_split(store, "xview")
    row = FULL | {"select": "validation", "validation_share": 0.3, "eval_every": 1, "min_clips": 60, "epochs": 3}
    config = make_config(encoders={}, scratch=SCRATCH, protocols=[row], seeds=[0, 1, 2], baselines=[])
    report = run(config)
    asides = set()
    for spec, call in zip(specs, fits, strict=True):
        assert sorted([*spec.train, *spec.validation]) == split.train.tolist()
        assert not set(store.subject[spec.train]) & set(store.subject[spec.validation])
        assert len(set(store.subject[spec.validation])) == 1
        asides |= set(store.subject[spec.validation].tolist())
        rows = call["args"][1].rows
        assert set(rows) == set(spec.train)
        assert len(rows) == 2 * len(spec.train)  # 39 clips twice are 60 and more
    assert len(asides) > 1
    assert "validation subjects" in report.selection
    for seed, folder in enumerate(folders(config)):
        held = [record["validation_accuracy"] for record in RunDir.open(folder).records()]
        epoch = 1 + held.index(max(held))
        assert f"seed {seed}: epoch {epoch}, the best one on the validation subjects" in report.measurements[0].notes
        data = np.load(folder / "predictions.npz")
        assert data["epoch"] == epoch
        assert (data["logits"].argmax(1) == data["by_epoch"][epoch - 1]).all()


def test_the_epoch_is_chosen_by_validation_clips_whatever_test_clips_say(
    make_config: MakeConfig, motions: Path, specs: list[supervised.TrainingSpec], tmp_path: Path
) -> None:
    """Three evaluations: test clips are best known at the third, validation clips at the second."""
    row = FULL | {"select": "validation", "epochs": 1}
    config = make_config(encoders={}, scratch=SCRATCH, protocols=[row], baselines=[])
    run(config)
    (spec,), store = specs, Store.open(motions)
    truth = np.eye(store.num_classes, dtype=np.float32)[store.label[np.concatenate([spec.test, spec.validation])]]
    wrong = np.roll(truth, 1, axis=1)
    chooses = np.arange(len(truth))[:, None] >= len(spec.test)
    (tmp_path / EVALUATIONS).mkdir()
    (tmp_path / "checkpoints").mkdir()
    for epoch, look in {
        5: wrong,
        10: np.where(chooses, truth, wrong),
        15: np.where(chooses, wrong, truth),
    }.items():
        np.save(tmp_path / EVALUATIONS / f"epoch_{epoch:05d}.npy", look)
    context = SimpleNamespace(store=store)
    conclude(config.protocols[0], context, spec, tmp_path)
    data = np.load(tmp_path / "predictions.npz")
    assert data["epoch"] == 10
    assert (data["logits"] == wrong[: len(spec.test)]).all()
    assert (data["by_epoch"] == store.label[spec.test]).mean(1).tolist() == [0, 0, 1]


@pytest.mark.parametrize("row", [FULL | {"select": "validation"}, SEMI])
def test_labels_of_test_clips_change_no_prediction(
    make_config: MakeConfig, motions: Path, rewrite, row: dict[str, Any]
) -> None:
    store = Store.open(motions)
    test = set(load_split(store, "xview").test.tolist())
    poisoned = rewrite(lambda clip, row: [replace(clip, label=(clip.label * 7 + 3) % 12) if row in test else clip])
    given = {"encoders": {}, "scratch": SCRATCH, "protocols": [row], "baselines": []}
    honest = run(make_config(name="honest", **given))
    lied_to = run(make_config(name="lied", data={"store": str(poisoned)}, **given))
    assert predicted(lied_to) == predicted(honest)
    assert [m.runs for m in lied_to.measurements] != [m.runs for m in honest.measurements]


def test_layer_decay_slows_stages_from_the_head_down(run_dir: Path) -> None:
    task = Classifier(load_encoder(run_dir)[0], 5, frozen=False)
    stages = task.encoder.backbone.stages()
    by_hand = {id(p): 0.5 ** (len(stages) - i) for i, stage in enumerate(stages) for p in stage.parameters()}
    by_hand |= {id(p): 1.0 for p in task.head.parameters()}
    groups = layer_groups(task, 0.05, 0.5)
    found = {id(p): group["lr_scale"] for group in groups for p in group["params"]}
    assert found == by_hand
    assert len(found) == sum(len(group["params"]) for group in groups) == len(list(task.parameters()))
    for group in groups:
        assert {p.ndim > 1 for p in group["params"]} == {group["weight_decay"] == 0.05}


def test_layer_decay_of_mamps_transformer_is_its_codes() -> None:
    """util/lr_decay.py: the last norm learns at the head's rate, the last block at one step less."""
    net = STTransformerConfig(size="tiny", depth=3)
    task = Classifier(build_encoder(net, LAYOUTS["sbu15"], channels=3, num_frames=8, stream="joint"), 5, frozen=False)
    found = {id(p): group["lr_scale"] for group in layer_groups(task, 0.05, 0.5) for p in group["params"]}
    backbone = task.encoder.backbone
    for module, scale in (
        *((backbone.embed, 0.5**4), (backbone.norm, 1.0), (task.head, 1.0)),
        *((block, 0.5 ** (3 - at)) for at, block in enumerate(backbone.blocks)),
    ):
        assert {found[id(p)] for p in module.parameters()} == {scale}


def test_layer_decay_is_for_pretrained_weights_only(make_config: MakeConfig, fits: list[dict[str, Any]]) -> None:
    run(make_config(protocols=[FULL | {"layer_decay": 0.5}], baselines=["untrained"]))
    scratch, pretrained = (call["groups"] for call in fits)
    assert scratch is None
    assert {group["lr_scale"] for group in pretrained} == {0.25, 0.5, 1.0}


def test_drop_path_is_of_the_training_alone(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deep blocks of an encoder that was built without it are left out at times; its weights are its own."""
    given: list[tuple[Classifier, dict[str, Any]]] = []
    monkeypatch.setattr(
        supervised,
        "fit",
        lambda task, *a, **k: given.append((task, copy.deepcopy(task.state_dict()))) or fit(task, *a, **k),
    )
    net = {"name": "st_transformer", "size": "tiny"}
    quick = FULL | {"epochs": 1, "eval_every": 0}
    for name, options in (("plain", quick), ("dropping", quick | {"drop_path": 0.5})):
        scratch = SCRATCH | {"backbone": net}
        run(make_config(name=name, encoders={}, scratch=scratch, protocols=[options], baselines=[]))
    plain, dropping = (task.encoder.backbone for task, _ in given)
    assert [block.drop_path1.__class__.__name__ for block in plain.blocks] == ["Identity"] * len(plain.blocks)
    assert dropping.blocks[-1].drop_path1.drop_prob == dropping.blocks[-1].drop_path2.drop_prob == 0.5
    before, after = (weights for _, weights in given)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("encoder."))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocols": [FULL | {"select": "validation", "eval_every": 0}]}, "set eval_every to 1 or more"),
        ({"protocols": [SEMI | {"fractions": [10.0]}]}, r"fractions\.0"),
        ({"protocols": [FULL | {"optim": {"warmup": 1}}]}, r"warmup: unknown key; did you mean 'warmup_epochs'"),
        ({"protocols": [FULL | {"fractions": [0.1]}]}, "fractions: unknown key"),
        ({"protocols": [SEMI | {"fractions": []}]}, "give a share of the labels, or per_class"),
        ({"protocols": [FULL | {"crop": [0.9, 0.1]}]}, r"crop.*0 < low <= high <= 1, got \[0\.9, 0\.1\]"),
        ({"name": ".."}, "name"),
        ({"scratch": SCRATCH}, "encoders: name at least one, or give scratch with a backbone; not both"),
        ({"encoders": {}, "scratch": SCRATCH | {"splits": []}}, r"scratch\.splits"),
    ],
)
def test_mistakes_in_configs_are_named(make_config: MakeConfig, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as told:
        make_config(**changes)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scratch": SCRATCH | {"num_frames": 10}}, "scratch.num_frames: 10 is not a multiple of 4"),
        (
            {"protocols": [SEMI | {"select": "validation"}]},
            "semi: select: validation: without .*, class .* has no clip left among 13; lower validation_share",
        ),
        ({"protocols": [FULL | {"drop_path": 0.3}]}, "full: drop_path: mpae_net has none; leave it out"),
    ],
)
def test_what_cannot_be_trained_is_refused_ahead_of_all_work(
    make_config: MakeConfig, changes: dict[str, Any], message: str
) -> None:
    config = make_config(**{"encoders": {}, "scratch": SCRATCH, "protocols": [FULL]} | changes)
    with pytest.raises(UserError, match=message):
        run(config)
    assert not (config.runs / config.name / "trainings").exists()


def test_unknown_subjects_cannot_be_validation_subjects(make_config: MakeConfig, rewrite) -> None:
    path = rewrite(lambda clip, row: [replace(clip, subject=-1)])
    config = make_config(
        data={"store": str(path)}, encoders={}, scratch=SCRATCH, protocols=[FULL | {"select": "validation"}]
    )
    with pytest.raises(UserError, match="two known subjects or more; use select: last"):
        run(config)
