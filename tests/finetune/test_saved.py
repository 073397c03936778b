"""Classifiers on disk, and ``ssl-skel predict``: the same answers as in the evaluation, from files alone."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from scipy.io import savemat
from scipy.special import softmax
from typer.testing import CliRunner, Result

from finetune.classifiers.names import CLASSIFIER
from finetune.commands import predict as command
from finetune.config import FinetuneConfig
from finetune.fusion.run import fuse
from finetune.predict import load_classifier, predict
from finetune.run import run
from finetune.trainings import evaluations
from finetune.trainings.evaluations import EVALUATIONS
from ssl_skel.config import parse_config
from ssl_skel.data.convert import convert
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.linear import linear_probe
from ssl_skel.evaluation.report import Report
from ssl_skel.layouts import LAYOUTS

MakeConfig = Callable[..., FinetuneConfig]
QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 8, "eval_every": 1, "crop": [1.0, 1.0], "augment": [], "save": True}
QUICK |= {"optim": {"lr": 1e-2, "warmup_epochs": 1}}
FULL = {"name": "full"} | QUICK
PSP = {"name": "psp", "fractions": [], "per_class": [1], "pretext": {"name": "psp", "norm": "layer"}} | QUICK
PSP |= {"unlabelled": 8}
NET = {"name": "mpae_net", "channels": [8], "strides": [4], "heads": 2, "norm": "layer"}

app = typer.Typer()
app.command()(command)


def call(*words: Any) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)


def stored(training: Path) -> dict[str, np.ndarray]:
    """Logits of the training's test clips by name."""
    with np.load(training / "predictions.npz") as data:
        return dict(zip(data["name"].tolist(), data["logits"], strict=True))


def folders(config: FinetuneConfig) -> list[Path]:
    return sorted((config.runs / config.name / "trainings").iterdir())


def close(found: np.ndarray, logits: list[np.ndarray]) -> None:
    np.testing.assert_allclose(found, np.mean([softmax(one.astype(float)) for one in logits], 0), atol=1e-5)


PROBE = {"name": "linear", "c": 0.1, "augmented_views": 1, "save": True}


@pytest.mark.parametrize(
    ("row", "pooling"),
    [
        (PROBE, "part"),
        (FULL, "mean"),
        (FULL | {"select": "validation", "validation_share": 0.3}, "body"),
        (PSP, "mean"),
    ],
)
def test_a_saved_classifier_says_what_the_evaluation_says(
    make_config: MakeConfig, motions: Path, run_dir: Path, row: dict[str, Any], pooling: str
) -> None:
    encoders = {"xview": str(run_dir), "xview_dedup": str(run_dir)}
    config = make_config(encoders=encoders, protocols=[row], pooling=pooling, baselines=[])
    run(config)
    (training,) = folders(config)
    assert sorted(path.name for path in (training / CLASSIFIER).iterdir()) == [
        "card.json",
        "encoder.safetensors",
        "head.json",
        "head.safetensors",
    ]
    answer = predict(config.runs / config.name, motions)
    assert answer.trainings == (training.name,)
    with pytest.raises(UserError, match="looks at joints alone; leave the videos out"):
        predict(config.runs / config.name, motions, videos=motions)
    assert answer.clips == tuple(Store.open(motions).name)
    for name, logits in stored(training).items():
        close(answer.probability[answer.clips.index(name)], [logits])
    saved = load_classifier(training)
    assert saved.head.class_names == Store.open(motions).class_names
    assert str(saved.head.pooling) == pooling
    assert not saved.task.training
    if row is not PROBE:  # the probe's encoder is the pretrained one
        assert saved.card.init.data.split == "xview"
    assert (saved.card.data.split, saved.card.data.clips) == ("xview", 52)
    assert saved.card.normalization == Store.open(motions).normalization


