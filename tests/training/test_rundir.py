from __future__ import annotations

import math
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ssl_skel.errors import UserError
from ssl_skel.training.rundir import RunDir


def test_an_existing_run_is_not_touched(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "run", "lr: 1\n")
    with pytest.raises(
        UserError, match=r"run: exists already; resume=auto continues it, another name starts a new run"
    ):
        RunDir.create(tmp_path / "run", "lr: 2\n")
    assert (tmp_path / "run" / "config.yaml").read_text() == "lr: 1\n"
    with pytest.raises(UserError, match="the only value is auto"):
        RunDir.create(tmp_path / "run", "lr: 1\n", resume="yes")


def test_without_a_checkpoint_resume_begins_anew(tmp_path: Path) -> None:
    RunDir.create(tmp_path / "run", "lr: 1\n")
    run = RunDir.create(tmp_path / "run", "lr: 2\n", resume="auto")
    assert run.config == {"lr": 2}
    assert RunDir.open(tmp_path / "run").config == {"lr": 2}


def test_other_ranks_write_nothing(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", "lr: 1\n", rank=1)
    run.log({"step": 1})
    run.rewind(0)
    run.close()
    assert not run.path.exists()


def test_open_wants_a_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run"):
        RunDir.open(tmp_path)


def test_log_survives_a_half_written_line(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", "{}")
    for step in (1, 2, 3):
        run.log({"step": step, "loss": 1 / step, "odd": math.nan, "note": "text"})
    run.close()
    whole = run.log_file.read_bytes()
    run.log_file.write_bytes(whole[:-20])
    assert [record["step"] for record in run.records()] == [1, 2]
    run.rewind(1)
    assert run.records() == [{"step": 1, "loss": 1.0, "odd": None, "note": "text"}]
    run.log({"step": 2, "loss": 9.0})
    run.close()
    assert [record["loss"] for record in RunDir.open(run.path).records()] == [1.0, 9.0]


def test_damaged_lines_of_the_log_cost_no_other(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", "{}")
    for step in (1, 2, 3, 4, 5):
        run.log({"step": step})
    run.close()
    lines = run.log_file.read_bytes().splitlines(keepends=True)
    lines[1] = b'{"step": "\xff"}\n'
    lines[2] = b"[" * 5000 + b"\n"
    lines[3] = b'{"epoch": 4}\nnull\n{"step": 4, "seconds": "text"}\n'
    run.log_file.write_bytes(b"".join(lines))
    assert [record["step"] for record in run.records()] == [1, 5]
    run.rewind(5)
    assert run.log_file.read_bytes() == lines[0] + lines[4]


def test_tensorboard_forgets_what_was_rewound(tmp_path: Path) -> None:
    for steps, value in (((1, 2, 3), 1.0), ((2, 3, 4), 2.0)):
        run = RunDir.create(tmp_path / "run", "{}", resume="auto")
        run.rewind(steps[0] - 1)
        for step in steps:
            run.log({"step": step, "loss": value})
        run.close()
    events = EventAccumulator(str(run.tensorboard))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(1, 1.0), (2, 2.0), (3, 2.0), (4, 2.0)]


def test_what_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    run = RunDir.create(tmp_path / "run", "{}")
    run.log_file.mkdir()
    with pytest.raises(UserError, match=r"log\.jsonl: cannot be read: Is a directory; move it away"):
        run.records()
    for content, told in ((b"\xff", "holds no run"), (b"text", r"config\.yaml: is damaged")):
        (run.path / "config.yaml").write_bytes(content)
        with pytest.raises(UserError, match=told):
            RunDir.open(run.path)
