"""``ssl-skel layouts``: the list, the tree, JSON that reads back, and names that are unknown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
import yaml
from rich.tree import Tree
from typer.testing import CliRunner

from ssl_skel.cli.layouts import draw, layouts
from ssl_skel.errors import UserError
from ssl_skel.layouts import LAYOUTS, parse_layout

app = typer.Typer()
app.command()(layouts)


def call(*words: str) -> str:
    return CliRunner().invoke(app, list(words), catch_exceptions=False).stdout


def test_the_list_names_all() -> None:
    rows = [line.split() for line in call().splitlines()[1:]]
    assert rows == [
        [name, str(one.num_joints), one.joints[one.centre], str(len(one.body)), str(len(one.part))]
        for name, one in LAYOUTS.items()
    ]


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_tree_holds_each_joint_below_its_parent(name: str) -> None:
    layout = LAYOUTS[name]
    parents: dict[str, str] = {}

    def walk(branch: Tree, above: str) -> None:
        joint = str(branch.label).split()[0]
        parents[joint] = above
        for child in branch.children:
            walk(child, joint)

    walk(draw(layout), layout.joints[layout.root])
    assert parents == {
        joint: layout.joints[parent] for joint, parent in zip(layout.joints, layout.parents, strict=True)
    }


def test_a_drawing_tells_numbers_parts_and_what_is_special() -> None:
    drawn = call("kinect20")
    assert "hip_centre 0 (spine; centre)" in drawn
    assert "left_shoulder 4 (left_upper_arm; across, left)" in drawn
    assert len(drawn.splitlines()) == 20


def test_json_reads_back(tmp_path: Path) -> None:
    assert parse_layout(json.loads(call("sbu15", "--json")), "printed") == LAYOUTS["sbu15"]
    assert [parse_layout(one, "printed") for one in json.loads(call("--json"))] == list(LAYOUTS.values())
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(LAYOUTS["sbu15"].to_dict() | {"name": "mine"}))
    assert json.loads(call(str(tmp_path / "mine.yaml"), "--json"))["name"] == "mine"


def test_unknown_names_are_refused() -> None:
    with pytest.raises(UserError, match="did you mean 'kinect20'"):
        call("kinect")
