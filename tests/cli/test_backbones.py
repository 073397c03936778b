"""``ssl-skel backbones``: what is counted, what it is compared with, how the rate is taken, and how it prints."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, ClassVar, Literal

import pytest
import torch
import typer
from torch import Tensor, nn
from typer.testing import CliRunner, Result

from ssl_skel.backbones import BACKBONES
from ssl_skel.backbones.base import Backbone
from ssl_skel.backbones.configs.base import BackboneConfig
from ssl_skel.cli.backbones import backbones
from ssl_skel.encoders import cost as budget
from ssl_skel.encoders.cost import Published, build, load_published, measure, training_rate
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, SkeletonLayout

app = typer.Typer()
app.command()(backbones)


class PlainConfig(BackboneConfig):
    name: Literal["plain"] = "plain"
    size: Literal["tiny", "small", "base"] = "base"


class Plain(Backbone[PlainConfig]):
    """Five features of every joint of each sixth frame."""

    Config: ClassVar = PlainConfig
    dim, t_stride = 5, 6

    def __init__(self, config: PlainConfig, layout: SkeletonLayout, channels: int, num_frames: int) -> None:
        super().__init__(config, layout, channels, num_frames)
        self.lift = nn.Linear(channels, 5)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        self.check_input(x, mask)
        return self.lift(x[:, :, ::6].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def stages(self) -> list[nn.Module]:
        return [self.lift]


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BACKBONES.configs, "plain", PlainConfig)
    monkeypatch.setitem(BACKBONES._loaded, "plain", Plain)


def call(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), catch_exceptions=False, env={"COLUMNS": "200"})


def facts_of(*words: str) -> list[dict[str, Any]]:
    return json.loads(call(*words, "--json").stdout)


@pytest.mark.usefixtures("plain")
def test_a_network_is_counted_with_its_head() -> None:
    """Both persons of 66 frames, the nearest to 64 that 6 divides; the head once a clip."""
    found = measure("plain", "base")
    assert found == (3 * 5 + 5 + 5 * 60 + 60, 2 * 11 * 25 * 3 * 5 + 5 * 60, 66, 6, True)
    one = measure("plain", "base", frames=2, persons=1, layout="coco17")
    assert (one.multiply_adds, one.frames) == (17 * 3 * 5 + 5 * 60, 6)


@pytest.mark.usefixtures("plain")
def test_scores_are_of_the_mean_person() -> None:
    whole, x = build("plain", "base", persons=2), torch.randn(4, 3, 66, 25)
    each = [whole.net(x[at : at + 1]).mean((2, 3))[0] for at in range(4)]
    expected = torch.stack([whole.head((each[at] + each[at + 1]) / 2) for at in (0, 2)])
    torch.testing.assert_close(whole(x), expected)


@pytest.mark.parametrize("row", load_published())
def test_base_has_the_published_parameters(row: str) -> None:
    """Within 10 %; where T or V decide how many, at the published ones."""
    known = load_published()[row]
    if known.parameters is not None:
        ours = build(row, "base", known.frames, known.persons, known.layout)
        assert abs(sum(w.numel() for w in ours.parameters()) / 1e6 / known.parameters - 1) < 0.1


@pytest.mark.slow
@pytest.mark.parametrize("row", load_published())
def test_base_has_the_published_multiply_adds(row: str) -> None:
    known = load_published()[row]
    if known.multiply_adds is not None:
        ours = measure(row, "base", known.frames, known.persons, known.layout)
        assert abs(ours.multiply_adds / 1e9 / known.multiply_adds - 1) < 0.1


def test_published_figures_name_rows_and_layouts_that_exist() -> None:
    known = load_published()
    assert set(known) <= set(BACKBONES)
    assert {entry.layout for entry in known.values()} <= set(LAYOUTS)
    assert all(entry.source for entry in known.values())


def test_rate_is_of_the_fastest_step_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 10.0, 15.0, 20.0, 22.0, 30.0, 34.0])  # steps of 1, 5, 2 and 4 seconds
    monkeypatch.setattr(budget.time, "perf_counter", lambda: next(clock))
    assert training_rate("man", "tiny", seconds=9.0, clips=2) == 2 / 2


def test_rate_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    """The network's weights move: what is timed is a whole step."""
    made: list[nn.Module] = []
    before: list[Tensor] = []

    def watched(*args: Any, **options: Any) -> nn.Module:
        made.append(build(*args, **options))
        before.extend(weight.detach().clone() for weight in made[0].parameters())
        return made[0]

    monkeypatch.setattr(budget, "build", watched)
    assert training_rate("csta_cnn", "tiny", seconds=0.0, clips=2) > 0
    moved = [not torch.equal(old, new) for old, new in zip(before, made[0].parameters(), strict=True)]
    assert sum(moved) >= len(moved) - 1  # the hidden token has no part in training with labels


def test_json_tells_ours_beside_the_published(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Published(kind="printed", parameters=0.9, frames=32, persons=1, source="a paper")
    monkeypatch.setattr(budget, "load_published", lambda: {"man": known})
    man, csta = facts_of("man", "csta_cnn")
    assert man["multiply_adds"] == measure("man", "base").multiply_adds
    assert man["published"]["ours"]["multiply_adds"] == measure("man", "base", 32, 1).multiply_adds
    assert (man["published"]["parameters"], man["published"]["multiply_adds"]) == (0.9, None)
    assert csta["published"] is None
    assert (csta["t_stride"], csta["keeps_joints"], "clips_per_second" in csta) == (16, False, False)


def test_the_table_says_what_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    known = Published(kind="printed", parameters=0.9, frames=32, persons=1, source="a [paper]", remark="so it says")
    monkeypatch.setattr(budget, "load_published", lambda: {"man": known})
    header, man, csta, note, legend = call("man", "csta_cnn").stdout.splitlines()
    assert header.split()[0] == "network"
    assert man.split() == ["man", "0.85", "0.90", "*", "0.26", "?", "64", "4", "merged"]
    assert csta.split() == ["csta_cnn", "0.53", "?", "0.19", "?", "64", "16", "merged"]
    assert note == "man: printed, a [paper]; 32 frames, one person, ntu25 (* ours for it: 0.85 M); so it says"
    assert legend.startswith("?: not found")


def test_other_sizes_and_the_rate() -> None:
    (fact,) = facts_of("man", "--size", "tiny", "--rate")
    assert fact["published"] is None
    assert fact["clips_per_second"] > 0
    row = call("csta_cnn", "--size", "tiny").stdout.splitlines()[1].split()
    assert (row[2], row[4]) == ("-", "-")


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(UserError, match=r"^backbones: unknown backbone 'stgcn'; did you mean 'st_gcn'"):
        call("stgcn")


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, ssl_skel.cli.backbones; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
