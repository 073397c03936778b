"""EPAM-Net's two streams on built-in motions that were drawn and filmed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from finetune.classifiers.names import CLASSIFIER
from finetune.config import FinetuneConfig
from finetune.predict import load_classifier, predict
from finetune.protocols.configs.two_stream import TwoStreamConfig
from finetune.protocols.two_stream import TwoStreamClassifier
from finetune.run import run
from finetune.trainings import supervised
from finetune.trainings.predictions import PREDICTIONS
from ssl_skel.backbones.configs.xshift import XShiftConfig
from ssl_skel.batch import Batch, Rng
from ssl_skel.data.augment.config import FlipConfig
from ssl_skel.data.augment.space import Flip
from ssl_skel.data.splits import load_split
from ssl_skel.data.store import Store
from ssl_skel.encoders.encoder import build_encoder
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS

MakeConfig = Callable[..., FinetuneConfig]
NET = {"name": "xshift", "size": "tiny"}
SIDE = 16


@pytest.fixture
def row(videos: Path) -> dict[str, Any]:
    return {
        "name": "two_stream",
        "videos": str(videos),
        "suffix": "_color",
        "rgb_size": "tiny",
        "frames": 4,
        "side": SIDE,
        "dropout": 0.0,
        "optim": {"lr": 1e-2, "warmup_epochs": 1},
        "epochs": 1,
        "batch_size": 13,
        "eval_every": 0,
    }


@pytest.fixture
def make(make_config: MakeConfig) -> MakeConfig:
    """Evaluations from fresh weights, on one test camera and subjects that are not trained on."""

    def config(row: dict[str, Any], split: str = "unseen", **changes: Any) -> FinetuneConfig:
        scratch = {"splits": [split], "backbone": NET, "num_frames": 8}
        return make_config(**{"encoders": {}, "scratch": scratch, "protocols": [row], "baselines": []} | changes)

    return config


def trainings(config: FinetuneConfig) -> list[Path]:
    return sorted((config.runs / config.name / "trainings").iterdir())


def log(training: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (training / "log.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("streams", "right"), [("both", 0.5), ("rgb", 0.3)])
def test_training_on_films_learns_far_beyond_chance(
    make: MakeConfig, row: dict[str, Any], streams: str, right: float
) -> None:
    """13 classes, two training clips of each; accuracy is that of the last epoch's steps."""
    row |= {"epochs": 12, "streams": streams, "flip": 0.0, "optim": {"lr": 3e-2, "warmup_epochs": 1}}
    config = make(row)
    report = run(config)
    (training,) = trainings(config)
    first, last = log(training)[0], log(training)[-1]
    assert last["accuracy"] > right
    told = {name.removeprefix("cross_entropy_") for name in last if name.startswith("cross_entropy_")}
    assert told == ({"rgb", "pose"} if streams == "both" else {"rgb"})
    assert all(last[f"cross_entropy_{name}"] < 0.85 * first[f"cross_entropy_{name}"] for name in told)
    assert last["loss"] == pytest.approx(sum(last[f"cross_entropy_{name}"] for name in told), rel=1e-5)
    assert report.measurements[0].measure == ("two-stream" if streams == "both" else "frames alone")


def classifier(config: TwoStreamConfig, films: Callable[[torch.Tensor], torch.Tensor]) -> TwoStreamClassifier:
    """On the joints of SBU, with frames made by a function of the rows."""
    torch.manual_seed(0)
    encoder = build_encoder(XShiftConfig(size="tiny"), LAYOUTS["sbu15"], channels=3, num_frames=8, stream="joint")
    task = TwoStreamClassifier(encoder, 4, config)
    task.cache = SimpleNamespace(frames=films)
    return task


def batch(count: int = 6, key: int = 0) -> Batch:
    """Clips of two persons, the second of them in every other clip."""
    x = torch.randn(count, 1, 3, 8, 15, 2, generator=torch.Generator().manual_seed(1))
    present = torch.tensor([[True, n % 2 == 0] for n in range(count)])
    x = torch.where(present[:, None, None, None, None], x, 0.0)
    index = torch.arange(count)
    return Batch(x, present, index % 4, index, Rng((key,), count))


