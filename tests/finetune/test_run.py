"""Whole evaluations of a tiny untrained encoder, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file

from finetune.config import FinetuneConfig
from finetune.run import run
from ssl_skel.config import dump_config, load_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import CARD, WEIGHTS
from ssl_skel.errors import UserError
from ssl_skel.evaluation.baselines import raw_features
from ssl_skel.evaluation.knn import knn_predict
from ssl_skel.evaluation.report import Report

MakeConfig = Callable[..., FinetuneConfig]
LIVE = {"name": "linear", "mode": "both", "c": 0.01, "epochs": 2, "batch_size": 16}


def rows(report: Report) -> list[tuple[str, str, str]]:
    return [(row.split, row.features, row.measure) for row in report.measurements]


def predicted_counts(report: Report) -> dict[tuple[str, str], list[int]]:
    """How often each class was predicted; does not depend on the truth."""
    return {(m.features, m.measure): np.sum(m.runs[0].confusion, axis=0).tolist() for m in report.measurements}


def test_every_baseline_asked_for_stands_beside(make_config: MakeConfig, motions: Path) -> None:
    asked = ["raw_box", "raw_deviation", "raw_pairs"]
    report = run(make_config(baselines=asked, protocols=[{"name": "knn", "ks": [1]}, {"name": "linear", "c": 0.01}]))
    for measure in ("kNN, k = 1", "linear, cached"):
        found = {m.features for m in report.measurements if m.measure == measure}
        assert found == {*asked, "pretrained"}
        best = max(asked, key=lambda name: report.figure("unseen", name, measure).mean)
        gain, name = report.gain("unseen", measure)
        reached, beside = (report.figure("unseen", one, measure).mean for one in ("pretrained", best))
        assert (gain, name) == (reached - beside, best)
    page = (make_config().runs / "test" / "report.md").read_text()
    assert page.count("gain over the strongest baseline") == 2


def test_pairs_need_two_persons(make_config: MakeConfig, rewrite) -> None:
    alone = rewrite(lambda clip, _: [replace(clip, joints=clip.joints[:1])])
    with pytest.raises(UserError, match=r"^baselines: raw_pairs needs 2 persons, and no clip of .*; leave it out$"):
        run(make_config(baselines=["raw_pairs"], data={"store": str(alone)}))


def test_knn_measures_the_baselines_too(make_config: MakeConfig, motions: Path) -> None:
    config = make_config(seeds=[0, 1])
    report = run(config)
    assert rows(report) == [
        ("unseen", features, f"kNN, k = {k}")
        for features in ("raw", "raw (Euclidean)", "untrained", "pretrained")
        for k in (1, 5)
    ]
    store = Store.open(motions)
    split, x = load_split(store, "unseen"), raw_features(store)
    guess = knn_predict(x[split.train], store.label[split.train], x[split.test], (1,))[1]
    expected = float((guess == store.label[split.test]).mean())
    assert report.figure("unseen", "raw", "kNN, k = 1").mean == expected
    assert report.figure("unseen", "untrained", "kNN, k = 1").count == 2
    assert report.figure("unseen", "pretrained", "kNN, k = 1").count == 1
    assert (report.splits[0].train, report.splits[0].test) == (len(split.train), len(split.test))

    folder = config.runs / config.name
    assert Report.load(folder) == report
    assert load_config(FinetuneConfig, folder / "config.yaml") == config
    assert f"finetune {folder}/config.yaml" in report.command
    assert {"torch", "faiss-cpu", "scikit-learn"} <= report.versions.keys()


def test_the_untrained_encoder_of_the_same_seed_is_the_pretrained_one_here(make_config: MakeConfig) -> None:
    """The encoder of the fixture is untrained, made with seed 7: both rows must agree, and no other seed's."""
    report = run(make_config(seeds=[7, 8]))
    by_features = {m.features: m.runs for m in report.measurements if m.measure == "kNN, k = 1"}
    assert by_features["untrained"][0] == by_features["pretrained"][0]
    assert by_features["untrained"][0] != by_features["untrained"][1]