def test_a_probe_s_layer_is_the_probe() -> None:
    rng = np.random.default_rng(0)
    for classes in (2, 3):
        y = rng.integers(0, classes, 60)
        x = (rng.normal(size=(classes, 5))[y] + rng.normal(size=(60, 5)) * [1, 2, 3, 0.1, 1] + 4).astype(np.float32)
        x[:, 4] = 7  # does not vary
        probe = linear_probe(x[:40], y[:40], x, num_classes=classes + 1, c=0.5)
        found = softmax(x @ probe.weight.T + probe.bias, axis=1)
        np.testing.assert_allclose(found, np.exp(probe.scores), atol=1e-6)
        assert (found[:, classes] == 0).all()


def test_linear_probes_of_several_streams_can_be_fused(make_config: MakeConfig, motions: Path, save_run, tmp_path):
    store, paths = Store.open(motions), []
    for stream in ("joint", "bone"):
        encoder = save_run(tmp_path / stream, store, stream=stream)
        config = make_config(name=f"e_{stream}", encoders={"xview": str(encoder)}, protocols=[PROBE], baselines=["raw"])
        run(config)
        paths.append(config.runs / config.name)
    report = fuse(paths, "both", command="")
    (row,) = report.measurements
    assert (row.features, row.measure) == (
        "pretrained",
        "linear, cached, 1 augmented view, fused joint + bone by 0.6 : 0.6",
    )
    split = load_split(store, "xview")
    scores = []
    for path in paths:
        by_name = stored(next((path / "trainings").iterdir()))
        scores.append(np.stack([by_name[name] for name in store.name[split.test]]))
        alone = Report.load(path).figure("xview", "pretrained", "linear, cached, 1 augmented view").mean
        assert (scores[-1].argmax(1) == store.label[split.test]).mean() == alone
    assert row.figures["accuracy"].mean == (sum(scores).argmax(1) == store.label[split.test]).mean()


def test_keeping_weights_is_no_other_training_and_can_be_asked_for_later(make_config: MakeConfig) -> None:
    plain, kept = ({"name": "full"} | QUICK | {"save": save} for save in (False, True))
    config = make_config(protocols=[plain], baselines=[])
    first = run(config)
    (training,) = folders(config)
    assert not (training / CLASSIFIER).exists()
    again = run(make_config(protocols=[kept], baselines=[]))
    assert folders(config) == [training]
    assert (training / CLASSIFIER / "head.json").exists()
    assert again.measurements == first.measurements
    assert "save: true" in (config.runs / config.name / "config.yaml").read_text()
    stamp = (training / "predictions.npz").stat().st_mtime_ns
    run(make_config(protocols=[kept], baselines=[]))
    assert (training / "predictions.npz").stat().st_mtime_ns == stamp


def test_a_kill_as_the_predictions_are_written_costs_no_weights(
    make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: Any, **__: Any) -> None:
        raise Killed

    config = make_config(protocols=[FULL], baselines=[])
    with monkeypatch.context() as patch:
        patch.setattr(evaluations, "save_predictions", kill)
        with pytest.raises(Killed):
            run(config)
    run(config)
    (training,) = folders(config)
    assert (training / CLASSIFIER / "head.json").exists()
    assert (training / "predictions.npz").exists()
    assert not (training / EVALUATIONS).exists()
    for name in (EVALUATIONS, "looks", "checkpoints", ".checkpoints.removed"):  # of a kill just before the end
        (training / name).mkdir()
    run(config)
    assert sorted(path.name for path in training.iterdir()) == [
        *("classifier", "config.yaml", "log.jsonl", "predictions.npz", "tensorboard")
    ]


def test_weights_asked_for_after_an_interruption_are_those_of_the_chosen_epoch(
    make_config: MakeConfig, motions: Path, interrupt: Callable[[FinetuneConfig], None]
) -> None:
    row = FULL | {"select": "validation", "validation_share": 0.3, "epochs": 5}
    interrupt(make_config(protocols=[row | {"save": False}], baselines=[]))
    config = make_config(protocols=[row], baselines=[])
    run(config)
    (training,) = folders(config)
    answer = predict(training, motions)
    for name, logits in stored(training).items():
        close(answer.probability[answer.clips.index(name)], [logits])


