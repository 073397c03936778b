from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from ssl_skel.errors import UserError
from ssl_skel.training.checkpoint import load_checkpoint, save_checkpoint
from ssl_skel.training.checkpoint_folder import newest_checkpoint, read_state


def parts(width: int = 3) -> tuple[nn.Module, torch.optim.Optimizer]:
    net = nn.Linear(width, 2)
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.ones(1, width)).sum().backward()
    optimizer.step()
    return net, optimizer


def saved(folder: Path, step: int = 7) -> tuple[nn.Module, torch.optim.Optimizer, Path]:
    net, optimizer = parts()
    return net, optimizer, save_checkpoint(folder, {"step": step, "config": {}}, model=net, optimizer=optimizer)


def test_everything_comes_back(tmp_path: Path) -> None:
    net, optimizer, path = saved(tmp_path)
    other, again = parts()
    assert load_checkpoint(path, model=other, optimizer=again) == {"step": 7, "config": {}}
    torch.testing.assert_close(other.state_dict(), net.state_dict(), rtol=0, atol=0)
    assert str(again.state_dict()) == str(optimizer.state_dict())
    assert sorted(file.name for file in path.iterdir()) == ["model.safetensors", "optimizer.pt", "state.json"]


def test_tied_weights_come_back(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    optimizer = torch.optim.SGD(net.parameters())
    path = save_checkpoint(tmp_path, {"step": 1}, model=net, optimizer=optimizer)
    kept = net[0].weight.detach().clone()
    nn.init.zeros_(net[0].weight)
    load_checkpoint(path, model=net, optimizer=optimizer)
    assert torch.equal(net[1].weight, kept)


def test_the_newest_stay(tmp_path: Path) -> None:
    net, optimizer = parts()
    for step in (1, 9, 10, 1_000_000_000):
        save_checkpoint(tmp_path, {"step": step}, model=net, optimizer=optimizer, keep=2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step_000000010", "step_1000000000"]
    assert newest_checkpoint(tmp_path).name == "step_1000000000"


def test_what_a_killed_process_left_is_ignored_and_removed(tmp_path: Path) -> None:
    (tmp_path / ".step_000000099.part").mkdir()
    (tmp_path / ".step_000000001.old").mkdir()
    assert newest_checkpoint(tmp_path) is None
    saved(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["step_000000007"]


def test_a_full_disk_leaves_the_old_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path, 3)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(UserError, match=r"step_000000007: cannot be written: No space left.*make room"):
        saved(tmp_path, 7)
    assert newest_checkpoint(tmp_path).name == "step_000000003"


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.pt", "state.json"])
def test_a_damaged_file_is_named(tmp_path: Path, file: str) -> None:
    net, optimizer, path = saved(tmp_path)
    (path / file).write_bytes((path / file).read_bytes()[:20])
    with pytest.raises(UserError, match=rf"{file}: damaged .*remove that folder"):
        load_checkpoint(path, model=net, optimizer=optimizer)


def test_another_network_is_refused(tmp_path: Path) -> None:
    *_, path = saved(tmp_path)
    net, optimizer = parts(5)
    with pytest.raises(UserError, match=r"model.safetensors: damaged or of another network"):
        load_checkpoint(path, model=net, optimizer=optimizer)


def test_another_version_is_refused(tmp_path: Path) -> None:
    *_, path = saved(tmp_path)
    (path / "state.json").write_text(json.dumps({"format_version": 99, "step": 7}))
    with pytest.raises(UserError, match="format version 99, this release reads 1"):
        read_state(path)


def test_code_in_the_optimizer_file_is_not_run(tmp_path: Path) -> None:
    net, optimizer, path = saved(tmp_path)
    torch.save({"optimizer": Path("anything that needs unpickling"), "scaler": None}, path / "optimizer.pt")
    with pytest.raises(UserError, match=r"optimizer.pt: damaged"):
        load_checkpoint(path, model=net, optimizer=optimizer)


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.pt"])
def test_a_flipped_bit_is_noticed(tmp_path: Path, file: str) -> None:
    """Weights with one bit changed are weights all the same."""
    net, optimizer, path = saved(tmp_path)
    content = bytearray((path / file).read_bytes())
    at = content.rindex(next(iter(net.parameters())).detach().numpy().tobytes()[:4]) if file[0] == "m" else 200
    content[at] ^= 1
    (path / file).write_bytes(content)
    with pytest.raises(UserError, match=rf"{file}: damaged .*sha256 differs from state.json's"):
        load_checkpoint(path, model=net, optimizer=optimizer)


def test_a_checkpoint_of_an_earlier_release_has_no_hashes(tmp_path: Path) -> None:
    net, optimizer, path = saved(tmp_path)
    state = json.loads((path / "state.json").read_text("utf-8"))
    del state["sha256"]
    (path / "state.json").write_text(json.dumps(state), "utf-8")
    assert load_checkpoint(path, model=net, optimizer=optimizer) == {"step": 7, "config": {}}
