"""Runs that begin with the weights of another: what they start from, what they refuse, what their card tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from finetune.config import FinetuneConfig
from finetune.run import run as evaluate
from pretrain.config import PretrainConfig
from pretrain.init import load_initial_weights
from pretrain.run import run
from ssl_skel.config import parse_config
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.card import CARD
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.pretexts.temporal_order import TemporalOrder

ORDER = {"name": "temporal_order", "head_dim": 16}


def config(store: Path, runs: Path, **changes: Any) -> PretrainConfig:
    """One epoch of a very small network on the training clips of ``unseen``."""
    data = {"store": str(store), "split": "unseen", "num_frames": 16} | changes.pop("data", {})
    fields: dict[str, Any] = {
        "name": "tiny",
        "data": data,
        "backbone": {"name": "mpae_net", "channels": [16], "strides": [1], "patch": 4, "norm": "layer"},
        "pretext": {"name": "skeleton_mae", "decoder_dim": 16, "decoder_depth": 0},
        "train": {"epochs": 1, "batch_size": 12, "eval_every": 0, "device": "cpu", "progress": False},
        "runs": str(runs),
    }
    return parse_config(PretrainConfig, fields | changes, "test")


@pytest.fixture(scope="module")
def earlier(motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that saw all clips, those that ``unseen`` tests on among them."""
    return run(config(motions, tmp_path_factory.mktemp("runs"), data={"split": "all"}))


@pytest.fixture(scope="module")
def later(earlier: Path, motions: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The next pretext, from there."""
    return run(config(motions, tmp_path_factory.mktemp("runs"), init_from=str(earlier), pretext=ORDER))


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_encoder(path)[0].state_dict()


def test_the_first_step_sees_the_earlier_weights(earlier, motions, tmp_path, monkeypatch):
    at_start: list[dict[str, torch.Tensor]] = []
    views = TemporalOrder.views

    def watched(task, batch):
        at_start.append({name: value.clone() for name, value in task.encoder.state_dict().items()})
        return views(task, batch)

    monkeypatch.setattr(TemporalOrder, "views", watched)
    ended = run(config(motions, tmp_path, init_from=str(earlier), pretext=ORDER))
    begun = weights(earlier)
    assert all(torch.equal(value, begun[name]) for name, value in at_start[0].items())
    assert at_start[0].keys() == begun.keys()
    assert not all(torch.equal(value, begun[name]) for name, value in weights(ended).items())


def test_a_folder_with_an_encoder_will_do(earlier, later, motions, tmp_path):
    again = run(config(motions, tmp_path, init_from=str(earlier / "encoder"), pretext=ORDER))
    assert all(torch.equal(value, weights(again)[name]) for name, value in weights(later).items())
    fresh = run(config(motions, tmp_path, name="fresh", pretext=ORDER))
    assert load_encoder(fresh)[1].init is None
    assert not all(torch.equal(value, weights(fresh)[name]) for name, value in weights(later).items())


def test_resuming_continues_from_the_checkpoint(later, earlier, motions):
    before = weights(later)
    run(config(motions, later.parent, init_from=str(earlier), pretext=ORDER), "auto")
    assert all(torch.equal(value, before[name]) for name, value in weights(later).items())
    with pytest.raises(UserError, match="began with init"):
        run(config(motions, later.parent, pretext=ORDER), "auto")


def test_the_card_tells_the_whole_line(later, earlier, motions, tmp_path):
    third = run(config(motions, tmp_path, init_from=str(later)))
    card = load_encoder(third)[1]
    assert card.pretext is not None
    assert card.pretext["name"] == "skeleton_mae"
    assert card.init is not None
    assert card.init == load_encoder(later)[1].origin
    assert card.init.pretext is not None
    assert card.init.pretext["name"] == "temporal_order"
    assert card.init.init == load_encoder(earlier)[1].origin
    assert card.init.init is not None
    assert card.init.init.data is not None
    assert (card.init.init.data.split, card.init.init.init) == ("all", None)


def test_cards_of_old_are_read(earlier):
    path = earlier / "encoder" / CARD
    text = path.read_text("utf-8")
    card = json.loads(text)
    del card["init"]
    path.write_text(json.dumps(card), "utf-8")
    try:
        assert load_encoder(earlier)[1].init is None
    finally:
        path.write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"stream": "bone"}}, "stream is 'joint', here it is 'bone'; change data.stream or init_from"),
        ({"data": {"extent": "box"}}, "extent is 'none', here it is 'box'; change data.extent or init_from"),
        ({"data": {"num_frames": 32}}, "num_frames is 16, here it is 32; change data.num_frames or init_from"),
        (
            {"backbone": {"name": "mpae_net", "channels": [32], "strides": [1], "patch": 4, "norm": "layer"}},
            "backbone.channels is [16], here it is [32]; change backbone or init_from",
        ),
    ],
)
def test_an_encoder_that_is_built_otherwise_is_refused(earlier, motions, tmp_path, changes, message):
    with pytest.raises(UserError) as caught:
        run(config(motions, tmp_path / "runs", init_from=str(earlier), **changes))
    assert str(caught.value) == f"init_from: {earlier}: {message}"
    assert not (tmp_path / "runs").exists()


def test_another_layout_is_refused(earlier):
    net = load_encoder(earlier)[0].backbone
    other = build_encoder(net.config, LAYOUTS["sbu15"], channels=3, num_frames=16, stream="joint")
    with pytest.raises(
        UserError, match=r"init_from: .*: layout.name is .*, here it is 'sbu15'; change data.store or init_from"
    ):
        load_initial_weights(earlier, other)


def test_init_must_be_there(motions, tmp_path):
    with pytest.raises(UserError, match=r"nowhere.*give a run directory"):
        run(config(motions, tmp_path / "runs", init_from=str(tmp_path / "nowhere")))


def warnings(store: Path, encoder: Path, runs: Path) -> str:
    fields = {
        "name": encoder.parent.name,
        "data": {"store": str(store)},
        "encoders": {"unseen": str(encoder)},
        "protocols": [{"name": "knn", "ks": [1]}],
        "baselines": [],
        "device": "cpu",
        "runs": str(runs),
    }
    return " ".join(evaluate(parse_config(FinetuneConfig, fields, "test")).splits[0].warnings)


def test_test_clips_that_only_an_ancestor_saw_are_reported(later, motions, tmp_path):
    store = Store.open(motions)
    test = len(load_split(store, "unseen").test)
    assert f"{test} of {test} test clips were seen in pretraining" in warnings(motions, later, tmp_path / "seen")

    path = tmp_path / "untold" / "encoder"
    path.mkdir(parents=True)
    for file in (later / "encoder").iterdir():
        (path / file.name).write_bytes(file.read_bytes())
    card = json.loads((path / CARD).read_text("utf-8"))
    card["init"]["data"] |= {"sha256": "0" * 64, "store": str(tmp_path / "gone")}
    (path / CARD).write_text(json.dumps(card), "utf-8")
    assert "may have been seen in pretraining: " in warnings(motions, path.parent, tmp_path / "unknown")


def test_a_line_that_saw_no_test_clip_has_no_warning(motions, tmp_path):
    first = run(config(motions, tmp_path / "first"))
    second = run(config(motions, tmp_path / "second", init_from=str(first), pretext=ORDER))
    assert warnings(motions, second, tmp_path / "clean") == ""
