"""Defects known from other people's evaluation code, each with the test that guards against it here.

Elsewhere already:

- Another subset on each rank: ``test_ranks`` (equal fingerprints), ``tests/data/test_subsets`` (one file, any process).
- Five repetitions with one seed: ``test_trained`` (each seed and each encoder is a training of its own).
- Clips counted twice by distributed evaluation; a learning rate that follows the number of processes: ``test_ranks``.
- A crash without a launcher (``global_rank``, ``model.module``): every test here runs without one, ``test_ranks`` with.
- A class without training clips: ``test_run``; left without any by validation subjects, or by a small share of the
  labels (one is kept, and said): ``test_trained``.
- An epoch chosen on test clips: ``test_trained`` (validation clips choose, whatever test clips say).
- Pretraining on clips that are tested on later: ``test_run`` (a test clip seen in pretraining is a warning).
- Ties and normalisation of kNN left open: ``tests/evaluation/test_knn``.
- Weights of an ensemble chosen on test clips: ``test_fusion``.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml
from typer import Typer
from typer.testing import CliRunner

from finetune.__main__ import command
from finetune.config import FinetuneConfig
from finetune.protocols import PROTOCOLS
from finetune.run import run
from finetune.trainings.evaluations import EVALUATIONS, conclude
from ssl_skel.config import dump_config, parse_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.errors import UserError

MakeConfig = Callable[..., FinetuneConfig]
CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "finetune").glob("*.yaml"))
QUICK: dict[str, Any] = {"epochs": 1, "batch_size": 16, "eval_every": 1, "crop": [1.0, 1.0], "augment": []}


def test_unknown_keys_are_never_dropped_in_silence(make_config: MakeConfig) -> None:
    """MAMP's linear stage drops keys that it does not know."""
    plain = json.loads(make_config(protocols=[{"name": name} for name in PROTOCOLS]).model_dump_json())
    places: list[list[str | int]] = [[], ["data"], *(["protocols", at] for at in range(len(PROTOCOLS)))]
    places += [["protocols", at, "optim"] for at, row in enumerate(plain["protocols"]) if "optim" in row]
    assert len(places) > len(PROTOCOLS) + 2
    for place in places:
        spoilt = json.loads(json.dumps(plain))
        at = spoilt
        for step in place:
            at = at[step]
        at["optin_lr"] = 0.1
        with pytest.raises(UserError, match=r"optin_lr: unknown key"):
            parse_config(FinetuneConfig, spoilt, "test")


def test_what_the_command_line_overrides_is_what_is_kept_and_what_is_done(make_config: MakeConfig, tmp_path) -> None:
    """MAMP's YAML says 5e-4 and its shell script trains with 3e-4."""
    row = {"name": "full", "optim": {"lr": 5e-4, "warmup_epochs": 0, "schedule": "constant"}} | QUICK
    config = make_config(protocols=[row], baselines=[])
    path = tmp_path / "config.yaml"
    path.write_text(dump_config(config))
    app = Typer()
    app.command()(command)
    CliRunner().invoke(app, [str(path), "protocols.0.optim.lr=3e-4"], catch_exceptions=False)
    folder = config.runs / config.name
    assert yaml.safe_load((folder / "config.yaml").read_text())["protocols"][0]["optim"]["lr"] == 3e-4
    (log,) = folder.glob("trainings/*/log.jsonl")
    assert [json.loads(line)["lr"] for line in log.read_text().splitlines()] == [3e-4]
    assert "protocols.0.optim.lr=3e-4" in (folder / "report.md").read_text()


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_name_no_machine(path: Path) -> None:
    """AimCLR, HiCLR and ActCLR ship their authors' folders and device numbers."""
    config = yaml.safe_load(path.read_text())
    paths = [config["data"]["store"], *np.ravel(list(config.get("encoders", {}).values())).tolist()]
    assert not any(Path(str(one)).is_absolute() or ".." in Path(str(one)).parts for one in paths)
    assert config.get("device", "auto") == "auto"


def test_heads_have_the_classes_of_the_store(make_config: MakeConfig, motions: Path) -> None:
    """MAMP's configs for PKU-MMD have 60 classes where the data has 51; here no option names their number."""
    config = make_config(protocols=[{"name": "full"} | QUICK], baselines=[])
    assert "num_classes" not in dump_config(config)
    run(config)
    (file,) = (config.runs / config.name).glob("trainings/*/predictions.npz")
    with np.load(file) as data:
        assert data["logits"].shape[1] == len(Store.open(motions).class_names)


