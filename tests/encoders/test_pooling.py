"""Pooling against naive loops, bit for bit against the means of 0.1, and as a text in configs."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from ssl_skel.config import FormerName, Section, dump_config, load_config, parse_config
from ssl_skel.encoders.pooling import Pooling
from ssl_skel.encoders.pooling_config import PoolingConfig
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS
from ssl_skel.plain_yaml import read_yaml

LAYOUT = LAYOUTS["ntu25"]
DIM = 6


def pool(text: str, grid: Tensor) -> Tensor:
    pooling = Pooling(PoolingConfig.of(text), LAYOUT, DIM)
    assert not pooling.state_dict()
    assert not [*pooling.parameters()]
    vectors: Tensor = pooling(grid)
    assert vectors.shape == (len(grid), pooling.dim)
    return vectors


def random_grid(steps: int, joints: int = LAYOUT.num_joints) -> Tensor:
    return torch.randn(3, DIM, steps, joints, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("over", "bins", "steps"),
    [
        *itertools.product(("mean", "part", "joint"), (1, 4), (2, 4, 6, 16)),
        *itertools.product(("body", "mean"), (2, 3, 7), (1, 5, 16)),
    ],
)
def test_time_bins_and_groups_stand_side_by_side(over: str, bins: int, steps: int) -> None:
    grid = random_grid(steps)
    groups = [range(LAYOUT.num_joints)] if over == "mean" else LAYOUT.level(over)
    got = pool(f"{over}:{bins}", grid).unflatten(1, (DIM, bins, len(groups)))
    for number, time_bin in itertools.product(range(len(groups)), range(bins)):
        frames = range(time_bin * steps // bins, -(-(time_bin + 1) * steps // bins))
        assert len(frames)
        cells = [grid[:, :, frame, joint] for frame in frames for joint in groups[number]]
        torch.testing.assert_close(got[:, :, time_bin, number], torch.stack(cells).mean(0))
    torch.testing.assert_close(pool(f"{over}:{bins}", grid.flip(2)).view_as(got), got.flip(2))


@pytest.mark.parametrize(("steps", "joints"), [(1, 1), (4, 7), (16, 25), (15, 25)])
def test_the_mean_is_that_of_0_1_bit_for_bit(steps: int, joints: int) -> None:
    for grid in (random_grid(steps, joints), random_grid(steps, joints).transpose(1, 3).contiguous().transpose(1, 3)):
        assert torch.equal(pool("mean", grid), grid.mean(2).mean(2))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_parts_and_their_quarters_are_those_of_0_1_bit_for_bit(dtype: torch.dtype) -> None:
    grid = random_grid(16).to(dtype)
    member = torch.from_numpy(LAYOUT.membership("part")).to(grid)
    for bins in (1, 4):
        features = torch.stack([part.mean(2) for part in grid.tensor_split(bins, 2)], 2)
        was = (features @ (member / member.sum(1, keepdim=True)).T).flatten(1)
        assert torch.equal(pool(f"part:{bins}", grid), was)


class Options(Section):
    pooling: PoolingConfig | None = None


@pytest.mark.parametrize("text", ["part", "mean", "part:4", "{over: part, time_bins: 4}", "{over: joint}"])
def test_a_config_holds_it_as_a_text_or_a_mapping(text: str, tmp_path) -> None:
    given = read_yaml(text, "test")
    config = parse_config(Options, {"pooling": given}, "test")
    assert config.pooling == (PoolingConfig.of(given) if isinstance(given, str) else PoolingConfig(**given))
    (tmp_path / "config.yaml").write_text(dump_config(config))
    assert load_config(Options, tmp_path / "config.yaml") == config
    assert config.model_dump() == {"pooling": str(config.pooling)}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("hand", "pooling: unknown 'hand'; known: mean, body, part, joint, with time bins as in part:4"),
        ("part:0", "pooling: 'part:0' has no valid time bins, 1 to 1024; write them as in part:4"),
        ("part:1025", "pooling: 'part:1025' has no valid time bins"),
        ("part:", "pooling: 'part:' has no valid time bins"),
        ("part:two", "pooling: 'part:two' has no valid time bins"),
        ({"over": "hand"}, "pooling.over: unknown 'hand'; known: mean, body"),
        ({"over": "part", "bins": 4}, "pooling.bins: unknown key"),
        ({"time_bins": 0}, "pooling.time_bins: input should be greater than or equal to 1"),
        (4, "pooling: input should be an object, got 4"),
    ],
)
def test_a_mistake_is_one_line(given: object, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_config(Options, {"pooling": given}, "test")
    if isinstance(given, str):
        with pytest.raises(UserError, match=words.replace("pooling", "--pooling", 1)):
            PoolingConfig.of(given, "--pooling")


def test_the_former_text_is_read_with_a_warning() -> None:
    with pytest.warns(FormerName, match="--readout: part_quarters is now called part:4"):
        assert PoolingConfig.of("part_quarters", "--readout") == PoolingConfig(over="part", time_bins=4)


def test_the_schema_takes_texts_and_mappings() -> None:
    schema = Options.model_json_schema()
    forms = next(found for found in str(schema["$defs"]).split("anyOf")[1:])
    assert "^(mean|body|part|joint)(:[1-9][0-9]*)?$" in forms
    assert "time_bins" in forms
