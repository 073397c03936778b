"""``ssl-skel layouts``: which joint layouts there are, and one of them as a tree.

Nothing heavy is imported before it is called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ssl_skel.cli.options import JsonOption
from ssl_skel.escaping import show_json, shown

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from ssl_skel.layouts import SkeletonLayout


def draw(layout: SkeletonLayout) -> Tree:
    """A layout as a tree of its bones; each joint with its number and part, and what is special about it."""
    from rich.text import Text
    from rich.tree import Tree

    part = {joint: name for name, group in zip(layout.part_names, layout.part, strict=True) for joint in group}
    special = {layout.centre: "centre", layout.across[0]: "across, left", layout.across[1]: "across, right"}

    def label(joint: int) -> Text:
        marks = [part[joint], *([special[joint]] if joint in special else [])]
        return Text.assemble(shown(f"{layout.joints[joint]} {joint} "), (shown(f"({'; '.join(marks)})"), "dim"))

    tree = Tree(label(layout.root))
    branches = {layout.root: tree}
    waiting = [child for child, _ in layout.bones]
    while waiting:  # a bone's parent may stand behind it in the layout's order
        child = waiting.pop(0)
        if layout.parents[child] in branches:
            branches[child] = branches[layout.parents[child]].add(label(child))
        else:
            waiting.append(child)
    return tree


def layouts(
    name: Annotated[str, typer.Argument(help="A layout to draw, or the path of a YAML file; default: list all.")] = "",
    json_: JsonOption = False,
) -> None:
    """List the joint layouts, or draw one as a tree."""
    from ssl_skel.console import render, show_table
    from ssl_skel.layouts import LAYOUTS, load_layout

    chosen = [load_layout(name)] if name else list(LAYOUTS.values())
    if json_:
        show_json(chosen[0].to_dict() if name else [layout.to_dict() for layout in chosen])
    elif name:
        render(draw(chosen[0]))
    else:
        rows = [
            [one.name, str(one.num_joints), one.joints[one.centre], str(len(one.body)), str(len(one.part))]
            for one in chosen
        ]
        show_table(["layout", "joints", "centre", "groups", "parts"], rows)