def test_linear_closed_and_live(make_config: MakeConfig) -> None:
    config = make_config(protocols=[LIVE], seeds=[0, 1])
    report = run(config)
    assert rows(report) == [
        ("unseen", "raw", "linear, cached"),
        ("unseen", "untrained", "linear, cached"),
        ("unseen", "untrained", "linear, trained"),
        ("unseen", "pretrained", "linear, cached"),
        ("unseen", "pretrained", "linear, trained"),
    ]
    live = report.measurements[-1]
    assert len(live.runs) == 2
    assert live.runs[0] != live.runs[1]
    assert live.figures["best_on_test"].mean >= live.figures["accuracy"].mean
    assert live.figures["top5"].mean >= live.figures["accuracy"].mean
    logs = sorted((config.runs / config.name / "probes").glob("*/log.jsonl"))
    assert len(logs) == 4
    assert [json.loads(line)["epoch"] for line in logs[0].read_text().splitlines()] == [1, 2]
    assert not list((config.runs / config.name).rglob("*.safetensors"))
    again = run(config)
    assert again.measurements == report.measurements


def test_labels_of_test_clips_change_no_prediction(make_config: MakeConfig, motions: Path, rewrite) -> None:
    store = Store.open(motions)
    test = set(load_split(store, "unseen").test.tolist())
    poisoned = rewrite(lambda clip, row: [replace(clip, label=(clip.label * 7 + 3) % 12) if row in test else clip])
    for protocol in ({"name": "knn"}, LIVE | {"c": None}):
        kind = protocol["name"]
        honest = run(make_config(name=f"honest_{kind}", protocols=[protocol]))
        lied_to = run(make_config(name=f"lied_{kind}", protocols=[protocol], data={"store": str(poisoned)}))
        assert predicted_counts(lied_to) == predicted_counts(honest)
        assert [m.runs for m in lied_to.measurements] != [m.runs for m in honest.measurements]


def test_seeds_of_pretraining_are_averaged(make_config: MakeConfig, motions: Path, save_run, tmp_path: Path) -> None:
    paths = [str(save_run(tmp_path / f"seed{seed}", Store.open(motions), seed=seed)) for seed in (1, 2)]
    report = run(make_config(encoders={"unseen": paths}, seeds=[1, 2]))
    runs = {m.features: m.runs for m in report.measurements if m.measure == "kNN, k = 1"}
    assert runs["pretrained"] == runs["untrained"]
    assert len(runs["pretrained"]) == 2


def test_each_encoder_reads_the_store_once(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, run_dir) -> None:
    import ssl_skel.embedding.embedder as module

    calls: list[int] = []
    extract = module.extract_features
    monkeypatch.setattr(module, "extract_features", lambda *a, **k: calls.append(1) or extract(*a, **k))
    splits = ("xview", "xview_dedup", "xsub")
    report = run(make_config(encoders={split: str(run_dir) for split in splits}))
    assert len(calls) == 2  # untrained and pretrained
    assert [facts.name for facts in report.splits] == list(splits)


def test_k_beyond_the_training_clips_is_said(make_config: MakeConfig) -> None:
    report = run(make_config(protocols=[{"name": "knn", "ks": [500]}], baselines=[]))
    assert "all 26 vote" in report.measurements[0].notes[0]
    assert "all 26 vote" in report.to_markdown()