def test_a_config_kept_by_a_version_with_fewer_options_is_the_same_one(make_config: MakeConfig) -> None:
    config = make_config(protocols=[FULL | {"save": False}], baselines=[])
    report = run(config)
    file = config.runs / config.name / "config.yaml"
    file.write_text(file.read_text().replace("  save: false\n", ""))
    assert "save" not in file.read_text()
    assert run(config).measurements == report.measurements
    assert "save: false" in file.read_text()


def test_a_fine_tuned_encoder_is_an_encoder_and_its_past_is_known(make_config: MakeConfig, run_dir: Path) -> None:
    config = make_config(protocols=[FULL], encoders={"xview": str(run_dir)}, baselines=[])
    run(config)
    path = folders(config)[0] / CLASSIFIER
    assert load_encoder(path)[1].init.data.split == "xview"
    knn = {"protocols": [{"name": "knn", "ks": [1]}], "baselines": []}
    fine = run(make_config(name="fine", encoders={"xview": str(path)}, **knn))
    assert fine.splits[0].warnings == ()
    assert fine.splits[0].pretrained_on.startswith("xview of")
    other = run(make_config(name="other", encoders={"xsub": str(path)}, **knn))
    assert fine.splits[0].pretrained_on.endswith(", with labels (all)")
    assert any("test clips were seen in training, with labels (all)" in told for told in other.splits[0].warnings)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Raw files of UTD-MHAD's form: 2 actions x 4 subjects x 2 trials."""
    folder, rng = tmp_path_factory.mktemp("utd"), np.random.default_rng(0)
    for action in (1, 2):
        for subject in (1, 2, 3, 4):
            for trial in (1, 2):
                start = rng.normal(size=(20, 3, 1)) * 0.3
                joints = start + action * 0.02 * np.arange(20 + trial) * rng.normal(size=(20, 3, 1))
                savemat(folder / f"a{action}_s{subject}_t{trial}_skeleton.mat", {"d_skel": joints}, do_compression=True)
    return folder


