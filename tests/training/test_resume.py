from __future__ import annotations

import json
import random
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from toy import child, records, toy_fit, weights

from ssl_skel.errors import UserError
from ssl_skel.training.checkpoint_folder import newest_checkpoint
from ssl_skel.training.loop import Interrupted

RUNS: dict[str, dict[str, Any]] = {
    "every step": {"pause": 0.002, "ema": 0.9, "accumulate": 2, "checkpoint_minutes": 0.0, "optim": {"clip_grad": 1.0}},
    "every second epoch": {
        "pause": 0.002,
        "norm": True,
        "checkpoint_every": 2,
        "clips": 40,
        "optim": {"name": "sgd", "lr": 0.002},
    },
}


def exact(a: dict[str, Tensor], b: dict[str, Tensor]) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


def timeless(log: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v for k, v in record.items() if k not in ("seconds", "clips_per_second")} for record in log]


def killed_at_random(processes: ForkServerContext, folder: Path, options: dict[str, Any], kills: int) -> None:
    """Kill at random moments, spread over the run; compare with a run that never even wrote a checkpoint."""
    never = {**options, "checkpoint_every": 0, "checkpoint_minutes": 1e9}
    unbroken = processes.Process(target=child, args=(str(folder / "whole"), str(folder / "whole.pt"), never))
    unbroken.start()
    unbroken.join()
    assert unbroken.exitcode == 0

    chance, broken, killed = random.Random(1), folder / "broken.pt", 0
    while not broken.exists():
        process = processes.Process(target=child, args=(str(folder / "broken"), str(broken), options))
        process.start()
        if killed < kills:
            goal = options["epochs"] * (killed + 1) // (kills + 1)
            while process.is_alive() and epochs_logged(folder / "broken") < goal:
                time.sleep(0.001)
            process.join(chance.uniform(0, 0.03))
            killed += process.is_alive()
            process.kill()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
    assert killed
    exact(torch.load(broken, weights_only=True), torch.load(folder / "whole.pt", weights_only=True))
    assert timeless(records(folder / "broken")) == timeless(records(folder / "whole"))
    assert not list((folder / "broken" / "checkpoints").glob(".*"))


def epochs_logged(run: Path) -> int:
    return (run / "log.jsonl").read_bytes().count(b"\n") if (run / "log.jsonl").exists() else 0


@pytest.mark.parametrize("name", RUNS)
def test_killed_three_times(processes: ForkServerContext, tmp_path: Path, name: str) -> None:
    killed_at_random(processes, tmp_path, {"epochs": 20, **RUNS[name]}, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_killed_ten_times(processes: ForkServerContext, tmp_path: Path, name: str) -> None:
    killed_at_random(processes, tmp_path, {"epochs": 60, **RUNS[name]}, kills=10)


def test_sigterm_ends_a_process_with_143_and_a_checkpoint(processes: ForkServerContext, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out.pt"
    process = processes.Process(target=child, args=(str(run), str(out), {"epochs": 100_000}))
    process.start()
    while process.is_alive() and not (run / "log.jsonl").exists():
        time.sleep(0.01)
    process.terminate()
    process.join()
    assert process.exitcode == 128 + signal.SIGTERM
    assert newest_checkpoint(run / "checkpoints")
    assert not out.exists()


@pytest.mark.parametrize("stop_at", [5 / 18, 6 / 18])  # within an epoch, at its end
def test_stopped_and_continued(
    one_thread: None, tmp_path: Path, stop_at: float, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = toy_fit(tmp_path / "whole", dropout=0.3)
    with pytest.raises(Interrupted) as interrupted:
        toy_fit(tmp_path / "run", dropout=0.3, stop_at=stop_at)
    assert interrupted.value.code == 143
    step = round(stop_at * 18)
    assert f"stopped after step {step} of 18; resume=auto continues from there" in capsys.readouterr().err
    assert newest_checkpoint(tmp_path / "run" / "checkpoints").name == f"step_{step:09d}"
    resumed = toy_fit(tmp_path / "run", dropout=0.3, resume="auto")
    exact(weights(resumed), weights(whole))
    assert timeless(records(tmp_path / "run")) == timeless(records(tmp_path / "whole"))


def test_a_finished_run_stays_as_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = toy_fit(tmp_path / "run", ema=0.9)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")}
    again = toy_fit(tmp_path / "run", ema=0.9, resume="auto")
    assert "training is done already (6 epochs)" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*")} == before
    exact(weights(first), weights(again))


def test_resume_with_nothing_there_starts(tmp_path: Path) -> None:
    exact(weights(toy_fit(tmp_path / "a")), weights(toy_fit(tmp_path / "b", resume="auto")))


def test_another_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "run", stop_at=0.5)
    with pytest.raises(UserError, match=r"run: began with optim.lr: 0.01, now 0.02; set it back, or give this run"):
        toy_fit(tmp_path / "run", resume="auto", optim={"lr": 0.02})
    with pytest.raises(UserError, match=r"began with train.epochs: 6, now 7"):
        toy_fit(tmp_path / "run", resume="auto", epochs=7)
    toy_fit(tmp_path / "run", resume="auto", keep=5, log_every=3)


def test_other_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "run", stop_at=0.5)
    with pytest.raises(UserError, match=r"began with 3 steps per epoch, the data now gives 4; restore the old data"):
        toy_fit(tmp_path / "run", resume="auto", clips=32)


@pytest.mark.parametrize(
    "changes",
    [
        *({"totals": {"loss": 3}}, {"seconds": "long"}, {"step": -1}, {"step": 10**9}),
        *({"config": None}, {"inputs": []}, {"inputs": {"store": 1}}),
    ],
)
def test_a_damaged_state_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(Interrupted):
        toy_fit(tmp_path / "run", stop_at=0.5)
    file = newest_checkpoint(tmp_path / "run" / "checkpoints") / "state.json"
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")
    with pytest.raises(UserError, match=r"state\.json: damaged"):
        toy_fit(tmp_path / "run", resume="auto")