def test_a_test_clip_seen_in_pretraining_is_a_warning(
    make_config: MakeConfig, motions: Path, run_dir: Path, save_run, rewrite, tmp_path: Path
) -> None:
    store = Store.open(motions)
    clean = run(make_config(name="clean", baselines=[]))
    assert clean.splits[0].warnings == ()
    assert "Warning" not in clean.to_markdown()

    everything = save_run(tmp_path / "all", store, split="all")
    seen = run(make_config(name="seen", baselines=[], encoders={"unseen": str(everything)}))
    assert "26 of 26 test clips were seen in pretraining" in seen.splits[0].warnings[0]

    # a training clip under a test clip's camera and subject: a copy, as NW-UCLA has them
    split = load_split(store, "unseen")
    at = {"subject": int(store.subject[split.test[0]]), "camera": int(store.camera[split.test[0]])}
    twice = rewrite(lambda clip, row: [clip, replace(clip, name="copy", **at)] if row == split.train[0] else [clip])
    found = run(make_config(name="copies", baselines=[], data={"store": str(twice)}))
    warnings = " ".join(found.splits[0].warnings)
    assert "1 of 27 test clips are copies of training clips" in warnings
    assert "1 of 27 test clips were seen in pretraining" in warnings

    gone = tmp_path / "gone"
    card = json.loads((run_dir / "encoder" / CARD).read_text())
    card["data"] |= {"sha256": "0" * 64, "store": str(tmp_path / "nowhere")}
    save_run(gone, store)
    (gone / "encoder" / CARD).write_text(json.dumps(card))
    untold = run(make_config(name="untold", baselines=[], encoders={"unseen": str(gone)}))
    assert "may have been seen in pretraining" in untold.splits[0].warnings[0]


def test_other_normalisation_is_a_warning(make_config: MakeConfig, run_dir: Path, save_run, motions, tmp_path) -> None:
    other = save_run(tmp_path / "other", Store.open(motions))
    path = other / "encoder" / CARD
    card = json.loads(path.read_text())
    path.write_text(json.dumps(card | {"normalization": {"centre": "none"}}))
    report = run(make_config(baselines=[], encoders={"unseen": str(other)}))
    assert "normalised" in report.splits[0].warnings[0]


def test_folds_get_a_mean(make_config: MakeConfig, motions: Path, rewrite, run_dir: Path) -> None:
    path = rewrite(lambda clip, row: [clip])
    meta = json.loads((path / "meta.json").read_text())
    for fold in (1, 2):
        meta["splits"][f"fold{fold}"] = {"train": {"subject": [3 - fold, 3, 4]}, "test": {"subject": [fold]}}
    (path / "meta.json").write_text(json.dumps(meta))
    encoders = {"fold1": str(run_dir), "fold2": str(run_dir)}
    report = run(make_config(data={"store": str(path)}, encoders=encoders, baselines=["raw"]))
    each = [report.figure(fold, "raw", "kNN, k = 1").mean for fold in encoders]
    assert report.figure("mean of folds", "raw", "kNN, k = 1").mean == pytest.approx(np.mean(each))
    assert "mean of folds" in report.to_markdown()


def test_a_name_of_all_folds_is_one_split_a_subject(make_config: MakeConfig, motions: Path, run_dir: Path) -> None:
    config = make_config(encoders={"leave_one_subject_out": str(run_dir)}, baselines=["raw"])
    report = run(config)
    subjects = len(np.unique(Store.open(motions).subject))
    folds = [f"leave_one_subject_out_fold{number}" for number in range(1, subjects + 1)]
    assert [facts.name for facts in report.splits] == folds
    each = [report.figure(fold, "raw", "kNN, k = 1").mean for fold in folds]
    mean = report.figure("mean of folds, leave_one_subject_out", "raw", "kNN, k = 1").mean
    assert mean == pytest.approx(np.mean(each))