@pytest.fixture(scope="module")
def evaluation(recordings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From fresh weights, with two seeds, on an oriented store of the recordings."""
    folder = tmp_path_factory.mktemp("predict")
    how = NormalizeConfig(orient=True)
    convert("utd-mhad", recordings, folder / "store", normalize=how, progress=False)
    data = {
        "name": "evaluation",
        "data": {"store": str(folder / "store")},
        "scratch": {"splits": ["xsub"], "backbone": NET, "num_frames": 8},
        "protocols": [FULL],
        "seeds": [0, 1],
        "device": "cpu",
        "runs": str(folder),
    }
    run(parse_config(FinetuneConfig, data, "test"))
    return folder / "evaluation"


def test_a_raw_file_is_told_as_its_clip_was_told_in_the_evaluation(evaluation: Path, recordings: Path) -> None:
    trainings = sorted((evaluation / "trainings").iterdir())
    by_seed = [stored(training) for training in trainings]
    for clip in ("a1_s2_t1", "a2_s4_t2"):
        file = recordings / f"{clip}_skeleton.mat"
        answer = predict(evaluation, file, format="utd-mhad")
        assert answer.clips == (clip,)
        close(answer.probability[0], [one[clip] for one in by_seed])
        one = predict(evaluation, file, training=trainings[1].name[:-3])
        assert one.trainings == (trainings[1].name,)
        close(one.probability[0], [by_seed[1][clip]])
        np.testing.assert_allclose(predict(trainings[0], file).probability[0], softmax(by_seed[0][clip]), atol=1e-5)


def test_the_command_shows_the_best_classes_and_says_what_was_averaged(evaluation: Path, recordings: Path) -> None:
    file = recordings / "a1_s2_t1_skeleton.mat"
    answer = predict(evaluation, file)
    names, best = answer.class_names, np.argsort(-answer.probability[0])[:2]
    text = call(evaluation, file, "--top", 2).stdout
    assert "mean probabilities of 2 trainings" in text
    shown = ", ".join(f"{names[at]} {100 * answer.probability[0, at]:.1f} %" for at in best)
    assert re.search(rf"a1_s2_t1 +{names[best[0]]} +[0-9.]+ +{re.escape(shown)} *\n", text)
    told = json.loads(call(evaluation, file, "--json", "-k", 27).stdout)
    assert len(told["trainings"]) == 2
    assert sum(one["probability"] for one in told["clips"][0]["classes"]) == pytest.approx(1)
    assert told["clips"][0]["classes"][0]["name"] == names[best[0]]


def test_several_kinds_of_trainings_must_be_chosen_among(make_config: MakeConfig, motions: Path, run_dir: Path) -> None:
    row = FULL | {"name": "semi", "fractions": [0.5], "epochs": 1}
    config = make_config(protocols=[row], encoders={"xview": str(run_dir), "unseen": str(run_dir)}, baselines=[])
    run(config)
    path = config.runs / config.name
    with pytest.raises(UserError, match=r"has 2 kinds of trainings \(unseen_pretrained0_0.5.*choose by --training"):
        call(path, motions)
    assert predict(path, motions, training="unseen_").trainings[0].startswith("unseen_pretrained0_0.5_seed0_")
    with pytest.raises(UserError, match=r"no training begins with 'xvie_'; there are unseen_pretrained0.*, xview_"):
        call(path, motions, "--training", "xvie_")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: shutil.rmtree(f), "head.json: No such file.*evaluate with save: true"),
        (lambda f: (f / "head.json").write_text("{"), "head.json: is not JSON"),
        (lambda f: (f / "head.json").write_text("{}"), "head.json: format_version: is None"),
        (lambda f: edit(f, pooling="hand"), "head.json: pooling: unknown 'hand'"),
        (lambda f: edit(f, protocol={"name": "knn"}), "protocol.name: 'knn' trains no classifier"),
        (lambda f: edit(f, protocol={"name": "fulll"}), "protocol.name: unknown protocol 'fulll'; did you mean 'full'"),
        (lambda f: edit(f, protocol={"name": "full", "epoch": 1}), "epoch: unknown key; did you mean 'epochs'"),
        (lambda f: edit(f, class_names=["a", "b"]), "head.safetensors: 2 tensors do not fit head.json"),
        (lambda f: (f / "head.safetensors").write_bytes(b"x"), "head.safetensors: is not a safetensors file"),
        (lambda f: (f / "head.safetensors").unlink(), "head.safetensors: .*belong beside head.json"),
        (lambda f: (f / "encoder.safetensors").write_bytes(b"x"), "encoder.safetensors: is not a safetensors file"),
    ],
)
def test_damage_is_told_in_one_line(
    evaluation: Path, recordings: Path, tmp_path: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    training = shutil.copytree(next((evaluation / "trainings").iterdir()), tmp_path / "training")
    spoil(training / CLASSIFIER)
    with pytest.raises(UserError, match=message) as told:
        predict(training, recordings / "a1_s1_t1_skeleton.mat")
    assert "\n" not in str(told.value)


def edit(folder: Path, **changes: Any) -> None:
    data = json.loads((folder / "head.json").read_text())
    (folder / "head.json").write_text(json.dumps(data | changes))


def test_recordings_of_another_layout_are_refused(evaluation: Path, motions: Path, tmp_path: Path) -> None:
    assert Store.open(motions).layout != LAYOUTS["kinect20"]
    with pytest.raises(UserError, match=r"layout: has .*, the encoder takes kinect20"):
        predict(evaluation, motions)
    with pytest.raises(UserError, match=r"none\.mat: does not exist; give a raw file"):
        predict(evaluation, tmp_path / "none.mat")
    assert Report.load(evaluation).measurements
    assert len(load_split(Store.open(evaluation.parent / "store"), "xsub").test) == 8
