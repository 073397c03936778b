from __future__ import annotations

import math
import os
import signal
from pathlib import Path
from typing import Any

import joblib
import pytest
import torch
from torch import Tensor
from toy import DIM, ToyLoader, ToyTask, records, toy_fit, weights

from ssl_skel.errors import UserError
from ssl_skel.training import watch as watch_module
from ssl_skel.training.accelerator import make_accelerator
from ssl_skel.training.config import TrainConfig
from ssl_skel.training.watch import Watch


def same(a: dict[str, Tensor], b: dict[str, Tensor], **tolerance: float) -> None:
    torch.testing.assert_close(a, b, **(tolerance or {"rtol": 0.0, "atol": 0.0}))


def naive(optim: torch.optim.Optimizer, task: ToyTask, rates: list[float], loader: ToyLoader) -> list[float]:
    """The loop without anything around it; the mean loss of each epoch."""
    means = []
    for epoch in range(len(rates) // len(loader)):
        losses = []
        for step, batch in enumerate(loader.epoch(epoch)):
            for group in optim.param_groups:
                group["lr"] = rates[epoch * len(loader) + step]
            optim.zero_grad()
            loss = task(batch)["loss"]
            loss.backward()
            optim.step()
            losses.append(loss.item())
        means.append(sum(losses) / len(losses))
    return means


def test_it_is_the_plain_loop(tmp_path: Path) -> None:
    trained = toy_fit(tmp_path / "run", dropout=0.0, epochs=4, optim={"weight_decay": 0.0, "warmup_epochs": 0.0})
    torch.manual_seed(0)
    task = ToyTask(dropout=0.0)
    rates = [0.01 * 0.5 * (1 + math.cos(math.pi * step / 12)) for step in range(12)]
    losses = naive(torch.optim.AdamW(task.parameters(), weight_decay=0.0), task, rates, ToyLoader())
    same(weights(trained), weights(task), rtol=1e-5, atol=1e-6)
    log = records(tmp_path / "run")
    assert [record["loss"] for record in log] == pytest.approx(losses, rel=1e-5)
    assert [record["epoch"] for record in log] == [1, 2, 3, 4]
    assert [record["step"] for record in log] == [3, 6, 9, 12]
    assert [record["lr"] for record in log] == pytest.approx(rates[2::3])
    assert all(record.keys() > {"size", "grad_norm", "clips_per_second", "seconds"} for record in log)
    assert trained.progress == pytest.approx([step / 12 for step in range(1, 13)])


def test_the_seed_decides_dropout(tmp_path: Path) -> None:
    same(weights(toy_fit(tmp_path / "a", dropout=0.5)), weights(toy_fit(tmp_path / "b", dropout=0.5)))


@pytest.mark.parametrize(("clips", "drop_last"), [(24, True), (30, True), (30, False), (29, False)])
def test_accumulation_is_the_large_batch(tmp_path: Path, clips: int, drop_last: bool) -> None:
    options: dict[str, Any] = {"dropout": 0.0, "clips": clips, "drop_last": drop_last, "optim": {"clip_grad": 1.0}}
    whole = toy_fit(tmp_path / "whole", **options, epochs=3)
    cut = toy_fit(tmp_path / "cut", **options, epochs=3, accumulate=4)
    assert records(tmp_path / "cut")[0]["step"] == records(tmp_path / "whole")[0]["step"]
    same(weights(cut), weights(whole), rtol=1e-4, atol=1e-5)


def test_clipping_bounds_the_update(tmp_path: Path) -> None:
    sgd = {
        "name": "sgd",
        "momentum": 1e-9,
        "weight_decay": 0.0,
        "lr": 1.0,
        "schedule": "constant",
        "warmup_epochs": 0.0,
    }
    torch.manual_seed(0)
    before = torch.nn.utils.parameters_to_vector(ToyTask().parameters())
    task = toy_fit(tmp_path / "run", optim={**sgd, "clip_grad": 0.125}, epochs=1, clips=8)
    moved = (torch.nn.utils.parameters_to_vector(task.parameters()) - before).norm().item()
    assert moved == pytest.approx(0.125, rel=1e-3)
    assert records(tmp_path / "run")[0]["grad_norm"] > 1  # the norm before clipping


def test_one_step_an_epoch(tmp_path: Path) -> None:
    toy_fit(tmp_path / "run", clips=8, epochs=3)
    assert [record["step"] for record in records(tmp_path / "run")] == [1, 2, 3]


def test_ema_against_the_recurrence(tmp_path: Path) -> None:
    history: list[dict[str, Tensor]] = []

    class Recorder(ToyTask):
        def after_step(self, progress: float) -> None:
            history.append(weights(self))

    seen: list[dict[str, Tensor]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toy.ToyTask", Recorder)
        task = Recorder.__new__(Recorder)
        task = toy_fit(tmp_path / "run", ema=0.6, norm=True, eval_every=2, on_epoch=lambda _: seen.append({}) or {})
    average = history[0]
    for t, now in enumerate(history[1:], 1):
        decay = min(0.6, 1 - (1 + t) ** (-2 / 3))
        average = {
            key: decay * average[key] + (1 - decay) * now[key] if now[key].is_floating_point() else now[key]
            for key in now
        }
    same(weights(task), average, rtol=1e-4, atol=1e-6)
    assert len(seen) == 3


def test_evaluation_sees_the_average_and_training_goes_on_without_it(tmp_path: Path) -> None:
    plain = toy_fit(tmp_path / "plain")
    seen: list[Tensor] = []
    holder: list[ToyTask] = []

    class Held(ToyTask):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            holder.append(self)

    def look(epoch: int) -> dict[str, float]:
        task = holder[-1].eval()
        seen.append(weights(task)["net.0.weight"])
        torch.rand(epoch)  # must not disturb the training's own numbers
        return {"knn": epoch / 10}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("toy.ToyTask", Held)
        averaged = toy_fit(tmp_path / "ema", ema=0.9, eval_every=4, on_epoch=look)
    log, ours = records(tmp_path / "plain"), records(tmp_path / "ema")
    assert [record.get("knn") for record in ours] == [None, None, None, 0.4, None, 0.6]
    assert [record["loss"] for record in ours] == [record["loss"] for record in log]
    same({"": seen[-1]}, {"": weights(averaged)["net.0.weight"]})
    assert not torch.equal(seen[-1], weights(plain)["net.0.weight"])


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"not finite at step 11 \(epoch 4\).*step_000000009"):
        toy_fit(tmp_path / "run", nan_at=10 / 18, checkpoint_every=1)
    assert len(records(tmp_path / "run")) == 3
    resumed = toy_fit(tmp_path / "run", resume="auto", checkpoint_every=1)
    assert all(value.isfinite().all() for value in weights(resumed).values())


def test_bfloat16_on_a_cpu_leaves_the_task_as_it_was(tmp_path: Path) -> None:
    task = toy_fit(tmp_path / "half", precision="bf16")
    full = toy_fit(tmp_path / "full")
    assert not torch.equal(weights(task)["net.0.weight"], weights(full)["net.0.weight"])
    assert {value.dtype for value in task.parameters()} == {torch.float32}
    assert task(next(ToyLoader().epoch()))["loss"].dtype == torch.float32
    assert records(tmp_path / "half")[-1]["loss"] == pytest.approx(records(tmp_path / "full")[-1]["loss"], rel=0.05)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"precision": "fp16"}, "precision: fp16 needs a GPU"),
        (
            {"batch_size": 9, "accumulate": 2},
            "9 clips cannot be cut into 2 micro-batches on 1 ranks; use a multiple of 2",
        ),
        ({"batch_size": 48, "accumulate": 6}, "an epoch has 3 micro-batches, a step needs 6"),
        ({"batch_size": 32}, "an epoch has 0 micro-batches"),
    ],
)
def test_options_that_cannot_be(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        toy_fit(tmp_path / "run", **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a GPU")
def test_no_gpu() -> None:
    with pytest.raises(UserError, match=r"device: no CUDA device here; use cpu or auto"):
        make_accelerator(TrainConfig(device="cuda"))


def test_progress_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ssl_skel.progress._BETWEEN_LINES", 0.0)
    toy_fit(tmp_path / "tiny", progress=True)
    assert "tiny: 18 of 18, " in (bar := capsys.readouterr().err)
    assert "epoch 6, loss" in bar
    assert "clips/s, lr" in bar


def test_a_second_ctrl_c_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    before, now = signal.getsignal(signal.SIGINT), [0.0]
    monkeypatch.setattr(watch_module.time, "monotonic", lambda: now[0])
    train = TrainConfig(device="cpu")
    with Watch(make_accelerator(train), train) as watch:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # the same key, told twice by a launcher
        watch.look(math.inf)
        assert (watch.stop, watch.overdue) == (signal.SIGINT, False)
        now[0] = 2.0
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        now[0] = 601.0
        watch.look(math.inf)
        assert watch.overdue
        watch.saved()
        assert not watch.overdue
    assert signal.getsignal(signal.SIGINT) is before


def test_toy_is_as_wide_as_it_says() -> None:
    assert next(ToyLoader().epoch()).x.shape == (8, 1, DIM, 1, 1, 1)


def test_threads_keep_to_the_share_of_a_container(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        monkeypatch.setattr(joblib, "cpu_count", lambda: 1)
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        make_accelerator(TrainConfig(device="cpu"))
        assert torch.get_num_threads() == 2  # as the user said
        monkeypatch.delenv("OMP_NUM_THREADS")
        make_accelerator(TrainConfig(device="cpu"))
        assert torch.get_num_threads() == 1
        assert capsys.readouterr().err.startswith("1 threads: the share of this process in 2 cores")
    finally:
        torch.set_num_threads(before)