def refuse(config: FinetuneConfig, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        run(config)
    assert "\n" not in str(caught.value)
    assert not (config.runs / config.name / "report.json").exists()


def test_what_does_not_fit_is_refused_in_one_line(
    make_config: MakeConfig, motions: Path, rewrite, save_run, run_dir, tmp_path: Path
) -> None:
    store = Store.open(motions)
    test, train = load_split(store, "unseen").test, set(load_split(store, "unseen").train.tolist())
    refuse(make_config(encoders={"all": str(run_dir)}), "split 'all': test has no clips")
    refuse(make_config(encoders={"unsen": str(run_dir)}), "did you mean 'unseen'")
    refuse(make_config(encoders={"unseen": str(tmp_path / "none")}), "none.*give a run directory")
    refuse(make_config(data={"store": str(tmp_path / "none")}), "no store there")

    blank = rewrite(lambda clip, row: [replace(clip, label=-1) if row in test else clip])
    refuse(make_config(data={"store": str(blank)}), "test: no clip has a label; label some")
    lacking = rewrite(lambda clip, row: [] if row in train and clip.label == 2 else [clip])
    refuse(make_config(data={"store": str(lacking)}), f"train has no clips of class {store.class_names[2]}")

    single = rewrite(lambda clip, row: [clip] if clip.label == 2 else [])
    refuse(make_config(data={"store": str(single)}), f"all train clips are of class {store.class_names[2]}; choose")

    wide = save_run(tmp_path / "wide", store, channels=16)
    refuse(make_config(encoders={"unseen": [str(run_dir), str(wide)]}), "wide: is built differently from .*tiny")

    rows = [{"name": "linear", "c": 0.1}, {"name": "linear", "c": 1.0}]
    refuse(make_config(protocols=rows), "protocols: 'linear, cached' is measured twice")
    refuse(make_config(protocols=[{"name": "knn", "ks": [1, 5, 1]}]), "protocols: 'kNN, k = 1' is measured twice")
    refuse(make_config(runs=str(store.path / "meta.json")), "cannot be written: .*choose another folder for runs")


def test_a_repetition_of_the_same_is_no_repetition(make_config: MakeConfig, run_dir: Path) -> None:
    """Seed 0 five times is one run, however small its spread."""
    for changes, key in (({"seeds": [0, 1, 0]}, "seeds"), ({"encoders": {"unseen": [str(run_dir)] * 2}}, "encoders")):
        with pytest.raises(UserError, match=f"{key}.* is given twice"):
            make_config(**changes)


def test_features_that_are_not_finite_have_no_figures(
    make_config: MakeConfig, motions: Path, save_run, tmp_path: Path
) -> None:
    path = save_run(tmp_path / "spoilt", Store.open(motions))
    file = path / "encoder" / WEIGHTS
    weights = load_file(file)
    save_file(
        {name: tensor * (float("nan") if tensor.is_floating_point() else 1) for name, tensor in weights.items()}, file
    )
    refuse(make_config(encoders={"unseen": str(path)}), "features of .* clips are not finite, first .*another encoder")


def test_an_evaluation_that_came_to_nothing_locks_no_name(make_config: MakeConfig) -> None:
    config = make_config()
    config.runs.joinpath(config.name).mkdir(parents=True)
    config.runs.joinpath(config.name, "config.yaml").write_text(dump_config(make_config(baselines=["raw"])))
    run(config)
    with pytest.raises(UserError, match="holds another run"):
        run(make_config(baselines=["raw"]))


def test_an_encoder_for_another_layout_is_refused(make_config: MakeConfig, save_run, tmp_path: Path) -> None:
    from ssl_skel.data.clip import RawClip
    from ssl_skel.data.writer import StoreWriter
    from ssl_skel.layouts import LAYOUTS

    other = LAYOUTS["sbu15"]
    with StoreWriter(tmp_path / "sbu", other, ("a",)) as writer:
        writer.add(RawClip("x", np.ones((1, 9, 15, 3), np.float32), label=0))
    path = save_run(tmp_path / "sbu_run", Store.open(tmp_path / "sbu"), split="all")
    refuse(make_config(encoders={"unseen": str(path)}), "layout: the encoder is for sbu15, the store .* has")


def test_another_run_under_the_same_name_is_left_alone(make_config: MakeConfig) -> None:
    config = make_config(baselines=[])
    run(config)
    before = (config.runs / config.name / "report.json").read_bytes()
    with pytest.raises(UserError, match=r"holds another run \(.*\); give this evaluation another name"):
        run(make_config(baselines=[], protocols=[{"name": "knn", "ks": [3]}]))
    assert (config.runs / config.name / "report.json").read_bytes() == before


def test_the_pooling_is_that_of_trained_and_untrained_encoders(
    make_config: Callable[..., FinetuneConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    import ssl_skel.embedding.embedder as module

    seen, extract = [], module.extract_features

    def spy(encoder, loader, **options):
        seen.append(str(encoder.pooling.config))
        return extract(encoder, loader, **options)

    monkeypatch.setattr(module, "extract_features", spy)
    run(make_config(pooling="body"))
    assert seen == ["body", "body"]
