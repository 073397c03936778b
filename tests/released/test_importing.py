"""Files as releases save them become encoders; others are refused in one line. Features: ``test_golden``."""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import safetensors.torch
import torch
from golden_weights import golden
from torch import Tensor

from finetune.seen import seen_clips
from ssl_skel.cli import app as cli
from ssl_skel.data.normalize import NormalizeConfig
from ssl_skel.encoders.card import load_card
from ssl_skel.encoders.files import load_encoder
from ssl_skel.errors import UserError
from ssl_skel.released import reading
from ssl_skel.released.importing import RELEASES, import_weights

State = dict[str, Tensor]


def state(release: str) -> State:
    return golden(release)[0]


@pytest.fixture
def brought(tmp_path: Path) -> Callable[..., dict[str, Tensor]]:
    """Import what a file holds, and give the backbone's weights."""

    def bring(release: str, content: Any, **options: Any) -> dict[str, Tensor]:
        torch.save(content, tmp_path / "weights.pt")
        import_weights(release, tmp_path / "weights.pt", tmp_path / "encoder", **options)
        return load_encoder(tmp_path / "encoder")[0].backbone.state_dict()

    return bring


def assert_same(found: State, expected: State) -> None:
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_the_card_says_where_the_weights_come_from(tmp_path: Path, brought: Callable[..., State]) -> None:
    brought("mamp", state("mamp"))
    card, file = load_card(tmp_path / "encoder"), tmp_path / "weights.pt"
    assert card.released is not None
    assert card.released.model_dump() == {
        "format": "mamp",
        "repository": "https://github.com/maoyunyao/MAMP",
        "file": "weights.pt",
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        "remark": "",
    }
    assert (card.num_frames, card.channels, card.stream, card.layout["name"]) == (8, 3, "joint", "ntu25")
    assert card.normalization == NormalizeConfig()
    assert card.origin.released == card.released


def test_an_evaluation_does_not_call_imported_weights_untrained(tmp_path: Path, brought: Callable[..., State]) -> None:
    brought("mamp", state("mamp"))
    seen, unknown = seen_clips(None, load_card(tmp_path / "encoder"))  # type: ignore[arg-type]
    assert not seen
    assert "weights.pt was trained by others" in unknown[0]


def test_a_checkpoint_of_mamp_has_options_and_an_optimiser_beside_the_weights(brought: Callable[..., State]) -> None:
    plain = state("mamp")
    checkpoint = {"model": plain, "epoch": 400, "args": argparse.Namespace(lr=1e-3), "optimizer": {"state": {}}}
    found = brought("mamp", checkpoint)
    assert torch.equal(found["blocks.1.mlp.fc2.weight"], plain["blocks.1.mlp.fc2.weight"])


def test_of_two_networks_the_right_one_is_taken(brought: Callable[..., State], tmp_path: Path) -> None:
    """STARS: the student; CrosSCLR: the query's encoder of the stream."""
    student = {name: tensor for name, tensor in state("mamp").items() if not name.startswith(("decoder", "mask"))}
    both = {f"encoder_student.{name}": tensor for name, tensor in student.items()}
    both |= {f"encoder_teacher.{name}": tensor + 1 for name, tensor in student.items()}
    found = brought("stars", both | {"encoder_student.head.weight": torch.ones(2, 2), "queue": torch.ones(2)})
    assert torch.equal(found["embed.lift.bias"], student["joints_embed.proj.bias"])

    one = state("st_gcn")
    three = {f"encoder_q.{name}": tensor for name, tensor in one.items()}
    three |= {f"encoder_q_bone.{name}": tensor if name == "A" else tensor + 1 for name, tensor in one.items()}
    torch.save(three, tmp_path / "three.pt")
    import_weights("st_gcn", tmp_path / "three.pt", tmp_path / "bones", stream="bone")
    encoder, card = load_encoder(tmp_path / "bones")
    assert torch.equal(encoder.backbone.state_dict()["stem.norm.bias"], one["data_bn.bias"] + 1)
    assert (card.stream, card.num_frames, card.normalization) == ("bone", 52, None)


def test_of_a_norm_that_tells_persons_apart_the_first_ones_part_is_kept(
    tmp_path: Path, brought: Callable[..., State]
) -> None:
    one = state("ctr_gcn")
    two = dict(one)
    for part in ("weight", "bias", "running_mean", "running_var"):
        two[f"data_bn.{part}"] = torch.cat([one[f"data_bn.{part}"], torch.full((75,), 9.0)])
    found = brought("ctr_gcn", two)
    assert torch.equal(found["stem.norm.running_var"], one["data_bn.running_var"])
    released = load_card(tmp_path / "encoder").released
    assert released is not None
    assert "2 persons" in released.remark


def test_safetensors_and_files_of_older_torch_are_read_too(tmp_path: Path, brought: Callable[..., State]) -> None:
    expected = brought("mamp", state("mamp"))
    safetensors.torch.save_file(state("mamp"), tmp_path / "weights.safetensors")
    torch.save(state("mamp"), tmp_path / "older.pt", _use_new_zipfile_serialization=False)  # as before torch 1.6
    for name in ("weights.safetensors", "older.pt"):
        import_weights("mamp", tmp_path / name, tmp_path / f"encoder of {name}")
        assert_same(load_encoder(tmp_path / f"encoder of {name}")[0].backbone.state_dict(), expected)


def without(name: str) -> Callable[[State], State]:
    return lambda given: {key: value for key, value in given.items() if key != name}