def some_frames(rows: torch.Tensor) -> torch.Tensor:
    source = torch.Generator().manual_seed(2)
    return torch.randint(0, 256, (len(rows), 3, 4, SIDE, SIDE), dtype=torch.uint8, generator=source)


def seen(task: TwoStreamClassifier, clips: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Frames (N, 3, T, H, W) and joints (N, C, T, V, M) that reach the streams in a training step."""
    with pytest.MonkeyPatch.context() as patch:
        found: list[torch.Tensor] = []
        logits = task._logits
        patch.setattr(task, "_logits", lambda b, frames, x: found.extend([frames, x]) or logits(b, frames, x))
        task(clips)
    return found[0], found[1]


def test_a_mirrored_clip_is_mirrored_in_frames_and_joints_alike() -> None:
    task = classifier(TwoStreamConfig(rgb_size="tiny", flip=0.5), some_frames)
    clips = batch(40)
    frames, x = seen(task, clips)
    whole = some_frames(clips.index)
    mirror = Flip(FlipConfig(probability=1.0), LAYOUTS["sbu15"])(clips.x[:, 0], Rng((0,), 40))
    kinds = set()
    for n in range(40):
        turned = not torch.equal(x[n], clips.x[n, 0])
        kinds.add(turned)
        assert torch.equal(x[n], mirror[n] if turned else clips.x[n, 0])
        assert torch.equal(frames[n], whole[n].flip(3) if turned else whole[n])
    assert kinds == {True, False}
    again = seen(task, batch(40))
    assert torch.equal(again[1], x)
    assert not torch.equal(seen(task, batch(40, key=1))[1], x)


def test_logits_are_those_of_whole_clips_and_sum_both_streams() -> None:
    task = classifier(TwoStreamConfig(rgb_size="tiny", flip=1.0), some_frames).eval()
    clips = batch()
    with torch.no_grad():
        packed = task.encoder.forward_features(clips.x[:, 0], clips.present)
        places = task.encoder.backbone.grid_side
        pose = torch.stack(
            [
                sum(packed[b] for b in mine) / len(mine)
                for mine in ([0, 1], [2], [3, 4], [5], [6, 7], [8])  # persons of each clip
            ]
        ).view(6, -1, packed.shape[2], places, places)
        expected = sum(task.head(some_frames(clips.index), pose))
        torch.testing.assert_close(task.logits(clips), expected)


def test_frames_alone_leave_the_joints_as_they_are() -> None:
    task = classifier(TwoStreamConfig(rgb_size="tiny", streams="rgb"), some_frames).train()
    task(batch())["loss"].backward()
    assert all(weight.grad is None for weight in task.encoder.parameters())
    assert all(weight.grad is not None for weight in task.head.parameters())
    assert not task.encoder.training
    spoiled = batch()
    spoiled.x[:] = torch.nan
    assert torch.equal(task.eval().logits(spoiled), task.logits(batch()))


def test_without_a_video_there_is_one_line_ahead_of_all_work(
    make: MakeConfig, row: dict[str, Any], motions: Path
) -> None:
    config = make(row | {"suffix": "_depth"})
    store = Store.open(motions)
    split = load_split(store, "unseen")
    first = store.name[min(*split.train, *split.test)]
    with pytest.raises(UserError, match=f"clip {first} has no video {first}_depth with one of the endings") as told:
        run(config)
    assert "\n" not in str(told.value)
    with pytest.raises(UserError, match="cache_gb: 52 clips of 4 frames take"):
        run(make(row | {"cache_gb": 1e-6}))
    assert not (config.runs / config.name).exists()


def test_other_networks_are_refused(make: MakeConfig, row: dict[str, Any]) -> None:
    net = {"name": "mpae_net", "channels": [8], "strides": [4], "heads": 2}
    config = make(row, scratch={"splits": ["unseen"], "backbone": net, "num_frames": 8})
    with pytest.raises(UserError, match=r"two_stream: needs an encoder on xshift, .* this one is mpae_net"):
        run(config)


def test_stretched_bodies_are_refused(make: MakeConfig, row: dict[str, Any]) -> None:
    scratch = {"splits": ["unseen"], "backbone": NET, "num_frames": 8, "extent": "axis"}
    with pytest.raises(UserError, match="two_stream: extent: axis stretches bodies"):
        run(make(row, scratch=scratch))


@pytest.mark.parametrize("stream", ["joint_motion", "bone", "pose"])
def test_streams_that_are_no_places_are_refused(make: MakeConfig, row: dict[str, Any], stream: str) -> None:
    scratch = {"splits": ["unseen"], "backbone": NET, "num_frames": 8, "stream": stream}
    message = f"two_stream: stream: {stream}: heat-maps show where joints are; use an encoder of joint"
    with pytest.raises(UserError, match=message):
        run(make(row, scratch=scratch))
    run(make(row | {"streams": "rgb"}, scratch=scratch))


@pytest.mark.parametrize(
    ("field", "facts", "message"),
    [
        ("normalization", {"orient": True}, "orient: bodies are turned from the camera's view; convert again without"),
        ("provenance", {"format": "mediapipe"}, "MediaPipe's joints would be drawn mirrored; build on backbone.mirror"),
    ],
)
def test_joints_seen_otherwise_than_in_the_videos_are_refused(
    make: MakeConfig, row: dict[str, Any], motions: Path, tmp_path: Path, field: str, facts: dict, message: str
) -> None:
    store = shutil.copytree(motions, tmp_path / "store")
    meta = json.loads((store / "meta.json").read_text())
    meta[field] |= facts
    (store / "meta.json").write_text(json.dumps(meta))
    data = {"store": str(store)}
    with pytest.raises(UserError, match=f"two_stream: {store}: {message}") as told:
        run(make(row, data=data))
    assert "\n" not in str(told.value)
    run(make(row | {"streams": "rgb"}, data=data))
    if field == "provenance":
        net = NET | {"mirrored": False}
        run(make(row, data=data, name="told", scratch={"splits": ["unseen"], "backbone": net, "num_frames": 8}))


def test_attention_to_times_alone_is_a_figure_of_its_own(make: MakeConfig, row: dict[str, Any]) -> None:
    report = run(make(row, protocols=[row, row | {"attention": "times"}]))
    assert {one.measure for one in report.measurements} == {"two-stream", "two-stream, attention to times"}
    task = classifier(TwoStreamConfig(rgb_size="tiny", attention="times"), some_frames)
    assert not task.head.attention.places


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Tasks as they are given to ``fit``, with the weights that frames are first looked at with."""
    found: list[Any] = []
    fit = supervised.fit

    def kept(task: TwoStreamClassifier, *args: Any, **options: Any) -> None:
        found.append({name: value.clone() for name, value in task.head.rgb.state_dict().items()})
        fit(task, *args, **options)

    monkeypatch.setattr(supervised, "fit", kept)
    return found


def test_frames_are_decoded_once_and_other_films_are_another_training(
    make: MakeConfig, row: dict[str, Any], videos: Path, motions: Path, tmp_path: Path, fits: list[Any], film: Callable
) -> None:
    own = shutil.copytree(videos, tmp_path / "own")
    config = make(row | {"videos": str(own)})
    first = run(config)
    (kept,) = (config.runs / config.name / "frames").iterdir()
    stamp = kept.stat().st_mtime_ns
    assert np.load(kept).shape == (52, 4, SIDE, SIDE, 3)
    assert run(config).measurements == first.measurements
    assert len(fits) == 1
    assert kept.stat().st_mtime_ns == stamp
    store = Store.open(motions)
    name = store.name[load_split(store, "unseen").train[0]]
    film(own / f"{name}_color.mp4", np.random.default_rng(0).normal(size=(1, 99, 25, 3)).astype(np.float32))
    run(config)
    assert len(fits) == 2
    assert len(trainings(config)) == 2


def test_the_first_stage_is_what_the_second_begins_with(
    make: MakeConfig, row: dict[str, Any], motions: Path, fits: list[Any]
) -> None:
    alone = make(row | {"streams": "rgb", "save": True}, name="alone")
    run(alone)
    (training,) = trainings(alone)
    both = make(row | {"rgb": str(training), "save": True})
    run(both)
    saved = safetensors.torch.load_file(training / CLASSIFIER / "head.safetensors")
    assert {f"rgb.{name}" for name in fits[1]} == {name for name in saved if name.startswith("rgb.")}
    assert all(torch.equal(saved[f"rgb.{name}"], value) for name, value in fits[1].items())
    assert any(not torch.equal(fits[0][name], value) for name, value in fits[1].items())

    (second,) = trainings(both)
    task, head, card, _ = load_classifier(second)
    assert isinstance(task, TwoStreamClassifier)
    assert (head.protocol["name"], card.backbone["name"]) == ("two_stream", "xshift")
    with pytest.raises(UserError, match=r"looks at videos, and is given joints alone; name their folder \(--videos\)"):
        predict(second, motions)

    saved["rgb.stem.0.weight"] += 1
    safetensors.torch.save_file(saved, training / CLASSIFIER / "head.safetensors")
    run(both)
    assert len(trainings(both)) == 2, "other weights under the same path are another training"
    with pytest.raises(UserError, match=r"rgb: .*head.safetensors: holds no stream of frames of rgb_size: small"):
        run(make(row | {"rgb": str(training), "rgb_size": "small"}, name="small"))
    with pytest.raises(UserError, match=r"rgb: .*No such file or directory; give a training of two_stream"):
        run(make(row | {"rgb": str(motions)}, name="none"))
    (training / CLASSIFIER / "head.safetensors").write_bytes(b"x")
    with pytest.raises(UserError, match=r"rgb: .*is not a safetensors file"):
        run(make(row | {"rgb": str(training)}, name="damaged"))


def test_a_saved_classifier_says_of_films_what_it_said_of_test_clips(
    make: MakeConfig, row: dict[str, Any], motions: Path, videos: Path, tmp_path: Path
) -> None:
    config = make(row | {"save": True})
    run(config)
    (training,) = trainings(config)
    answer = predict(training, motions, videos=videos)
    with np.load(training / PREDICTIONS) as kept:
        expected = torch.from_numpy(kept["logits"]).double().softmax(1).numpy()
        at = [answer.clips.index(name) for name in kept["name"]]
    assert len(at) == len(load_split(Store.open(motions), "unseen").test)
    np.testing.assert_allclose(answer.probability[at], expected, atol=1e-6)
    with pytest.raises(UserError, match=r"has no video .*_color with one of the endings"):
        predict(training, motions, videos=tmp_path)


def test_defaults_are_the_papers_second_stage() -> None:
    config = TwoStreamConfig()
    assert (config.epochs, config.batch_size, config.frames, config.side, config.flip) == (10, 24, 16, 224, 0.5)
    optim = config.optim
    assert (optim.name, optim.lr, optim.weight_decay, optim.clip_grad) == ("sgd", 0.0015, 3e-4, 40.0)
    assert (optim.momentum, optim.schedule, optim.warmup_epochs) == (0.9, "cosine", 0.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"crop": [0.5, 1.0]}, "crop: frames are of the whole clip, and joints must be too"),
        ({"sampling": "sorted"}, "sampling: frames are spread evenly over the clip, and joints must be too"),
        ({"augment": [{"name": "flip"}]}, "flip would change joints without their frames; use the option flip"),
        ({"augment": [{"name": "time_warp"}]}, "time_warp would change joints without their frames; leave it out"),
        ({"augment": [{"name": "scale"}, {"name": "reverse"}]}, "augment: reverse would change joints"),
        ({"crop_frames": [0.5, 0.0, 0.5, 1.0]}, "crop_frames: needs left < right and top < bottom"),
        ({"rgb_size": "huge"}, "rgb_size: unknown 'huge'"),
        ({"video": "films"}, "video: unknown key; did you mean 'videos'"),
        ({"cache_gb": 0.0}, "cache_gb"),
    ],
)
def test_mistakes_in_configs_are_named(make: MakeConfig, row: dict[str, Any], changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=message) as told:
        make(row | changes)
    assert "\n" not in str(told.value)