def test_a_clip_without_a_label_shifts_no_other_label(make_config: MakeConfig, motions: Path, rewrite) -> None:
    """CTR-GCN, MAMP and others take labels by ``np.where(onehot > 0)[1]``: an empty row shifts all that follow."""
    store = Store.open(motions)
    split = load_split(store, "unseen")
    other = np.setdiff1d(np.arange(len(store)), np.concatenate([split.train, split.test]))
    path = rewrite(lambda clip, row: [replace(clip, label=-1) if row == other[0] else clip])
    known = Store.open(path)
    assert known.label[other[0]] == -1
    assert np.delete(known.label, other[0]).tolist() == np.delete(store.label, other[0]).tolist()
    rows = [{"name": "knn", "ks": [1]}, {"name": "linear", "c": 0.1}]
    plain = run(make_config(name="plain", protocols=rows, baselines=["raw"]))
    empty = run(make_config(name="empty", protocols=rows, baselines=["raw"], data={"store": str(path)}))
    assert [m.runs for m in empty.measurements] == [m.runs for m in plain.measurements]
    blank = rewrite(lambda clip, row: [replace(clip, label=-1) if row == split.train[0] else clip])
    left_out = run(make_config(name="blank", protocols=rows, baselines=["raw"], data={"store": str(blank)}))
    without = rewrite(lambda clip, row: [] if row == split.train[0] else [clip])
    gone = run(make_config(name="gone", protocols=rows, baselines=["raw"], data={"store": str(without)}))
    assert [m.runs for m in left_out.measurements] == [m.runs for m in gone.measurements]
    told = f"1 of {len(split.train)} train clips have no label and are left out where one is needed"
    assert left_out.splits[0].warnings == (told,)
    assert left_out.splits[0].train == len(split.train) - 1


def test_a_class_without_test_clips_counts_in_no_mean(make_config: MakeConfig, motions: Path, rewrite) -> None:
    """A missing class must neither crash, nor shift the others, nor count as zero."""
    test = set(load_split(Store.open(motions), "unseen").test.tolist())
    path = rewrite(lambda clip, row: [] if row in test and clip.label == 2 else [clip])
    report = run(make_config(baselines=["raw"], data={"store": str(path)}))
    for row in report.measurements:
        assert [label for label, share in enumerate(row.runs[0].per_class) if share is None] == [2]
        assert len(row.runs[0].confusion) == len(report.class_names)


def test_the_last_epoch_is_the_figure_and_the_best_on_test_a_labelled_extra(tmp_path: Path) -> None:
    """MAMP and all others report the best epoch on the test clips."""
    store = SimpleNamespace(label=np.arange(6), name=np.array(list("abcdef")), class_names=tuple("abcdef"))
    config = PROTOCOLS.configs["full"]()
    rows = np.arange(6)
    spec = SimpleNamespace(test=rows, validation=rows[:0])
    right = np.eye(6, dtype=np.float32)
    for folder in (EVALUATIONS, "checkpoints"):
        (tmp_path / folder).mkdir()
    for epoch, look in {5: right, 10: np.roll(right, 1, 1)}.items():
        np.save(tmp_path / EVALUATIONS / f"epoch_{epoch:05d}.npy", look)
    conclude(config, SimpleNamespace(store=store), spec, tmp_path)
    with np.load(tmp_path / "predictions.npz") as data:
        assert data["epoch"] == 10
        assert (data["logits"].argmax(1) == store.label).mean() == 0
        assert (data["by_epoch"] == store.label).mean(1).tolist() == [1, 0]


def test_a_report_names_the_best_epoch_apart(make_config: MakeConfig) -> None:
    row = {"name": "full"} | QUICK | {"epochs": 3, "optim": {"lr": 0.05, "warmup_epochs": 0}}
    report = run(make_config(protocols=[row], baselines=[]))
    assert report.selection == "last epoch"
    page = report.to_markdown()
    assert page.index("## Accuracy (top-1), %") < page.index("## Best epoch on the test clips, %")
    assert "Reported: last epoch" in page


# What users stumble over; each is told in one line before anything is computed.


def test_a_run_without_an_encoder_is_told(make_config: MakeConfig, tmp_path: Path) -> None:
    unfinished = tmp_path / "unfinished"
    (unfinished / "checkpoints").mkdir(parents=True)
    (unfinished / "config.yaml").write_text("name: unfinished\n")
    config = make_config(encoders={"unseen": str(unfinished)})
    with pytest.raises(UserError, match=r"unfinished/card.json: No such file.*the run has no encoder yet, finish it"):
        run(config)
    assert not (config.runs / config.name).exists()


def test_encoders_of_other_lengths_share_no_split(make_config: MakeConfig, motions: Path, save_run, run_dir, tmp_path):
    long = save_run(tmp_path / "long", Store.open(motions), num_frames=8)
    with pytest.raises(UserError, match=r"long: is built differently from .*tiny; seeds of one split must share"):
        run(make_config(encoders={"unseen": [str(run_dir), str(long)]}))
    report = run(make_config(encoders={"unseen": str(run_dir), "xview": str(long)}, baselines=[]))
    assert {m.split for m in report.measurements} == {"unseen", "xview"}


def test_a_pooling_of_joints_needs_joints(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    from ssl_skel.backbones.mpae_net import MPAENet

    monkeypatch.setattr(MPAENet, "keeps_joints", False)
    with pytest.raises(UserError, match="pooling: part needs joints, and mpae_net merges them; use mean"):
        run(make_config(pooling="part"))