def test_what_does_not_fit_is_listed(tmp_path: Path) -> None:
    given = without("norm.bias")(state("mamp"))
    given |= {"blocks.0.norm1.weight": torch.ones(3), "extra.weight": torch.ones(3), "blocks.0.odd": torch.ones(1)}
    torch.save(given, tmp_path / "weights.pt")
    with pytest.raises(UserError) as refused:
        import_weights("mamp", tmp_path / "weights.pt", tmp_path / "encoder")
    assert str(refused.value).endswith(
        "tensors do not fit the format mamp: 1 missing (norm.bias), 1 of another shape (blocks.0.norm1.weight), "
        "2 of no use (blocks.0.odd, extra.weight)"
    )
    assert not (tmp_path / "encoder").exists()


class Evil:
    """A pickle that would write a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_file_that_would_run_code_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    torch.save({"model": Evil(tmp_path / "harm")}, tmp_path / "weights.pt")
    with pytest.raises(UserError, match="runs code, which is refused"):
        import_weights("mamp", tmp_path / "weights.pt", tmp_path / "encoder")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("release", "content", "options", "message"),
    [
        ("mamq", lambda: {}, {}, "unknown format 'mamq'; did you mean 'mamp'"),
        ("mamp", lambda: [1, 2], {}, "holds no tensors by name"),
        ("mamp", lambda: state("st_gcn"), {}, "is not of the format mamp, it has no 'joints_embed.proj.weight'"),
        ("mamp", lambda: state("mamp"), {"layout": "kinect20"}, "has 25 joints, the layout kinect20 20; give --layout"),
        ("mamp", lambda: state("mamp"), {"frames": 10}, "--frames: 10; the network needs a multiple of 4"),
        ("mamp", lambda: state("mamp"), {"frames": 16}, "1 of another shape \\(temp_embed\\)"),
        ("mamp", lambda: state("mamp"), {"stream": "jiont"}, "unknown stream 'jiont'; did you mean 'joint'"),
        ("mamp", lambda: without("temp_embed")(state("mamp")), {}, "it has no 'temp_embed'"),
        ("mamp", lambda: state("mamp") | {"pos_embed": torch.ones(2)}, {}, "is not of the format mamp"),
        ("st_gcn", lambda: state("st_gcn") | {"A": torch.ones(3, 25, 25)}, {}, "its graph A is not that of the layout"),
    ],
)
def test_a_mistake_is_one_line(
    tmp_path: Path, release: str, content: Callable[[], Any], options: dict[str, Any], message: str
) -> None:
    torch.save(content(), tmp_path / "weights.pt")
    with pytest.raises(UserError, match=message):
        import_weights(release, tmp_path / "weights.pt", tmp_path / "encoder", **options)


@pytest.mark.parametrize("release", ["mamp", "st_gcn"])
@pytest.mark.parametrize("seed", range(6))
def test_mutated_files_are_refused_in_one_line(tmp_path: Path, release: str, seed: int) -> None:
    """A tensor too few, too many, with other axes, empty, without data, sparse: never anything but UserError."""
    random, given = Random(seed), state(release)
    names = [name for name in sorted(given) if not name.startswith(("decoder", "mask", "fc"))]
    for name in random.sample(names, 2):
        tensor = given.pop(name)
        changes = [
            *(lambda x: x[None], lambda x: x[..., None], lambda x: x.sum(), lambda x: x[:0]),
            *(lambda x: x.to("meta"), lambda x: x.to_sparse(), lambda x: torch.cat([x, x]) if x.ndim else x[None]),
        ]
        if random.random() < 0.8:
            given[name] = random.choice(changes)(tensor if tensor.ndim else tensor[None])
        else:
            given[name + ".more"] = tensor
    torch.save(given, tmp_path / "weights.pt")
    with pytest.raises(UserError) as refused:
        import_weights(release, tmp_path / "weights.pt", tmp_path / "encoder")
    assert "\n" not in str(refused.value)


def test_files_that_are_none_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="cannot be read: No such file"):
        import_weights("mamp", tmp_path / "none.pt", tmp_path / "encoder")
    for content in (b"", b"PK\x03\x04", b"\x80\x02rubbish", b"text"):
        (tmp_path / "weights.pt").write_bytes(content)
        with pytest.raises(UserError, match=r"weights\.pt: (is not a file of weights|cannot be read)"):
            import_weights("mamp", tmp_path / "weights.pt", tmp_path / "encoder")
    torch.save({"a": torch.zeros(1).expand(10_000)}, tmp_path / "weights.pt")  # small on disk, large when used
    monkeypatch.setattr(reading, "LARGEST", 20_000)
    with pytest.raises(UserError, match="its tensors have more than 20,000 bytes"):
        import_weights("mamp", tmp_path / "weights.pt", tmp_path / "encoder")
    monkeypatch.setattr(reading, "LARGEST", 100)
    with pytest.raises(UserError, match=r"weights\.pt: has more than 100 bytes"):
        import_weights("mamp", tmp_path / "weights.pt", tmp_path / "encoder")


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(state("mamp"), tmp_path / "weights.pt")
    words = ["ssl-skel", "import-weights", "mamp", str(tmp_path / "weights.pt"), "-o", str(tmp_path / "encoder")]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert not end.value.code
    assert "https://github.com/maoyunyao/MAMP" in capsys.readouterr().out
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == 2
    assert "exists already" in capsys.readouterr().err


def test_the_help_names_every_format() -> None:
    from ssl_skel.cli.released import import_weights as command

    text = str(command.__annotations__["format_"])
    assert all(name in text for name in RELEASES)
