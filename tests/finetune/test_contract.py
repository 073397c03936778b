"""What every entry of ``PROTOCOLS`` keeps to; a new protocol is tested here without further work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from finetune.classifiers.linear import Classifier
from finetune.config import FinetuneConfig
from finetune.feature_sets import FeatureSets
from finetune.protocols import PROTOCOLS
from finetune.protocols.configs.base import ProtocolConfig
from finetune.run import run
from ssl_skel.backbones.xshift import XShiftConfig
from ssl_skel.config import parse_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.evaluation.answers import load_answers
from ssl_skel.evaluation.report import Report, kind_of

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "finetune").glob("*.yaml"))
QUICK: dict[str, Any] = {
    "epochs": 1,
    "batch_size": 8,
    "unlabelled": 8,
    "eval_every": 1,
    "fractions": [0.5],
    "draws": 2,
    "c": 0.01,
    "frames": 4,
    "side": 16,
    "rgb_size": "tiny",
}
"""Small values of options, for whichever protocol has them."""

Evaluate = Callable[..., Report]


@pytest.fixture(params=PROTOCOLS)
def name(request: pytest.FixtureRequest) -> str:
    """Each protocol in turn."""
    return str(request.param)


@pytest.fixture
def row(name: str, request: pytest.FixtureRequest) -> dict[str, Any]:
    """The protocol with options that take seconds, and videos where it has an option for them."""
    known = PROTOCOLS.configs[name].model_fields
    films = {"videos": str(request.getfixturevalue("videos")), "suffix": "_color"} if "videos" in known else {}
    return {"name": name} | {key: value for key, value in (QUICK | films).items() if key in known}


@pytest.fixture
def encoder(row: dict[str, Any], run_dir: Path, motions: Path, save_run, tmp_path: Path) -> Path:
    """A run whose encoder suits the protocol: those that look at videos need one whose features have coordinates."""
    if "videos" not in row:
        return run_dir
    return save_run(tmp_path / "xshift", Store.open(motions), net=XShiftConfig(size="tiny"), num_frames=8)


@pytest.fixture
def evaluate(make_config: Callable[..., FinetuneConfig], row: dict[str, Any], encoder: Path) -> Evaluate:
    """Evaluates the encoder by the protocol, under a name and with changes of the config."""

    def made(called: str, **changes: Any) -> Report:
        options = {"protocols": [row], "encoders": {"unseen": str(encoder)}}
        return run(make_config(name=called, **options | changes))

    return made


def test_the_options_are_documented_and_have_defaults(name: str) -> None:
    protocol = PROTOCOLS[name]
    config = PROTOCOLS.configs[name]()
    assert type(config) is protocol.Config
    assert isinstance(config, ProtocolConfig)
    assert config.name == name
    assert protocol.__doc__
    assert type(config).__doc__
    undocumented = {key for key, field in type(config).model_fields.items() if not field.description}
    assert undocumented <= {"name"}


def test_a_config_is_shipped(name: str) -> None:
    shipped = [yaml.safe_load(path.read_text("utf-8")) for path in SHIPPED]
    assert name in {row["name"] for config in shipped for row in config["protocols"]}


def test_every_kind_of_features_is_measured_under_the_announced_names(
    evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch, make_config: Callable[..., FinetuneConfig]
) -> None:
    folder = make_config().runs / "names"
    announced: list[str] = []
    monkeypatch.setattr("finetune.run.check_names", announced.extend)
    report = evaluate("names")
    assert len(announced) == len(set(announced)) > 0
    of_pretrained = {m.measure for m in report.measurements if m.features == "pretrained"}
    assert of_pretrained == set(announced)
    assert {m.measure for m in report.measurements} <= set(announced)
    kinds = {kind_of(m.features) for m in report.measurements}
    assert kinds - {"raw"} in ({"untrained", "pretrained"}, {"scratch", "pretrained"})
    assert all(0 <= m.figures["accuracy"].mean <= 1 for m in report.measurements)
    for figure in report.measurements:  # the answers that were kept are those that were scored
        answers = load_answers(folder, figure.figure_name)
        assert answers
        for one, scores in zip(answers, figure.runs, strict=True):
            counted = np.zeros((len(report.class_names),) * 2, int)
            np.add.at(counted, (one.label, one.predicted), 1)
            assert counted.tolist() == [list(line) for line in scores.confusion]
            assert np.isfinite(one.confidence).all() == (scores.ece is not None)


def test_figures_repeat_with_a_seed(evaluate: Evaluate) -> None:
    assert evaluate("first").measurements == evaluate("second").measurements


def test_labels_of_test_clips_change_the_scores_alone(evaluate: Evaluate, motions: Path, rewrite) -> None:
    store = Store.open(motions)
    test = set(load_split(store, "unseen").test.tolist())
    poisoned = rewrite(lambda clip, row: [replace(clip, label=(clip.label * 7 + 3) % 12) if row in test else clip])

    def predicted(report: Report) -> list[list[int]]:
        """How often each class was predicted; does not depend on the truth."""
        return [np.sum(m.runs[0].confusion, axis=0).tolist() for m in report.measurements]

    honest = evaluate("honest", baselines=["raw"])
    lied_to = evaluate("lied_to", baselines=["raw"], data={"store": str(poisoned)})
    assert predicted(lied_to) == predicted(honest)
    assert [m.runs for m in lied_to.measurements] != [m.runs for m in honest.measurements]


def test_wrong_use_is_refused_before_anything_is_measured(
    name: str, row: dict[str, Any], evaluate: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def measured(*_: Any) -> None:
        raise AssertionError("features were made")

    monkeypatch.setattr(FeatureSets, "of", measured)
    with pytest.raises(UserError, match=r"^test: protocols\.0\.optionn: unknown key") as unknown:
        evaluate("unknown", protocols=[row | {"optionn": 1}])
    with pytest.raises(UserError, match=r"^protocols: .* twice") as twice:
        evaluate("twice", protocols=[row, row])
    assert "\n" not in f"{unknown.value}{twice.value}"
    if PROTOCOLS.configs[name].required_pooling not in (None, "body"):
        with pytest.raises(UserError, match=f"{name} needs mean, not body"):
            evaluate("pooling", pooling="body")


def test_a_classifier_is_rebuilt_from_its_config_alone(name: str, row: dict[str, Any], encoder: Path) -> None:
    protocol, options = PROTOCOLS[name], PROTOCOLS.configs[name]
    config = parse_config(options, row, "test")
    again = parse_config(options, config.model_dump(mode="json"), "test")
    found = [protocol.classifier(one, load_encoder(encoder)[0], 5) for one in (config, again)]
    if None in found:  # it trains none
        assert found == [None, None]
        return
    assert all(isinstance(one, Classifier) for one in found)
    shapes = [{key: value.shape for key, value in one.state_dict().items()} for one in found if one]
    assert shapes[0] == shapes[1]
    assert torch.Size([5]) in {shape[-1:] for shape in shapes[0].values()} | {s[:1] for s in shapes[0].values()}
